/** All plots of a report, in their order; those that an experiment has nothing for are left out. */
import type { ExperimentResults } from '../../compare/results.ts';
import { cyclesPlot } from './cycles.ts';
import { frontierPlots } from './frontier.ts';
import type { Plot } from './plot.ts';
import { iotlbPlots, scalingPlot } from './sweeps.ts';
import { windowsPlot } from './windows.ts';

export interface Plots {
  frontier: Plot[];
  cycles: Plot[];
  windows: Plot[];
  scaling: Plot[];
  iotlb: Plot[];
}

export function plotsOf(results: ExperimentResults): Plots {
  const some = (plot: Plot | null) => (plot === null ? [] : [plot]);
  return {
    frontier: frontierPlots(results),
    cycles: some(cyclesPlot(results)),
    windows: some(windowsPlot(results)),
    scaling: some(scalingPlot(results)),
    iotlb: iotlbPlots(results),
  };
}

/** Where the cycles of an operation go, stacked by the rows of the literature's tables. */
import type { ExperimentResults } from '../../compare/results.ts';
import { CYCLE_ROWS, DRIVER_ROW } from '../../compare/sample.ts';
import { number } from '../numbers.ts';
import { axisText, legendBelow, legendHeight, rangeOf, shortNames, valueAxis, wide } from './axes.ts';
import { COLOURS, FONT_SIZE, INK, MUTED, PAPER } from './draw.ts';
import type { Plot } from './plot.ts';

const WIDTH = 820;
const BAR = 30;
/** The others are in the table. */
const BARS = 30;

export const ROW_NAMES: Record<string, string> = {
  iovaAlloc: 'allocate IOVA',
  iovaFind: 'find IOVA',
  iovaFree: 'free IOVA',
  pageTable: 'page table',
  invalidation: 'invalidation',
  lockWait: 'wait for locks',
  copy: 'copies',
  vmExit: 'VM exits',
  other: 'rest of map and unmap',
  driver: 'driver and stack',
};

export function cyclesPlot({ arms }: ExperimentResults): Plot | null {
  const measured = arms.filter(
    ({ cycles, cyclesPerOperation }) => cyclesPerOperation !== null && cycles.driver !== null,
  );
  if (measured.length === 0) return null;
  const shown = measured.slice(0, BARS);
  // Those that nobody has would only fill the legend.
  const rows = [DRIVER_ROW, ...CYCLE_ROWS].filter((row) => shown.some(({ cycles }) => (cycles[row]?.median ?? 0) > 0));
  if (rows.length === 0) return null;
  const names = shortNames(shown, 28);
  const totals = shown.map(({ cycles }) => rows.reduce((sum, row) => sum + (cycles[row]?.median ?? 0), 0));
  const legend = rows.map((row) => ROW_NAMES[row]!);
  const left = Math.min(250, Math.max(...names.map(wide)) + 24);
  const height = shown.length * BAR;
  const below = legendHeight(legend, WIDTH);
  const order = [...CYCLE_ROWS, DRIVER_ROW] as string[];
  const range = { ...rangeOf(totals, false, true) };
  const cut = measured.length > BARS ? ` The first ${BARS} of ${measured.length} arms.` : '';
  return {
    id: 'cycles',
    title: 'Cycles of an operation, by where they go',
    caption: `Cycles of an operation (a packet or an I/O) at the median over the seeds, in the rows that publications use.${cut} What timers flush is in the row of invalidation. The number is the sum of the rows.`,
    width: WIDTH,
    height: 16 + height + 62 + below,
    option: {
      grid: { left, right: 70, top: 8, height },
      xAxis: valueAxis('Cycles per operation', false, range, 32),
      yAxis: {
        type: 'category',
        inverse: true,
        data: names,
        axisLabel: { ...axisText, color: INK, fontSize: FONT_SIZE },
        axisLine: { show: true, lineStyle: { color: MUTED } },
        axisTick: { show: false },
      },
      legend: legendBelow(legend),
      series: rows.map((row, place) => ({
        type: 'bar',
        stack: 'cycles',
        name: ROW_NAMES[row],
        barWidth: BAR * 0.6,
        // Edges tell neighbours apart where colours do not.
        itemStyle: { color: COLOURS[order.indexOf(row)], borderColor: PAPER, borderWidth: 1 },
        data: shown.map(({ cycles }) => cycles[row]?.median ?? 0),
        ...(place === rows.length - 1 && {
          label: {
            show: true,
            position: 'right',
            color: INK,
            fontSize: FONT_SIZE,
            textBorderWidth: 0,
            formatter: ({ dataIndex }: { dataIndex: number }) => number(totals[dataIndex]!, 4),
          },
        }),
      })),
    },
  };
}

/** Runs an experiment with its progress shown, and has it cancelled by Ctrl-C. */
import type { ExperimentInput } from '../lab/experiment.ts';
import { interruptible } from './interruption.ts';
import type { Ended, Place } from './place.ts';
import { placeOf } from './place.ts';
import type { WhereOptions } from './program.ts';
import { progress } from './progress.ts';

export async function atPlace<T>(
  options: WhereOptions,
  then: (place: Place, carryOut: (input: ExperimentInput) => Promise<Ended>, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const signal = interruptible();
  const place = await placeOf(options);
  try {
    const carryOut = async (input: ExperimentInput) => {
      const shown = await progress('jobs', !options.progress);
      try {
        return await place.run(input, {
          signal,
          onChange: ({ jobs }) => shown.at(jobs.finished + jobs.failed, jobs.total),
        });
      } finally {
        shown.end();
      }
    };
    return await then(place, carryOut, signal);
  } finally {
    await place.close();
  }
}

/** Ctrl-C: the first time what is under way is cancelled and tidied up, the second time the process ends at once. */
import { EXIT_OF_SIGNAL } from './failure.ts';

type Ending = keyof typeof EXIT_OF_SIGNAL;

/** Thrown where something was cancelled; said already. */
export class Interrupted extends Error {
  readonly signal: Ending;

  constructor(signal: Ending) {
    super(`ended by ${signal}`);
    this.signal = signal;
  }
}

/** @returns aborted by the first signal, with an `Interrupted` as its reason */
export function interruptible(): AbortSignal {
  const controller = new AbortController();
  for (const name of Object.keys(EXIT_OF_SIGNAL) as Ending[])
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(EXIT_OF_SIGNAL[name]);
      process.stderr.write('\niommu-lab: cancelling; once more ends it at once\n');
      controller.abort(new Interrupted(name));
    });
  return controller.signal;
}

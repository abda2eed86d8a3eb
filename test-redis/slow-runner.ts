/**
 * Computes in this thread, in turns with all else, and obeys the title of a job: `takes 500 ms` makes it take longer, `ends its worker`
 * does so.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job, JobOutcome } from '../src/lab/experiment.ts';
import { runJobInTurns } from '../src/lab/job.ts';
import type { JobRunner } from '../src/lab/laboratory.ts';

const CANCELLED = { code: 'cancelled', detail: 'It was withdrawn.' };

export class SlowRunner implements JobRunner {
  readonly width: number;
  private readonly told: (event: 'begun' | 'ended' | 'stopped', key: string) => void;

  constructor(width: number, told: (event: 'begun' | 'ended' | 'stopped', key: string) => void = () => {}) {
    this.width = width;
    this.told = told;
  }

  async run(key: string, job: Job, signal: AbortSignal): Promise<JobOutcome> {
    this.told('begun', key);
    const title = job.kind === 'run' ? String(job.spec.title ?? '') : '';
    if (title === 'ends its worker') process.kill(process.pid, 'SIGKILL');
    await sleep(Number(/takes ([0-9]+) ms/.exec(title)?.[1] ?? 0), undefined, { signal }).catch(() => {});
    const outcome = await runJobInTurns(job, { stop: () => (signal.aborted ? CANCELLED : null) });
    this.told(signal.aborted ? 'stopped' : 'ended', key);
    return outcome;
  }

  async close(): Promise<void> {}
}

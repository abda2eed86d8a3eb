/**
 * Computes on the core in this thread, with pauses in which all else has its turn, and obeys the title of a job: `takes 500 ms` makes it
 * take longer, `ends its worker` does so.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createSimulator, resolveSpec, SpecError } from '../src/core/index.ts';
import type { RunRequest } from '../src/core/operations.ts';
import type { SimulatorApi } from '../src/core/simulator-api.ts';
import type { Job, JobOutcome } from '../src/lab/experiment.ts';
import type { JobRunner } from '../src/lab/laboratory.ts';

const CANCELLED: JobOutcome = { ok: false, code: 'cancelled', detail: 'It was withdrawn.' };

export class SlowRunner implements JobRunner {
  readonly width: number;
  private readonly told: (event: 'begun' | 'ended' | 'stopped', key: string) => void;

  constructor(width: number, told: (event: 'begun' | 'ended' | 'stopped', key: string) => void = () => {}) {
    this.width = width;
    this.told = told;
  }

  async run(key: string, job: Job, signal: AbortSignal): Promise<JobOutcome> {
    if (job.kind !== 'run') return { ok: false, code: 'not-here', detail: 'Only runs.' };
    this.told('begun', key);
    const title = String(job.spec.title ?? '');
    if (title === 'ends its worker') process.kill(process.pid, 'SIGKILL');
    try {
      await sleep(Number(/takes ([0-9]+) ms/.exec(title)?.[1] ?? 0), undefined, { signal });
      const simulator = createSimulator(resolveSpec(job.spec));
      for (const request of [...job.before, job.run]) await carryOut(simulator, request, signal);
      this.told('ended', key);
      return { ok: true, result: simulator.runResult(), digest: simulator.digest(), timeNs: simulator.timeNs };
    } catch (error) {
      if (signal.aborted) {
        this.told('stopped', key);
        return CANCELLED;
      }
      if (error instanceof SpecError) return { ok: false, code: 'invalid-request', detail: error.message };
      throw error;
    }
  }

  async close(): Promise<void> {}
}

async function carryOut(simulator: SimulatorApi, request: RunRequest, signal: AbortSignal): Promise<void> {
  const outcome = simulator.startRun(request);
  if (outcome.status !== 'ok') throw new Error(JSON.stringify(outcome));
  while (!simulator.stepRun(2_000)) await sleep(0, undefined, { signal });
}

/** Experiments that take a few milliseconds each. */
import type { ExperimentDocument, ExperimentInput, Job, JobOutcome } from '../../src/lab/experiment.ts';
import type { JobRunner, Laboratory } from '../../src/lab/laboratory.ts';
import { type Plan, planExperiment } from '../../src/lab/plan.ts';

export const small: ExperimentInput = {
  base: {
    policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'strict' } },
    devices: [{ name: 'nic', kind: 'nic' }],
    workloads: [{ name: 'tx', kind: 'nic-tx', device: 'nic', gbps: 10 }],
  },
  vary: { 'policy.invalidation.kind': ['strict', 'flush-queue'] },
  until: { operations: 200 },
  seeds: [1, 2],
};

export function planned(input: ExperimentInput): Plan {
  const plan = planExperiment(input);
  if (!plan.ok) throw new Error(JSON.stringify(plan.problem));
  return plan.value;
}

/** `path: message` of all that is wrong. */
export function wrong(input: unknown): string[] {
  const plan = planExperiment(input as ExperimentInput);
  if (plan.ok) throw new Error('nothing is wrong with it');
  return plan.problem.errors!.map(({ path, message }) => `${path}: ${message}`);
}

export interface Begun {
  key: string;
  job: Job;
  signal: AbortSignal;
  settle(outcome: JobOutcome): void;
  reject(error: Error): void;
}

/** Computes nothing: the test says what comes of a job, and when. */
export class PuppetRunner implements JobRunner {
  readonly width: number;
  readonly begun: Begun[] = [];
  closed = false;

  constructor(width: number) {
    this.width = width;
  }
  run(key: string, job: Job, signal: AbortSignal): Promise<JobOutcome> {
    return new Promise((settle, reject) => this.begun.push({ key, job, signal, settle, reject }));
  }
  async close(): Promise<void> {
    this.closed = true;
  }
}

export const fine = (digest: string): JobOutcome => ({ ok: true, result: { digest }, digest, timeNs: 1 });

/** Its document once it has ended. */
export async function ended(laboratory: Laboratory, id: string): Promise<ExperimentDocument> {
  for await (const document of laboratory.changes(id)) if (document.endedAt !== null) return document;
  throw new Error(`${id} has not ended`);
}

export async function created(
  laboratory: Laboratory,
  input: ExperimentInput,
  owner = 'local',
): Promise<ExperimentDocument> {
  const reply = await laboratory.create(input, owner);
  if (!reply.ok) throw new Error(JSON.stringify(reply.problem));
  return reply.value;
}

/** What is waiting in the event loop has happened. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

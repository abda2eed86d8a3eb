import type { Job, JobOutcome, Plain } from '../src/lab/experiment.ts';
import { keyOf } from '../src/lab/job.ts';
import type { JobRunner } from '../src/lab/laboratory.ts';

export interface KeyedJob {
  key: string;
  job: Job;
}

let salt = 0;

/** Each time others, so that no test finds the outcomes of an earlier one. */
export function jobsOf(count: number, title = ''): KeyedJob[] {
  salt++;
  return Array.from({ length: count }, (_, i) =>
    keyed({ ...(title === '' ? {} : { title }), seed: 1000 * salt + i }, i),
  );
}

const POLICIES = [{ kind: 'strict' }, { kind: 'deferred-2008' }, { kind: 'flush-queue' }, { kind: 'never' }];

export function keyed(changes: Plain, variant = 0): KeyedJob {
  const policy = { allocator: { kind: 'rbtree' }, invalidation: POLICIES[variant % POLICIES.length] };
  const workloads = [{ name: 'rx', kind: 'nic-rx', device: 'nic' }];
  const spec = { policy, devices: [{ name: 'nic', kind: 'nic' }], workloads, ...changes };
  const job: Job = { kind: 'run', spec, before: [{ operations: 100 }], run: { operations: 1_000 } };
  return { key: keyOf(job), job };
}

export async function outcomesOf(runner: JobRunner, jobs: KeyedJob[], signal?: AbortSignal): Promise<JobOutcome[]> {
  const never = new AbortController().signal;
  return await Promise.all(jobs.map(({ key, job }) => runner.run(key, job, signal ?? never)));
}

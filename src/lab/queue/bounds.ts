/** Names in Redis, and how long and how much: in one place, as server and workers have to agree on them. docs/scaling.md has the reasons. */
import { coreVersion } from '../../core/version.ts';

/** Before every key. */
export const PREFIX = 'iommu-lab';

/** Workers of another core never see these jobs: equal jobs could have other results there. */
export const QUEUE = `jobs-${coreVersion}`;

/** All keys of ours; those of BullMQ are `iommu-lab:jobs-<core>:...`. */
export const KEYS = {
  /** Of BullMQ: the job itself. Gone once it has an outcome. */
  job: (id: string) => `${PREFIX}:${QUEUE}:${id}`,
  /** Sorted set of those who wait for it, by the time until which they are believed to. */
  waiters: (id: string) => `${PREFIX}:waiters:${id}`,
  outcomePrefix: `${PREFIX}:outcome:`,
  outcome: (id: string) => `${PREFIX}:outcome:${id}`,
  /** How often it was begun and neither ended nor given back. */
  tries: (id: string) => `${PREFIX}:tries:${id}`,
  /** Sorted set of outcomes by age, and a hash of their sizes; member '' of which is the sum. */
  ages: `${PREFIX}:outcomes:ages`,
  sizes: `${PREFIX}:outcomes:sizes`,
  /** Sorted set of workers, by the time until which they are believed to live. */
  workers: `${PREFIX}:workers-${coreVersion}`,
} as const;

/** Of a job in the queue: what it computes, and the core that does. */
export function jobIdOf(key: string): string {
  return `${key}-${coreVersion}`;
}

const ID_FORM = new RegExp(`^([0-9a-f]{64})-${coreVersion}$`);

/** The job's key, or null for an id that is none of ours. */
export function keyOfId(id: unknown): string | null {
  return typeof id === 'string' ? (ID_FORM.exec(id)?.[1] ?? null) : null;
}

const MIB = 1024 * 1024;

export const BOUNDS = {
  /** A job as JSON. The contract takes bodies of 16 MiB, and a spec without gaps is longer than what was sent. */
  jobBytes: 64 * MIB,
  /** An outcome as JSON. */
  outcomeBytes: 64 * MIB,
  /** What one server has in Redis at a time, compressed; of more than one job. */
  queuedBytes: 64 * MIB,
  /** Outcomes in Redis, of all servers: the oldest make room. */
  outcomes: 4096,
  outcomesBytes: 96 * MIB,
  /** An outcome that nobody has fetched: for the server that comes back. */
  outcomeMs: 3_600_000,
  /** One that all have fetched that waited for it: for the server that asks a moment later. */
  fetchedMs: 60_000,
  /** One that failed, or was given up: the next time it may go well. */
  failedMs: 60_000,
  /** A server that has not been heard of for so long does not wait any more, and jobs that nobody waits for are not computed. */
  interestMs: 600_000,
  /** Between two looks of a server at what it waits for, for what an event did not tell: lost data, lost events. */
  lookMs: 1_000,
  /** Between two signs of life of a worker; it stops what nobody wants any more as often. */
  beatMs: 1_000,
  /** Without one for so long, a worker is not counted. */
  workerMs: 10_000,
  /** A worker that does not renew its hold on a job for so long has lost it. */
  lockMs: 5_000,
  /** Between two searches for such jobs. Of the two that it takes the second finds the lock gone. */
  stalledMs: 2_000,
  /** As often a job may end the process that computes it. */
  tries: 4,
  triesMs: 86_400_000,
  /** Until a command that is not answered ends its connection, for another to be opened. */
  silenceMs: 30_000,
  leastWidth: 16,
  mostWidth: 512,
} as const;

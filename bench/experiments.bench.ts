/**
 * Whether experiments use the cores that they are given: the same jobs in plain processes, in the threads of a server and in workers behind
 * a queue, with one and with two of each, in turns. Needs a Redis (`apt-get install redis-server`).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import type { Job, JobOutcome } from '../src/lab/experiment.ts';
import { keyOf } from '../src/lab/job.ts';
import type { JobRunner } from '../src/lab/laboratory.ts';
import { ThreadPool } from '../src/lab/pool.ts';
import { createQueueRunner, type QueueRunner } from '../src/lab/queue/queue-runner.ts';
import { RedisServer } from '../test-redis/redis-server.ts';
import { Child } from './child.ts';
import { specOf } from './packets.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PLAIN = new URL('./experiments/plain.ts', import.meta.url);
/** Beside two plain processes. */
const LEAST_OF_SPEED_UP = 0.9;
/** Of a queue, of the time of a job of about a second. */
const MOST_OVERHEAD = 0.05;

interface Size {
  rounds: number;
  jobs: number;
  packets: number;
}

interface Round {
  ms: number;
  digests: string[];
}

type Way = (jobs: readonly Job[]) => Promise<Round>;

export async function run({ smoke }: { smoke: boolean }): Promise<void> {
  const size = smoke ? { rounds: 1, jobs: 2, packets: 2_000 } : { rounds: 5, jobs: 8, packets: 1_200_000 };
  const plain = await Promise.all([1, 2].map(async () => (await Child.start(PLAIN, [])).child));
  const pools = [1, 2].map((width) => new ThreadPool({ width }));
  const queues = [await Queue.start(1), await Queue.start(2)];
  try {
    const ways: [string, Way][] = [
      ['one plain process', (jobs) => inProcesses(plain.slice(0, 1), jobs)],
      ['two plain processes', (jobs) => inProcesses(plain, jobs)],
      ['one thread', (jobs) => through(pools[0]!, jobs)],
      ['two threads', (jobs) => through(pools[1]!, jobs)],
      ['one worker', (jobs) => through(queues[0]!.runner, jobs)],
      ['two workers', (jobs) => through(queues[1]!.runner, jobs)],
    ];
    // Compiled code and connections first.
    for (const [, way] of ways) await way(jobsOf(4, smoke ? 500 : 100_000, 1));
    await compare(ways, size);
  } finally {
    await Promise.all(plain.map((child) => child.stop()));
    await Promise.all(pools.map((pool) => pool.close()));
    for (const queue of queues) await queue.stop();
  }
}

async function compare(ways: readonly [string, Way][], { rounds, jobs, packets }: Size): Promise<void> {
  const times = new Map<string, number[]>(ways.map(([name]) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    // Other seeds each round: what a queue knows it does not compute again.
    const work = jobsOf(jobs, packets, 100 + round * jobs);
    let digests: string[] | null = null;
    for (const [name, way] of ways) {
      const done = await way(work);
      digests ??= done.digests;
      if (!isDeepStrictEqual(done.digests, digests)) throw new Error(`${name}: other results`);
      times.get(name)!.push(done.ms);
    }
  }
  const best = (name: string): number => Math.min(...times.get(name)!);
  console.log(`  ${jobs} jobs of ${packets} packets, best and worst of ${rounds} rounds, ms`);
  for (const [name, ms] of times)
    console.log(
      `  ${name.padEnd(20)} ${best(name).toFixed(0).padStart(7)} ${Math.max(...ms)
        .toFixed(0)
        .padStart(7)}`,
    );
  const plain = best('one plain process') / best('two plain processes');
  for (const [one, two] of [
    ['one thread', 'two threads'],
    ['one worker', 'two workers'],
  ] as const) {
    const own = best(one) / best(two);
    console.log(
      `  ${two}: ${own.toFixed(2)} times as fast as ${one}, plain processes ${plain.toFixed(2)}; ratio ${(own / plain).toFixed(2)}, at least ${LEAST_OF_SPEED_UP}`,
    );
  }
  // Beside a thread, which computes as a worker does: a plain process takes longer by more than a queue could.
  const overhead = best('one worker') / best('one thread') - 1;
  console.log(`  queue: ${(100 * overhead).toFixed(1)} % of a job's time, at most ${100 * MOST_OVERHEAD} %`);
}

function jobsOf(count: number, packets: number, firstSeed: number): Job[] {
  const spec = specOf({ allocator: 'rcache', invalidation: 'flush-queue', gbps: 100, cpus: 4 });
  return Array.from({ length: count }, (_, nth) => ({
    kind: 'run',
    spec: { ...spec, seed: firstSeed + nth },
    before: [],
    run: { operations: packets },
  }));
}

async function inProcesses(children: readonly Child[], jobs: readonly Job[]): Promise<Round> {
  const begin = performance.now();
  const shares = children.map((_, nth) => jobs.filter((__, at) => at % children.length === nth));
  const rounds = await Promise.all(children.map((child, nth) => child.ask<Round>(shares[nth]!)));
  const ms = performance.now() - begin;
  return { ms, digests: jobs.map((_, at) => rounds[at % rounds.length]!.digests[Math.floor(at / rounds.length)]!) };
}

async function through(runner: JobRunner, jobs: readonly Job[]): Promise<Round> {
  const begin = performance.now();
  const never = new AbortController().signal;
  const outcomes = await Promise.all(jobs.map((job) => runner.run(keyOf(job), job, never)));
  return { ms: performance.now() - begin, digests: outcomes.map(digestOf) };
}

function digestOf(outcome: JobOutcome): string {
  if (!outcome.ok) throw new Error(outcome.detail);
  return outcome.digest;
}

/** A Redis of its own with so many workers of one job at a time. */
class Queue {
  readonly runner: QueueRunner;
  private readonly redis: RedisServer;
  private readonly workers: readonly ChildProcess[];

  static async start(workers: number): Promise<Queue> {
    const redis = await RedisServer.start();
    const words = ['--import', './guard.mjs', 'main.ts', 'worker', '--redis', redis.url, '--concurrency', '1'];
    const children = Array.from({ length: workers }, () =>
      spawn(process.execPath, [...words, '--log-level', 'silent'], { cwd: ROOT, stdio: 'inherit' }),
    );
    const runner = await createQueueRunner({ redis: redis.url, name: `bench ${workers}` });
    while (runner.status().slots < workers) await new Promise((resolve) => setTimeout(resolve, 50));
    return new Queue(redis, children, runner);
  }

  private constructor(redis: RedisServer, workers: readonly ChildProcess[], runner: QueueRunner) {
    this.redis = redis;
    this.workers = workers;
    this.runner = runner;
  }

  async stop(): Promise<void> {
    await this.runner.close();
    for (const worker of this.workers) {
      worker.kill('SIGTERM');
      if (worker.exitCode === null) await once(worker, 'exit');
    }
    await this.redis.remove();
  }
}

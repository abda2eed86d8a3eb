/** A Redis, servers and workers for the tests of a file, and their end. */
import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobOutcome } from '../src/lab/experiment.ts';
import { createQueueRunner, type QueueRunner } from '../src/lab/queue/queue-runner.ts';
import { type KeyedJob, outcomesOf } from './jobs.ts';
import { type Process, workerProcess } from './processes.ts';
import { RedisServer } from './redis-server.ts';
import { SlowRunner } from './slow-runner.ts';

export const never = new AbortController().signal;
const rejections: unknown[] = [];
process.on('unhandledRejection', (error) => rejections.push(error));

export let redis: RedisServer;
export const runners: QueueRunner[] = [];
const processes: Process[] = [];
let names = 0;

export async function server(name = `server-${++names}`): Promise<QueueRunner> {
  const runner = await createQueueRunner({ redis: redis.url, name });
  runners.push(runner);
  return runner;
}

export function keep(child: Process): Process {
  processes.push(child);
  return child;
}

export async function readyWorker(width = 1, traces?: string): Promise<Process> {
  const worker = keep(workerProcess(redis.url, width, traces));
  await worker.until(() => worker.log.includes('takes jobs'));
  return worker;
}

/** The same jobs in this process alone. */
export async function local(jobs: KeyedJob[]): Promise<JobOutcome[]> {
  return await outcomesOf(
    new SlowRunner(1),
    jobs.map(({ key, job }) => ({ key, job: plain(job) })),
  );
}

/** A title is no part of a simulation. */
function plain<T>(job: T): T {
  const { title: _, ...spec } = (job as { spec: Record<string, unknown> }).spec;
  return { ...job, spec };
}

export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (await holds()) return;
    await sleep(100);
  }
  throw new Error('It did not come about.');
}

export function times(lists: string[][], key: string): number {
  return lists.flat().filter((each) => each === key).length;
}

before(async () => {
  redis = await RedisServer.start('s:cr/t');
});

afterEach(async () => {
  await Promise.all(runners.splice(0).map((runner) => runner.close()));
  await Promise.all(processes.splice(0).map((child) => child.end('SIGKILL')));
  // Redis may be another one by now, or none.
  const client = redis.client();
  await client.flushall();
  client.disconnect();
  assert.deepEqual(rejections, []);
});

after(async () => {
  await redis.remove();
});

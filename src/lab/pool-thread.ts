/** A thread of `pool.ts`: one task at a time, from its beginning to its end. It gives way to whatever else the server does. */
import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../host/problems.ts';
import { Tapes } from '../host/recordings.ts';
import { runJob } from './job.ts';
import { planExperiment } from './plan.ts';
import { CANCELLED, type FromPoolThread, type PoolThreadSettings, type ToPoolThread } from './pool.ts';
import { renderExperiment } from './render.ts';

const NICE = 10;

if (parentPort === null) throw new Error('pool-thread.ts runs as a worker thread of pool.ts');
const port = parentPort;

/** Threads have priorities of their own on Linux; where they have not, it stays as it is. */
function giveWay(): void {
  try {
    const [, , thread] = readlinkSync('/proc/thread-self').split('/');
    if (Number(thread) > 0) setPriority(Number(thread), NICE);
  } catch {
    // Not Linux, or not allowed.
  }
}

/** Tapes of the server; nobody is on record as their user. */
const recordings = new Tapes((workerData as PoolThreadSettings).traces).of(null);

giveWay();
port.postMessage({ task: 0, begun: true } satisfies FromPoolThread);
port.on('message', async (message: ToPoolThread) => {
  let said: FromPoolThread;
  try {
    said = await answer(message);
  } catch (error) {
    said = { task: message.task, failure: messageOf(error) };
  }
  port.postMessage(said);
});

async function answer(message: ToPoolThread): Promise<FromPoolThread> {
  const { task } = message;
  switch (message.kind) {
    case 'plan':
      return { task, planned: planExperiment(message.input, { recordings }) };
    case 'render':
      return { task, rendered: await renderExperiment(message.data, message.form, message.options) };
    case 'job': {
      const { job, bounds, stop } = message;
      const cancelled = { code: CANCELLED, detail: 'It was cancelled.' };
      return {
        task,
        outcome: runJob(job, { bounds, recordings, stop: () => (Atomics.load(stop, 0) === 0 ? null : cancelled) }),
      };
    }
  }
}

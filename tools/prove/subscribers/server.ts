/**
 * The server under proof: host, worker, core, stream and HTTP as `npm start` has them, and one session, whose clock is moved on some
 * times in each rhythm of its metrics. What is recorded is noted as it comes from the worker, before the stream has it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { FrameListener } from '../../../src/host/host.ts';
import { createHost } from '../../../src/host/session-host.ts';
import { buildApp } from '../../../src/server/app.ts';
import { createStream } from '../../../src/stream/hub.ts';
import {
  coreTime,
  type Measured,
  type Recorded,
  type ServerQuestion,
  sharedClockMs,
  type Weighed,
} from './questions.ts';

const DRIVE_MS = 50;
/** So that the metrics are as large as those of a session in use. */
const OPERATIONS_BEFORE = 20_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const folder = mkdtempSync(join(process.argv[2]!, 'server-'));
const host = await createHost({ workers: 1, journal: { path: join(folder, 'sessions.sqlite'), sync: 'never' } });
let recorded: Recorded[] = [];
let sequence = 0;
const notes: FrameListener = {
  frames(_session, _epoch, frames) {
    const atMs = sharedClockMs();
    for (const { type } of frames) recorded.push({ sequence: ++sequence, metrics: type === 'metrics', atMs });
  },
  epoch() {},
  failed() {},
  deleted() {},
};
host.listen(notes);
const stream = createStream(host);
const app = await buildApp({
  config: { host: '127.0.0.1', allowedHosts: [] },
  host,
  stream,
  lifecycle: { closing: false },
});
await app.listen({ host: '127.0.0.1', port: 0 });
const sockets = new Set<Socket>();
app.server.on('connection', (socket: Socket) => {
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
});

const made = await host.create({ preset: 'thread-2008' });
if (!made.ok) throw new Error(made.problem.detail);
const { id } = made.value;
await host.startRun(id, { operations: OPERATIONS_BEFORE });
for (;;) {
  const run = await host.getRun(id, 'run_1');
  if (run.ok && run.value.state === 'finished') break;
  await sleep(20);
}

async function drive(seconds: number): Promise<Measured> {
  recorded = [];
  const taken = coreTime();
  const endMs = performance.now() + seconds * 1000;
  while (performance.now() < endMs) {
    await host.apply(id, { op: 'advance', ns: 1000 });
    await sleep(DRIVE_MS);
  }
  // The last metrics come a rhythm after the last change.
  await sleep(250);
  return { recorded, ...taken() };
}

async function weigh(behindBytes: number): Promise<Weighed> {
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await sleep(50);
  }
  const waiting = [...sockets].map(({ writableLength }) => writableLength);
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    residentBytes: rss,
    // Buffers are in `external`, wherever they are allocated.
    usedBytes: heapUsed + external,
    behind: waiting.filter((bytes) => bytes >= behindBytes).length,
    mostWaitingBytes: Math.max(0, ...waiting),
  };
}

process.on('message', async (question: ServerQuestion) => {
  process.send!(question.ask === 'drive' ? await drive(question.seconds) : await weigh(question.behindBytes));
});
process.on('disconnect', async () => {
  await app.close();
  await host.close();
  rmSync(folder, { recursive: true, force: true });
  process.exit();
});
process.send!({ port: (app.server.address() as AddressInfo).port, session: id });

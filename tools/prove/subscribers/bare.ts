/**
 * The yardstick: a `ws` server that makes the bytes of each frame once, as any broadcast of different frames must, and sends them to
 * every client. No session, no history, no topics, no bounds.
 */
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocketServer } from 'ws';
import { type BareQuestion, coreTime, type Measured, type Recorded, sharedClockMs } from './questions.ts';

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
server.on('listening', () => process.send!({ port: (server.address() as AddressInfo).port, session: '' }));

process.on('message', async ({ frames, everyMs }: BareQuestion) => {
  const recorded: Recorded[] = [];
  const taken = coreTime();
  const beginMs = performance.now();
  for (const [i, text] of frames.entries()) {
    await sleep(Math.max(0, beginMs + i * everyMs - performance.now()));
    recorded.push({ sequence: i + 1, metrics: true, atMs: sharedClockMs() });
    const bytes = Buffer.from(text);
    for (const client of server.clients) client.send(bytes, { binary: false });
  }
  await sleep(250);
  const measured: Measured = { recorded, ...taken() };
  process.send!(measured);
});
process.on('disconnect', () => process.exit());

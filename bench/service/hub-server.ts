/** The stream of the server by itself: upgrade, history, subscribers. Its one session is a stand-in that emits when it is told to. */
import type { AddressInfo } from 'node:net';
import fastify from 'fastify';
import { registerStream } from '../../routes/stream.ts';
import type { FrameListener } from '../../src/host/host.ts';
import { createStream } from '../../src/stream/hub.ts';
import { answerEmits, DATA, EPOCH, SESSION } from './broadcasts.ts';

const listeners: FrameListener[] = [];
const hub = createStream({
  resolve: (session) => session,
  epochOf: () => EPOCH,
  listen: (listener) => listeners.push(listener),
});
const app = fastify();
await registerStream(app, hub);
await app.listen({ host: '127.0.0.1', port: 0 });

let timeNs = 0;
let wire: { writableLength: number } | null = null;
app.server.on('connection', (socket) => {
  wire ??= socket;
});
answerEmits(
  () => {
    timeNs++;
    for (const listener of listeners) listener.frames(SESSION, EPOCH, [{ type: 'events', timeNs, data: DATA }]);
  },
  () => wire?.writableLength ?? 0,
);
process.send!((app.server.address() as AddressInfo).port);

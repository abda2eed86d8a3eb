/**
 * The yardstick of the stream: a `ws` server that makes the bytes of each frame once, as any broadcast of different frames must, and
 * sends them to every client. No history, no topics, no bounds.
 */
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { answerEmits, DATA, EPOCH } from './broadcasts.ts';

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
let first: { bufferedAmount: number } | null = null;
server.on('connection', (socket) => {
  first ??= socket;
});
server.on('listening', () => process.send!((server.address() as AddressInfo).port));
let sequence = 0;
answerEmits(
  () => {
    sequence++;
    const place = `"epoch":"${EPOCH}","sequence":${sequence},"timeNs":${sequence}`;
    const bytes = Buffer.from(`{"type":"events",${place},"data":${DATA}}`);
    for (const client of server.clients) client.send(bytes, { binary: false });
  },
  () => first?.bufferedAmount ?? 0,
);

/** The yardstick of the stream: a `ws` server that sends one Buffer, made once, to every client. */
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { answerEmits, DATA, EPOCH } from './broadcasts.ts';

const bytes = Buffer.from(`{"type":"events","epoch":"${EPOCH}","sequence":1000,"timeNs":1000,"data":${DATA}}`);
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
let first: { bufferedAmount: number } | null = null;
server.on('connection', (socket) => {
  first ??= socket;
});
server.on('listening', () => process.send!((server.address() as AddressInfo).port));
answerEmits(
  () => {
    for (const client of server.clients) client.send(bytes, { binary: false });
  },
  () => first?.bufferedAmount ?? 0,
);

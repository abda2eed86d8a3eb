/** Requests for server-sent events: queries and ids that the contract has, and some that it nearly has. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertFitsContract } from '../../../test/stream/stream-server.ts';
import type { Dice } from '../dice.ts';
import { connected, type Reply, ReplyReader } from './connection.ts';
import type { StreamTried } from './streams.ts';
import { pick, type Values } from './values.ts';

const TOPICS = ['metrics', 'events', 'faults', 'verdicts', 'runs'];
const NUMBERS = [
  '0',
  '1',
  '2',
  '10',
  '100',
  '60000',
  '60001',
  '9007199254740991',
  '9007199254740992',
  '-1',
  '1.5',
  '',
  'x',
  '1e2',
];
const LONGEST_MS = 40;
const BLOCK = /^(?:retry: \d+|:|(?:id: [^\n:]+:\d+\n)?event: (\w+)\ndata: ([^\n]+))$/;

/** @param bearer for the header, or null */
export async function tryEvents(port: number, values: Values, bearer: string | null, dice: Dice): Promise<StreamTried> {
  const tried: StreamTried = { sent: 1, received: 0, refusal: null, complaints: [], script: [] };
  const session = dice(20) === 0 ? values.oddText(dice) : (values.things.choose('session', dice) ?? 's0');
  const lines = [
    `GET /v1/sessions/${encodeURIComponent(session.toWellFormed()) || 'x'}/stream${query(values, dice)} HTTP/1.1`,
    'host: localhost',
    `accept: ${pick(['text/event-stream', 'text/event-stream', 'text/event-stream;q=0.1, */*', 'TEXT/Event-Stream'], dice)}`,
  ];
  if (bearer !== null) lines.push(`authorization: ${bearer}`);
  if (dice(4) === 0) {
    const ids = ['gone:1', 'gone:0', ':', 'x', 'a:b:3', `e:${pick(NUMBERS, dice)}`, 'é:1'];
    lines.push(`last-event-id: ${pick(ids, dice)}`);
  }
  tried.script.push(lines.join('\n'));
  const socket = await connected(port);
  socket.on('error', () => {});
  const closed = once(socket, 'close').catch(() => {});
  let bytes = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
  });
  socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const deadline = performance.now() + 60_000;
  while (bytes.length === 0 && !socket.destroyed && performance.now() < deadline) await sleep(2);
  await Promise.race([closed, sleep(dice(LONGEST_MS), undefined, { ref: false })]);
  if (dice(2) === 0) socket.destroy();
  else socket.resetAndDestroy();
  await closed;
  try {
    judge(bytes, tried);
  } catch (error) {
    tried.complaints.push(String(error).slice(0, 500));
  }
  return tried;
}

function query(values: Values, dice: Dice): string {
  const parts: string[] = [];
  if (dice(2) === 0) {
    const some = Array.from({ length: 1 + dice(3) }, () =>
      dice(12) === 0 ? values.oddText(dice) : pick(TOPICS, dice),
    );
    parts.push(`topics=${encodeURIComponent([...new Set(some)].join(',').toWellFormed())}`);
  }
  for (const name of ['everyMs', 'fromSequence'])
    if (dice(3) === 0) parts.push(`${name}=${pick(dice(3) === 0 ? NUMBERS : ['10', '100'], dice)}`);
  if (dice(6) === 0) parts.push(`epoch=${encodeURIComponent(values.oddText(dice).toWellFormed())}`);
  if (dice(20) === 0)
    parts.push(pick(['ticket=x', 'topic=runs', 'topics=runs', 'topics', '%', '&&=', '__proto__=1'], dice));
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

function judge(bytes: Buffer, tried: StreamTried): void {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) throw new Error('a wish for events without an answer');
  const head = bytes.toString('latin1', 0, end).toLowerCase();
  if (!head.startsWith('http/1.1 200')) {
    let refusal: Reply | null = null;
    const reader = new ReplyReader(
      () => false,
      (reply) => {
        refusal = reply;
      },
    );
    reader.feed(bytes);
    tried.refusal = refusal;
    if (refusal === null && !/^http\/1\.1 [45]/.test(head)) throw new Error(`answered ${head.slice(0, 200)}`);
    return;
  }
  if (!head.includes('\r\ncontent-type: text/event-stream\r\n')) throw new Error(`events of another type: ${head}`);
  // What the network had not brought yet when the client went is no event.
  const blocks = unchunked(bytes.subarray(end + 4))
    .toString('utf8')
    .split('\n\n')
    .slice(0, -1);
  for (const block of blocks) {
    const match = BLOCK.exec(block);
    if (match === null) throw new Error(`no event: ${JSON.stringify(block.slice(0, 300))}`);
    const [, type, data] = match;
    if (data === undefined) continue;
    const message = JSON.parse(data);
    if (message.type !== type) throw new Error(`an event ${type} with a message ${message.type}`);
    assertFitsContract(message);
    tried.received++;
    if (tried.received === 1 && type !== 'hello') throw new Error(`the first event is ${type}`);
  }
}

function unchunked(bytes: Buffer): Buffer {
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) break;
    const text = bytes.toString('latin1', at, line);
    if (!/^[0-9a-f]+$/.test(text)) throw new Error(`no chunk: ${JSON.stringify(text.slice(0, 50))}`);
    const length = Number.parseInt(text, 16);
    if (length === 0) break;
    chunks.push(bytes.subarray(line + 2, line + 2 + length));
    at = line + 2 + length + 2;
    if (at > bytes.length) break;
  }
  return Buffer.concat(chunks);
}

/** Clients of the stream: some say what `asyncapi.yaml` has, some nearly that, some send frames that are none (RFC 6455). */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { decode } from 'cbor2';
import type { Schema } from '../../../src/api/contract.ts';
import { encodeCbor } from '../../../src/stream/cbor.ts';
import { streamSchema } from '../../../src/stream/contract.ts';
import { assertFitsContract, type Message } from '../../../test/stream/stream-server.ts';
import type { Dice } from '../dice.ts';
import { connected, type Reply, ReplyReader } from './connection.ts';
import { pick, type Values } from './values.ts';

const MESSAGES: readonly Schema[] = ['Subscribe', 'Subscribe', 'Unsubscribe', 'Ping'].map(streamSchema);
/** With which the server may close, and 1000, with which it answers such a close. */
const CLOSE_CODES = new Set([1000, 1001, 1002, 1007, 1009, 4000, 4001, 4002, 4500, 4501, 4503, 4504]);
const BINARY_SUBPROTOCOL = 'iommu-lab.v1.cbor';
const ANSWER_MS = 2_000;
const ODD_MS = 15;
const MOST_MESSAGE_BYTES = 65_536;

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

export interface StreamTried {
  /** Messages and frames that were sent. */
  sent: number;
  received: number;
  /** What the upgrade was refused with; null when it was not. */
  refusal: Reply | null;
  complaints: string[];
  /** What was sent, to do it again. */
  script: string[];
}

export interface StreamCase {
  session: string;
  headers: [string, string][];
  query: string;
}

export function makeStreamCase(values: Values, bearer: string | null, dice: Dice): StreamCase {
  const headers: [string, string][] = [];
  let query = '';
  const session = dice(20) === 0 ? values.oddText(dice) : (values.things.choose('session', dice) ?? 's0');
  const ticket = values.things.choose('ticket', dice);
  if (ticket !== null && dice(6) === 0) query = `?ticket=${encodeURIComponent(ticket)}`;
  else if (bearer?.startsWith('Bearer ') && dice(3) === 0) {
    const text = Buffer.from(bearer.slice(7)).toString('base64url');
    headers.push(['sec-websocket-protocol', `${pick(['iommu-lab.v1', BINARY_SUBPROTOCOL], dice)}, bearer.${text}`]);
  } else {
    if (bearer !== null) headers.push(['authorization', bearer]);
    if (dice(4) === 0)
      headers.push([
        'sec-websocket-protocol',
        pick(
          ['iommu-lab.v1', BINARY_SUBPROTOCOL, BINARY_SUBPROTOCOL, 'x', 'iommu-lab.v1, x', ',', 'bearer.x', 'a, a'],
          dice,
        ),
      ]);
  }
  return { session, headers, query };
}

export async function tryStream(
  port: number,
  { session, headers, query }: StreamCase,
  values: Values,
  dice: Dice,
): Promise<StreamTried> {
  const tried: StreamTried = { sent: 0, received: 0, refusal: null, complaints: [], script: [] };
  const path = `/v1/sessions/${encodeURIComponent(session.toWellFormed()) || 'x'}/stream${query}`;
  const lines = [
    `GET ${path} HTTP/1.1`,
    'host: localhost',
    'connection: Upgrade',
    'upgrade: websocket',
    `sec-websocket-version: ${dice(60) === 0 ? pick(['8', '', '13, 8', '14'], dice) : '13'}`,
    `sec-websocket-key: ${dice(60) === 0 ? pick(['', 'x', 'dGhlIHNhbXBsZSBub25jZQ'], dice) : 'dGhlIHNhbXBsZSBub25jZQ=='}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  tried.script.push(lines.join('\n'));
  const socket = await connected(port);
  socket.on('error', () => {});
  const closed = once(socket, 'close').catch(() => {});
  const frames = new FrameReader((frame) => take(frame));
  let upgraded = false;
  let binary = false;
  let code: number | null = null;
  let last = '';
  let wake = (): void => {};
  const opened = Promise.withResolvers<void>();
  const reader = new ReplyReader(
    () => false,
    (reply) => {
      upgraded = reply.status === 101;
      binary = reply.headers['sec-websocket-protocol'] === BINARY_SUBPROTOCOL;
      if (!upgraded) tried.refusal = reply;
      opened.resolve();
    },
  );
  void closed.then(() => opened.resolve());
  const complain = (what: string): void => void tried.complaints.push(what);

  function take({ opcode, payload }: Frame): void {
    if (opcode === CLOSE) {
      code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      return;
    }
    if (opcode === PING || opcode === PONG) return;
    tried.received++;
    if (opcode !== (binary ? BINARY : TEXT)) {
      complain(`a message in another form than was agreed on: opcode ${opcode}`);
      return;
    }
    const text = payload.toString('utf8');
    try {
      const message: Message = binary ? decode(payload) : JSON.parse(text);
      assertFitsContract(message);
      last = message.type;
      if (tried.received === 1 && last !== 'hello') complain(`the first message is ${text.slice(0, 200)}`);
    } catch (error) {
      complain(`the message ${text.slice(0, 500)}: ${String(error).slice(0, 500)}`);
    }
    wake();
  }
  socket.on('data', (bytes: Buffer) => {
    try {
      if (upgraded) return frames.feed(bytes);
      reader.feed(bytes);
      if (upgraded) frames.feed(reader.rest());
    } catch (error) {
      complain((error as Error).message);
      socket.destroy();
    }
  });

  socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  await Promise.race([opened.promise, sleep(60_000, undefined, { ref: false })]);
  if (!upgraded) {
    if (tried.refusal === null) complain('an upgrade without an answer');
    socket.destroy();
    return tried;
  }
  const send = (bytes: Buffer, what: string): void => {
    tried.sent++;
    tried.script.push(what);
    if (socket.writable) socket.write(bytes);
  };
  for (let i = 1 + dice(12); i > 0 && socket.writable; i--) {
    if (dice(4) > 0) {
      // In the form that was agreed on, and seldom in the other; there a client may say it either way.
      const asBinary = binary ? dice(4) > 0 : dice(40) === 0;
      const payload = message(values, dice, binary && asBinary);
      send(frameOf({ opcode: asBinary ? BINARY : TEXT, payload }), payload.toString('latin1').slice(0, 2_000));
    } else {
      const bytes = oddFrame(dice);
      send(bytes, `odd frame ${bytes.subarray(0, 64).toString('hex')} (${bytes.length} bytes)`);
    }
    if (dice(8) === 0) await sleep(1);
  }
  switch (dice(4)) {
    case 0:
      // Whoever gets through all of it is answered.
      send(frameOf({ opcode: TEXT, payload: Buffer.from('{"type":"ping"}') }), 'ping');
      {
        const answered = new Promise<void>((resolve) => {
          wake = () => {
            if (last === 'pong' || last === 'error') resolve();
          };
        });
        // An odd frame before it may have cut it off, or made it part of a frame that has not ended; then there is no answer.
        await Promise.race([
          answered,
          closed,
          sleep(tried.script.some((line) => line.startsWith('odd')) ? ODD_MS : ANSWER_MS, undefined, { ref: false }),
        ]);
      }
      break;
    case 1:
      send(frameOf({ opcode: CLOSE, payload: Buffer.from([3, 232]) }), 'close');
      await Promise.race([closed, sleep(ODD_MS, undefined, { ref: false })]);
      break;
    default:
      await Promise.race([closed, sleep(dice(ODD_MS), undefined, { ref: false })]);
  }
  if (dice(2) === 0) socket.destroy();
  else socket.resetAndDestroy();
  await closed;
  if (code !== null && !CLOSE_CODES.has(code)) complain(`closed with ${code}`);
  return tried;
}

function message(values: Values, dice: Dice, asCbor: boolean): Buffer {
  const fitting = values.fitting(pick(MESSAGES, dice), dice);
  const how = dice(10);
  if (asCbor) return cborOf(how < 6 ? fitting : values.spoiled(fitting, dice), how, dice);
  if (how < 6) return Buffer.from(JSON.stringify(fitting));
  if (how < 8) return Buffer.from(JSON.stringify(values.spoiled(fitting, dice)) ?? '');
  return values.spoiledText(JSON.stringify(fitting), dice);
}

/** Of what JSON would make of it, as that is all that is written; now and then with bytes changed, left out or put in. */
function cborOf(value: unknown, how: number, dice: Dice): Buffer {
  const plain = JSON.parse(JSON.stringify(value) ?? 'null') as unknown;
  const bytes = Buffer.from(encodeCbor(plain));
  if (how < 8) return bytes;
  const at = dice(bytes.length);
  switch (dice(3)) {
    case 0:
      bytes[at] = dice(256);
      return bytes;
    case 1:
      return bytes.subarray(0, at);
    default:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from([dice(256), dice(256)]), bytes.subarray(at)]);
  }
}

interface Frame {
  opcode: number;
  payload: Buffer;
}

interface FrameForm extends Frame {
  /** The first byte as it is, in place of an end and the opcode. */
  first?: number;
  masked?: boolean;
  /** What the length says, if not the payload's. */
  length?: bigint;
}

function frameOf({
  opcode,
  payload,
  first = 0x80 | opcode,
  masked = true,
  length = BigInt(payload.length),
}: FrameForm): Buffer {
  const mask = masked ? 0x80 : 0;
  let head: Buffer;
  if (length < 126n) head = Buffer.from([first, mask | Number(length)]);
  else if (length < 65_536n) {
    head = Buffer.from([first, mask | 126, 0, 0]);
    head.writeUInt16BE(Number(length), 2);
  } else {
    head = Buffer.from([first, mask | 127, 0, 0, 0, 0, 0, 0, 0, 0]);
    head.writeBigUInt64BE(length, 2);
  }
  // A mask of zeros leaves the payload as it is.
  return masked ? Buffer.concat([head, Buffer.alloc(4), payload]) : Buffer.concat([head, payload]);
}

function oddFrame(dice: Dice): Buffer {
  const some = Buffer.from('{"type":"ping"}');
  switch (dice(16)) {
    case 0:
      return frameOf({ opcode: TEXT, payload: some, masked: false });
    case 1:
      return frameOf({ opcode: pick([3, 4, 5, 6, 7, 11, 12, 13, 14, 15], dice), payload: some });
    case 2:
      return frameOf({ opcode: TEXT, payload: some, first: pick([0xc1, 0xa1, 0x91, 0xf1], dice) });
    case 3:
      return frameOf({
        opcode: TEXT,
        payload: some,
        length: pick([2n ** 63n, 2n ** 63n - 1n, 2n ** 53n, 2n ** 32n, 65_537n, 65_536n, 16n], dice),
      });
    case 4:
      return frameOf({ opcode: PING, payload: Buffer.alloc(126) });
    case 5:
      return frameOf({ opcode: PING, payload: some, first: PING });
    case 6:
      return frameOf({
        opcode: CLOSE,
        payload: pick(
          [[3], [3, 237], [0, 0], [3, 232, 0xff, 0xff], [0x13, 0x88], [3, 233]].map((bytes) => Buffer.from(bytes)),
          dice,
        ),
      });
    case 7:
      return frameOf({ opcode: TEXT, payload: Buffer.from([0x22, 0xff, 0xc0, 0x22]) });
    case 8:
      return frameOf({ opcode: CONTINUATION, payload: some });
    case 9: {
      const [a, b] = [some.subarray(0, 5), some.subarray(5)];
      return Buffer.concat([
        frameOf({ opcode: TEXT, payload: a, first: TEXT }),
        frameOf({ opcode: PING, payload: a }),
        frameOf({ opcode: CONTINUATION, payload: b }),
      ]);
    }
    case 10:
      return Buffer.concat([
        frameOf({ opcode: TEXT, payload: some, first: TEXT }),
        frameOf({ opcode: TEXT, payload: some }),
      ]);
    case 11:
      return frameOf({ opcode: TEXT, payload: Buffer.alloc(MOST_MESSAGE_BYTES + dice(3) - 1, 0x20) });
    case 12:
      return Buffer.concat(
        Array.from({ length: 130 }, () => frameOf({ opcode: dice(2) === 0 ? PING : PONG, payload: some })),
      );
    case 13:
      return Buffer.concat(
        Array.from({ length: 200 }, (_, i) =>
          frameOf({
            opcode: i === 0 ? TEXT : CONTINUATION,
            payload: Buffer.alloc(dice(2) * 600),
            first: i === 0 ? TEXT : CONTINUATION,
          }),
        ),
      );
    case 14:
      return frameOf({ opcode: TEXT, payload: some }).subarray(0, dice(some.length + 6));
    default:
      return Buffer.from(Array.from({ length: 1 + dice(200) }, () => dice(256)));
  }
}

/** Frames of a server: never masked, and never in parts, as this one sends them. */
class FrameReader {
  private bytes: Buffer = Buffer.alloc(0);
  private readonly take: (frame: Frame) => void;

  constructor(take: (frame: Frame) => void) {
    this.take = take;
  }

  feed(bytes: Buffer): void {
    this.bytes = Buffer.concat([this.bytes, bytes]);
    for (;;) {
      if (this.bytes.length < 2) return;
      const first = this.bytes[0]!;
      const short = this.bytes[1]!;
      if ((first & 0xf0) !== 0x80 || short >= 0x80) throw new Error(`no frame of a server: ${first} ${short}`);
      const at = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (this.bytes.length < at) return;
      const length =
        short < 126 ? short : short === 126 ? this.bytes.readUInt16BE(2) : Number(this.bytes.readBigUInt64BE(2));
      if (this.bytes.length < at + length) return;
      const payload = this.bytes.subarray(at, at + length);
      this.bytes = this.bytes.subarray(at + length);
      this.take({ opcode: first & 15, payload });
    }
  }
}

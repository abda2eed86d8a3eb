/** What is no HTTP, or hardly: each on a connection of its own, which it may not survive. The server has to. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Dice } from '../dice.ts';
import { connected, type Reply, ReplyReader } from './connection.ts';
import { bytesOf, type FuzzRequest } from './requests.ts';
import { pick } from './values.ts';

export interface Rubbish {
  what: string;
  /** Sent one after the other, with a pause between. */
  parts: Buffer[];
  /** What comes behind the last part. `linger`: nothing, for as long as the server lets it. */
  end: 'close' | 'half-close' | 'reset' | 'wait' | 'linger';
  /** How many replies there may be at most. */
  mostReplies: number;
}

/** Sessions of this name come to be only if the body of one request is taken for another request. */
export const SMUGGLED = 'smuggled';
const WAIT_MS = 40;
/** Longer than the server waits for headers. */
const LINGER_MS = 13_000;

const GET = 'GET /v1 HTTP/1.1\r\nhost: localhost\r\n\r\n';
const SMUGGLED_BODY = `{"name":"${SMUGGLED}"}`;
const SMUGGLED_REQUEST = `POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${SMUGGLED_BODY.length}\r\n\r\n${SMUGGLED_BODY}`;
const ODD_LENGTHS = [
  '-1',
  '+2',
  '0x2',
  '2.0',
  '1e1',
  ' ',
  '2, 2',
  '2,3',
  '99999999999999999999',
  '9007199254740993',
  '2 2',
  '\t',
  'two',
];
const ODD_CODINGS = [
  'xchunked',
  'chunked, identity',
  'identity',
  'chunked, chunked',
  'gzip, chunked',
  'CHUNKED ',
  '"chunked"',
  'chunked;a=b',
  '\u000bchunked',
  ',chunked',
  '',
];
const ODD_CHUNKS = [
  '-1\r\n',
  'ffffffffffffffff\r\n',
  'fffffffffffffffffffff\r\n',
  'g\r\n',
  '\r\n',
  '2\nab\n0\n\n',
  '0x2\r\nab\r\n',
  `2;${'e'.repeat(20_000)}\r\nab\r\n`,
  '2\r\nabc\r\n',
  ' 2\r\nab\r\n',
  `0\r\n${'t: x\r\n'.repeat(3000)}\r\n`,
  '0\r\ncontent-length: 5\r\n\r\n',
];
const ODD_HEADERS = [
  'a',
  ': b',
  'a b: c',
  'a\u0000: b',
  'a: \u0000',
  'a: b\rc',
  '\ta: b',
  ' a: b',
  'a:b\r\n c',
  'host: other',
  `a: ${'x'.repeat(20_000)}`,
  'a:\u00ff\u00fe',
  'transfer-encoding : chunked',
  'content-length : 3',
  '\u{1}: \u{2}',
  'connection: close, keep-alive, te, upgrade',
  'upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAA',
  'upgrade: websocket\r\nconnection: upgrade',
  'expect: 100-continue',
  'expect: 200-maybe',
  'connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 12\r\nsec-websocket-key: x',
];
const ODD_LINES = [
  'GET',
  'GET /v1',
  'GET /v1 HTTP/0.9',
  'GET /v1 HTTP/1.2',
  'GET /v1 HTTP/2.0',
  'get /v1 HTTP/1.1',
  'GET  /v1  HTTP/1.1',
  'GET\t/v1\tHTTP/1.1',
  'GET http://localhost/v1 HTTP/1.1',
  'GET http://evil.example/v1 HTTP/1.1',
  'GET //evil.example/v1 HTTP/1.1',
  'CONNECT localhost:80 HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'GET * HTTP/1.1',
  'GET v1 HTTP/1.1',
  'BREW /v1 HTTP/1.1',
  'M-SEARCH /v1 HTTP/1.1',
  'PRI * HTTP/2.0\r\n\r\nSM',
  'GET /v1\u0000 HTTP/1.1',
  'GET /v1/\u00e9 HTTP/1.1',
  `GET /${'x'.repeat(20_000)} HTTP/1.1`,
  `GET /v1?${'a&'.repeat(6_000)} HTTP/1.1`,
  'GET /v1#a HTTP/1.1',
  'GET /v1 HTTP/1.1 x',
  'HTTP/1.1 200 OK',
  '\r\n\r\n\r\nGET /v1 HTTP/1.1',
  'GET /v1 HTTQ/1.1',
  'SOURCE /v1 ICE/1.0',
  'GET /v1\\..\\ HTTP/1.1',
];

/** @param request one that could be sent as it is */
export function makeRubbish(request: FuzzRequest, dice: Dice): Rubbish {
  // Replies to HEAD cannot be told apart from what follows by whoever does not know what they are to.
  const whole = bytesOf(request.method === 'HEAD' ? { ...request, method: 'GET' } : request);
  const end = dice(2_000) === 0 ? 'linger' : pick(['close', 'half-close', 'reset', 'wait'] as const, dice);
  const one = (what: string, bytes: Buffer | string, mostReplies = 1): Rubbish => ({
    what,
    parts: [typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes],
    end,
    mostReplies,
  });
  switch (dice(12)) {
    case 0: {
      const bytes = Buffer.from(whole);
      for (let i = 1 + dice(4); i > 0; i--) bytes[dice(Math.min(bytes.length, 400))] = dice(256);
      // A length that has become smaller makes requests of the rest of the body.
      return one('bytes changed', bytes, 50);
    }
    case 1:
      return one('cut', whole.subarray(0, dice(whole.length)));
    case 2: {
      const at = dice(whole.length);
      const cut = dice(Math.min(40, whole.length - at));
      return {
        ...one('in pieces', whole),
        parts: [whole.subarray(0, at), whole.subarray(at, at + cut), whole.subarray(at + cut)],
      };
    }
    case 3: {
      const text = `POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${pick(ODD_LENGTHS, dice)}\r\n\r\n{}`;
      return one('odd length', text, 3);
    }
    case 4:
      return smuggling(one, dice);
    case 5: {
      const head =
        'POST /v1/sessions/s0/ops HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n';
      const line = '{"op":"advance","ns":1}\n';
      const good = dice(2) === 0 ? `${line.length.toString(16)}\r\n${line}\r\n` : '';
      return one('odd chunks', `${head}${good}${pick(ODD_CHUNKS, dice)}`, 3);
    }
    case 6: {
      const many = 2 + dice(30);
      const text = Buffer.concat(Array.from({ length: many }, () => (dice(3) === 0 ? whole : Buffer.from(GET))));
      const at = dice(text.length);
      return { ...one('pipelined', text, many), parts: [text.subarray(0, at), text.subarray(at)] };
    }
    case 7: {
      const bytes = Buffer.from(Array.from({ length: 1 + dice(600) }, () => dice(256)));
      const start = pick(
        ['', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000', 'GET ', '\u0000', 'POST /v1/sessions HTTP/1.1\r\n'],
        dice,
      );
      return one('random bytes', Buffer.concat([Buffer.from(start, 'latin1'), bytes]), 3);
    }
    case 8:
      return one('odd header', `GET /v1 HTTP/1.1\r\nhost: localhost\r\n${pick(ODD_HEADERS, dice)}\r\n\r\n`, 2);
    case 9:
      return one('odd request line', `${pick(ODD_LINES, dice)}\r\nhost: localhost\r\n\r\n`, 4);
    case 10: {
      const text = whole.toString('latin1');
      const ending = pick(['\n', '\r', '\r\r\n', '\n\r\n'], dice);
      return one('odd line ends', text.replaceAll('\r\n', ending), 5);
    }
    default: {
      // Bytes that trickle.
      const from = dice(Math.max(1, whole.length - 12));
      const parts = [
        whole.subarray(0, from),
        ...Array.from({ length: Math.min(10, whole.length - from) }, (_, i) => whole.subarray(from + i, from + i + 1)),
      ];
      return { ...one('trickling', whole), parts };
    }
  }
}

/** One request by one of two ways to tell its end, two by the other. */
function smuggling(one: (what: string, bytes: string, mostReplies?: number) => Rubbish, dice: Dice): Rubbish {
  const start = 'POST /v1/sessions/none/advance HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';
  const inside = `0\r\n\r\n${SMUGGLED_REQUEST}`;
  const length = `content-length: ${inside.length}\r\n`;
  const coding = `transfer-encoding: chunked\r\n`;
  switch (dice(6)) {
    case 0:
      return one('smuggling, length and chunks', `${start}${length}${coding}\r\n${inside}`);
    case 1:
      return one('smuggling, chunks and length', `${start}${coding}${length}\r\n${inside}`);
    case 2:
      return one(
        'smuggling, two lengths',
        `${start}content-length: ${inside.length}\r\ncontent-length: 5\r\n\r\n${inside}`,
      );
    case 3:
      return one(
        'smuggling, odd coding',
        `${start}${length}transfer-encoding: ${pick(ODD_CODINGS, dice)}\r\n\r\n${inside}`,
      );
    case 4:
      return one(
        'smuggling, folded header',
        `${start}${length}a: b\r\n transfer-encoding: chunked\r\n\r\n${inside}`,
        1,
      );
    default:
      return one('smuggling, bare line end', `${start}${length}a: b\ntransfer-encoding: chunked\r\n\r\n${inside}`, 1);
  }
}

/** @throws when what comes back is no HTTP */
export async function throwRubbish(port: number, { parts, end }: Rubbish): Promise<Reply[]> {
  const socket = await connected(port);
  const replies: Reply[] = [];
  let trouble: Error | null = null;
  const reader = new ReplyReader(
    () => false,
    (reply) => replies.push(reply),
  );
  const closed = once(socket, 'close').catch(() => {});
  socket.on('error', () => {});
  socket.on('data', (bytes: Buffer) => {
    // After an upgrade comes what is no HTTP, and to HEAD no body: neither is looked at.
    if (trouble !== null || replies.some(({ status }) => status === 101)) return;
    try {
      reader.feed(bytes);
    } catch (error) {
      trouble = error as Error;
      socket.destroy();
    }
  });
  for (const [i, part] of parts.entries()) {
    if (i > 0) await sleep(1);
    if (!socket.writable) break;
    socket.write(part);
  }
  if (end === 'half-close') socket.end();
  if (end === 'reset') await sleep(1);
  else
    await Promise.race([
      closed,
      sleep(end === 'linger' ? LINGER_MS : end === 'close' ? 5 : WAIT_MS, undefined, { ref: false }),
    ]);
  if (end === 'reset') socket.resetAndDestroy();
  else socket.destroy();
  await closed;
  if (trouble !== null) throw trouble;
  return replies;
}

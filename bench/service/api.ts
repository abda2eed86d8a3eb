/** Calls of the API as the benches need them: JSON in, JSON out, keep-alive, on loopback. */
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';

export type Json = Record<string, unknown>;

export class Api {
  private readonly port: number;
  private readonly agent = new Agent({ keepAlive: true });

  constructor(port: number) {
    this.port = port;
  }

  /** @throws Error on any status of 400 and above */
  async call(method: string, path: string, body?: object): Promise<Json> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const reply = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = text === undefined ? {} : { 'content-type': 'application/json' };
      const sent = httpRequest(
        { host: '127.0.0.1', port: this.port, method, path, headers, agent: this.agent },
        resolve,
      );
      sent.on('error', reject);
      sent.end(text);
    });
    let answer = '';
    for await (const piece of reply.setEncoding('utf8')) answer += piece;
    if (reply.statusCode! >= 400) throw new Error(`${method} ${path}: ${reply.statusCode} ${answer}`);
    return JSON.parse(answer) as Json;
  }

  /** Sends lines to `ops` while it reads the replies, which go to `take` piece by piece. */
  async ops(session: string, lines: Buffer, take: (bytes: Buffer) => void, onError = 'stop'): Promise<void> {
    const reply = await new Promise<IncomingMessage>((resolve, reject) => {
      const path = `/v1/sessions/${session}/ops?onError=${onError}`;
      const headers = { 'content-type': 'application/x-ndjson', 'content-length': lines.length };
      const sent = httpRequest(
        { host: '127.0.0.1', port: this.port, method: 'POST', path, headers, agent: this.agent },
        resolve,
      );
      sent.on('error', reject);
      sent.end(lines);
    });
    reply.on('data', take);
    await new Promise<void>((resolve, reject) => {
      reply.on('end', resolve);
      reply.on('error', reject);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}

const LINE_END = 10;

/** Counts reply lines, and keeps the last one for a look at what it says. */
export class ReplyLines {
  count = 0;
  bytes = 0;
  private tail = '';

  readonly take = (piece: Buffer): void => {
    this.bytes += piece.length;
    for (let at = piece.indexOf(LINE_END); at !== -1; at = piece.indexOf(LINE_END, at + 1)) this.count++;
    this.tail = (this.tail + piece.toString('latin1')).slice(-2048);
  };

  last(): Json {
    return JSON.parse(this.tail.trimEnd().split('\n').at(-1)!) as Json;
  }
}

/**
 * The server stands whatever it is sent: requests and messages of the contract and around it, and bytes that are no HTTP. The first
 * half goes to a server that asks nobody who they are, the second to one that asks for tokens.
 *
 * Where it was broken off it goes on: the number reached stands in `progress.json` of its folder. What a number makes depends on the
 * seed, on the number, and on ids that replies have told before.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LIMITS } from '../../src/api/limits.ts';
import { diceOf } from './dice.ts';
import { Connection, type Reply } from './fuzz/connection.ts';
import { tryEvents } from './fuzz/events.ts';
import { complaintOf, rubbishComplaintOf } from './fuzz/judge.ts';
import { bytesOf, type FuzzRequest, Requests } from './fuzz/requests.ts';
import { makeRubbish, type Rubbish, throwRubbish } from './fuzz/rubbish.ts';
import { makeStreamCase, tryStream } from './fuzz/streams.ts';
import { Things } from './fuzz/things.ts';
import { Values } from './fuzz/values.ts';
import { SESSIONS, World } from './fuzz/world.ts';
import { writeReport } from './report.ts';
import { growthOf, LARGEST_GROWTH, mebibytes, residentBytes, shown } from './resident.ts';
import type { ProofSettings } from './settings.ts';

export interface FuzzProof {
  requests: number;
  messages: number;
  rubbish: number;
  /** By status, of requests. */
  statuses: Record<string, number>;
  /** `ops` that were cut short: their session went, or their token. */
  cut: number;
  sessionsCompared: number;
  /** MiB over time, of each server. */
  residentMiB: Record<string, number[]>;
  /** Medians of the last quarter against the second one. */
  growth: Record<string, number>;
  seconds: number;
  complaints: string[];
}

const CHAPTER = 5_000;
const CONNECTIONS = 8;
/** Requests under way on each. */
const DEPTH = 4;
const REPLY_MS = 60_000;
const SAMPLE_MS = 500;
/** A server that takes so much is ended, before it takes what others on the machine need. */
const LARGEST_RESIDENT = 8 * 2 ** 30;
/** Below this many numbers a server has not come to rest, and its growth is told, not judged. */
const JUDGED_FROM = 200_000;
const MOST_COMPLAINTS = 25;
/** So many requests to the same session are told with one that failed. */
const TOLD_BEFORE = 30;
const LARGEST_TOLD = 8_192;
const LONGEST_COMPLAINT = 400;
const CLOSED = 'closed without a reply';

export async function proveFuzz({ count, from, seed, folder, progress }: ProofSettings<FuzzProof>): Promise<FuzzProof> {
  const started = performance.now();
  mkdirSync(folder, { recursive: true });
  const place = join(folder, 'progress.json');
  const first = from > 0 ? from : reached(place, seed, count);
  if (first > 0) console.log(`going on at ${first}`);
  const proof: FuzzProof = {
    requests: 0,
    messages: 0,
    rubbish: 0,
    statuses: {},
    cut: 0,
    sessionsCompared: 0,
    residentMiB: {},
    growth: {},
    seconds: 0,
    complaints: [],
  };
  const half = Math.ceil(count / 2);
  for (const [name, begin, end] of [
    ['open', 0, half],
    ['guarded', half, count],
  ] as const) {
    if (first >= end || proof.complaints.length > 0) continue;
    const data = join(folder, name);
    rmSync(data, { recursive: true, force: true });
    const fuzz = new Fuzz(await World.start(data, seed, name === 'guarded'), seed, folder, proof);
    await fuzz.play(Math.max(begin, first), end, (number) => {
      writeFileSync(place, JSON.stringify({ seed, count, number }));
      progress?.(number, proof);
    });
    proof.residentMiB[name] = shown(fuzz.resident).map(mebibytes);
    const growth = growthOf(fuzz.resident);
    proof.growth[name] = Math.round(growth * 1000) / 1000;
    if (end - Math.max(begin, first) >= JUDGED_FROM && growth > LARGEST_GROWTH)
      proof.complaints.push(
        `${name}: resident memory of the last quarter is ${proof.growth[name]} times that of the second`,
      );
    if (proof.complaints.length === 0) rmSync(data, { recursive: true, force: true });
  }
  if (proof.complaints.length === 0) rmSync(place, { force: true });
  proof.seconds = Math.round((performance.now() - started) / 1000);
  report(proof, { count, first, seed, folder });
  return proof;
}

function report(
  proof: FuzzProof,
  { count, first, seed, folder }: { count: number; first: number; seed: number; folder: string },
): void {
  const number = (value: number): string => value.toLocaleString('en');
  writeReport(folder, 'fuzz', {
    title: 'Requests and messages of the contract and around it',
    command: `npm run prove -- fuzz --count ${count} --seed ${seed}`,
    rows: [
      ...(first > 0 ? [['gone on at', first] as const] : []),
      ['requests', proof.requests],
      ['messages and frames to streams', proof.messages],
      ['connections with what is no HTTP', proof.rubbish],
      [
        'replies by status',
        Object.entries(proof.statuses)
          .map(([status, times]) => `${status}: ${number(times)}`)
          .join(', '),
      ],
      ['replies of `ops` cut short, with their session or their token', proof.cut],
      ['sessions compared after a kill and after an end in good order', proof.sessionsCompared],
      ['seconds', proof.seconds],
      ...Object.entries(proof.growth).map(
        ([name, growth]) =>
          [`resident memory, ${name}: median of the last quarter against the second`, growth] as const,
      ),
      ['complaints', proof.complaints.length],
    ],
    text: Object.entries(proof.residentMiB).flatMap(([name, series]) => [
      `Resident memory of the server, MiB, ${name}: ${series.join(' ')}`,
      '',
    ]),
  });
}

function reached(place: string, seed: number, count: number): number {
  try {
    const known = JSON.parse(readFileSync(place, 'utf8')) as { seed: number; count: number; number: number };
    return known.seed === seed && known.count === count ? known.number : 0;
  } catch {
    return 0;
  }
}

class Fuzz {
  private readonly world: World;
  private readonly seed: number;
  private readonly folder: string;
  private readonly proof: FuzzProof;
  private readonly things: Things;
  private readonly values: Values;
  private readonly requests: Requests;
  private readonly lines: Line[];
  /** By session, as text. */
  private readonly before = new Map<string, string[]>();
  /** By number, as text: without a reply so far, rubbish among them. */
  private readonly underWay = new Map<number, string>();
  /** What was complained of, by its kind. */
  private readonly known = new Map<string, number>();
  private readonly followUps = new Set<Promise<void>>();
  private readonly lingering = new Set<Promise<void>>();
  /** Bytes. */
  readonly resident: number[] = [];

  constructor(world: World, seed: number, folder: string, proof: FuzzProof) {
    this.world = world;
    this.seed = seed;
    this.folder = folder;
    this.proof = proof;
    this.things = new Things(
      {
        session: SESSIONS,
        tenant: ['guest', 'ten_0', 'ten_1', 'host'],
        domain: ['shared', 'own', 'dom_0', 'dom_1', 'dom_2'],
        device: ['nic0', 'disk0', 'nic0', 'dev_0', 'dev_1'],
        buffer: ['buf_1', 'buf_2', 'buf_3'],
        mapping: ['map_0_1', 'map_1_1', 'map_2_1'],
        workload: ['w0', 'w1', 'wl_1'],
        run: ['run_1', 'run_2'],
        principal: ['alice', 'bob', 'carol', 'nobody', 'local'],
      },
      world.spared,
    );
    this.values = new Values(seed, this.things);
    this.requests = new Requests(this.values, world.bearers());
    this.lines = Array.from({ length: CONNECTIONS }, () => new Line(() => this.world.server.port));
  }

  private get over(): boolean {
    return this.proof.complaints.length >= MOST_COMPLAINTS || this.world.server.gone;
  }

  async play(begin: number, end: number, reachedNumber: (number: number) => void): Promise<void> {
    const sampler = setInterval(() => this.sample(), SAMPLE_MS);
    try {
      for (let number = begin; number < end && !this.over; ) {
        const chapter = Math.floor(number / CHAPTER);
        await this.world.tidy(chapter);
        const chapterEnd = Math.min(end, (chapter + 1) * CHAPTER);
        const next = (): number => (number < chapterEnd && !this.over ? number++ : -1);
        await Promise.all(this.lines.flatMap((line) => Array.from({ length: DEPTH }, () => this.work(line, next))));
        await Promise.all(this.followUps);
        this.readLog();
        reachedNumber(number);
      }
      await Promise.allSettled(this.lingering);
    } finally {
      clearInterval(sampler);
      for (const line of this.lines) line.close();
    }
    if (this.world.server.gone) this.complain('the server is gone', 'gone', this.world.server.takeLog().slice(-20_000));
    else if (this.proof.complaints.length === 0) {
      const { compared, complaints } = await this.world.soundness();
      this.proof.sessionsCompared += compared;
      this.proof.complaints.push(...complaints);
      this.readLog();
    } else await this.world.server.stop();
  }

  private sample(): void {
    const { server } = this.world;
    if (server.gone) return;
    const bytes = residentBytes(server.pid);
    if (bytes > 0) this.resident.push(bytes);
    if (bytes < LARGEST_RESIDENT) return;
    this.complain(`${mebibytes(bytes)} MiB are resident`, 'resident', [...this.underWay.values()].join('\n\n'));
    void server.kill();
  }

  private async work(line: Line, next: () => number): Promise<void> {
    for (let number = next(); number >= 0; number = next()) {
      const dice = diceOf(this.seed * 1_000_003 + number);
      const kind = dice(100);
      this.underWay.set(number, `#${number}`);
      try {
        if (kind < 3) await this.rubbish(number, dice);
        else if (kind < 6) await this.stream(number, dice);
        else await this.request(number, line, this.requests.make(number, dice));
      } catch (error) {
        if (this.world.server.gone) return;
        this.complain(`number ${number}: ${String(error)}`, String(error), (error as Error).stack ?? '');
      } finally {
        this.underWay.delete(number);
      }
    }
  }

  private async request(number: number, line: Line, request: FuzzRequest): Promise<void> {
    const bytes = bytesOf(request);
    const text = `#${number} ${textOf(bytes)}`;
    const session = /^\/v1\/sessions\/([^/?]+)/.exec(request.target)?.[1] ?? '';
    const told = this.tell(session, text);
    this.underWay.set(number, text);
    const reply = await line.ask(bytes, request.method === 'HEAD');
    this.proof.requests++;
    // Refused before it was read: the refusal may be lost on the way.
    if (reply === CLOSED && (request.body?.length ?? 0) > LIMITS.bodyBytes) return;
    if (typeof reply === 'string') {
      this.complain(
        `number ${number}: ${request.method} ${request.target.slice(0, 200)}: ${reply}`,
        `${request.operation.operationId} ${reply}`,
        textOf(bytes, Number.POSITIVE_INFINITY),
      );
      return;
    }
    this.proof.statuses[reply.status] = (this.proof.statuses[reply.status] ?? 0) + 1;
    if (reply.cut) this.proof.cut++;
    this.things.learn(reply.body);
    if (reply.status === 202 && request.operation.operationId === 'startRun') this.endRun(line, request, reply);
    const complaint = complaintOf(request, reply);
    if (complaint === null) return;
    const others = complaint.startsWith('504') ? ['UNDER WAY', ...this.underWay.values(), ''] : [];
    const files = [
      ...others,
      ...told.slice(0, -1),
      '',
      'REQUEST',
      textOf(bytes, Number.POSITIVE_INFINITY),
      '',
      'REPLY',
      JSON.stringify(reply),
    ];
    this.complain(
      `number ${number}: ${request.method} ${request.target.slice(0, 200)}: ${complaint}`,
      `${request.operation.operationId} ${complaint.slice(0, 60)}`,
      files.join('\n'),
    );
  }

  /** A run may be told to go on for ever, and nothing can be changed meanwhile: it is ended after a while. */
  private endRun(line: Line, request: FuzzRequest, reply: Reply): void {
    const { id } = JSON.parse(reply.body) as { id: string };
    const [, session] = /^\/v1\/sessions\/([^/?]+)/.exec(request.target)!;
    const authorization = request.headers.find(([name]) => name === 'authorization');
    const head = [
      `DELETE /v1/sessions/${session}/runs/${id} HTTP/1.1`,
      'host: localhost',
      ...(authorization === undefined ? [] : [authorization.join(': ')]),
    ];
    const followUp = sleep(50 + (this.proof.requests % 150))
      .then(() => line.ask(Buffer.from(`${head.join('\r\n')}\r\n\r\n`), false))
      .then(() => void this.followUps.delete(followUp));
    this.followUps.add(followUp);
  }

  private async rubbish(number: number, dice: ReturnType<typeof diceOf>): Promise<void> {
    const rubbish = makeRubbish(this.requests.make(number, dice), dice);
    const script = rubbish.parts.map((part) => textOf(part, Number.POSITIVE_INFINITY)).join('\n--- then\n');
    this.proof.rubbish++;
    this.underWay.set(number, `#${number} ${rubbish.what}\n${script}`);
    const thrown = this.judgeRubbish(number, rubbish, script);
    if (rubbish.end !== 'linger') return thrown;
    // Nobody waits for those that the server lets wait.
    const lingering = thrown.then(() => void this.lingering.delete(lingering));
    this.lingering.add(lingering);
  }

  private async judgeRubbish(number: number, rubbish: Rubbish, script: string): Promise<void> {
    let replies: Reply[];
    try {
      replies = await throwRubbish(this.world.server.port, rubbish);
    } catch (error) {
      if (this.world.server.gone) return;
      this.complain(`number ${number}, ${rubbish.what}: ${String(error)}`, String(error), script);
      return;
    }
    for (const reply of replies) {
      // Whose reply it is cannot be known, so that one to HEAD may look as if it were cut short.
      const complaint = rubbishComplaintOf(reply, true);
      if (complaint !== null)
        this.complain(
          `number ${number}, ${rubbish.what}: ${complaint}`,
          `${rubbish.what} ${complaint}`,
          `${script}\n\n${JSON.stringify(replies)}`,
        );
    }
    if (replies.length > rubbish.mostReplies)
      this.complain(
        `number ${number}, ${rubbish.what}: ${replies.length} replies`,
        rubbish.what,
        `${script}\n\n${JSON.stringify(replies)}`,
      );
  }

  private async stream(number: number, dice: ReturnType<typeof diceOf>): Promise<void> {
    const bearer = this.world.bearers()(dice);
    const { port } = this.world.server;
    const tried =
      dice(3) === 0
        ? await tryEvents(port, this.values, bearer, dice)
        : await tryStream(port, makeStreamCase(this.values, bearer, dice), this.values, dice);
    this.proof.messages += tried.sent;
    const complaints = [...tried.complaints];
    const refusal = tried.refusal === null ? null : rubbishComplaintOf(tried.refusal);
    if (refusal !== null) complaints.push(refusal);
    for (const complaint of complaints)
      this.complain(
        `number ${number}, a stream: ${complaint}`,
        `stream ${complaint.slice(0, 40)}`,
        tried.script.join('\n'),
      );
  }

  private readLog(): void {
    for (const line of this.world.server.takeLog().split('\n')) {
      if (line === '') continue;
      const { level = 100, msg = line } = logged(line);
      if (level >= 50) this.complain(`the log: ${line.slice(0, 1_000)}`, `log ${msg}`, line);
    }
  }

  private tell(session: string, text: string): string[] {
    let told = this.before.get(session);
    if (told === undefined) {
      if (this.before.size > 100) this.before.clear();
      this.before.set(session, (told = []));
    }
    told.push(text);
    if (told.length > TOLD_BEFORE) told.shift();
    return told;
  }

  /** @param kind only the first of each kind is told */
  private complain(what: string, kind: string, details: string): void {
    const times = (this.known.get(kind) ?? 0) + 1;
    this.known.set(kind, times);
    if (times > 1 || this.proof.complaints.length >= MOST_COMPLAINTS) return;
    const short = what.replace(/\s+/g, ' ').slice(0, LONGEST_COMPLAINT);
    const file = join(this.folder, `complaint-${this.proof.complaints.length + 1}.txt`);
    writeFileSync(file, `${what}\n\n${details}\n`, 'latin1');
    this.proof.complaints.push(`${short} (seed ${this.seed}; all of it in ${file})`);
    console.log(this.proof.complaints.at(-1));
  }
}

function logged(line: string): { level?: number; msg?: string } {
  try {
    return JSON.parse(line) as { level?: number; msg?: string };
  } catch {
    return {};
  }
}

/** For a file: one character a byte. */
function textOf(bytes: Buffer, most = LARGEST_TOLD): string {
  const text = bytes.toString('latin1', 0, Math.min(most, bytes.length));
  return text.length < bytes.length ? `${text}... (${bytes.length} bytes)` : text;
}

/** A connection, and the next one when the server has closed it. */
class Line {
  private readonly port: () => number;
  private opening: Promise<Connection> | null = null;

  constructor(port: () => number) {
    this.port = port;
  }

  /** @returns text: why there is no reply */
  async ask(bytes: Buffer, isHead: boolean): Promise<Reply | string> {
    // Behind a request after which the server closes there is no answer, and where a body had not been read, what came before may be
    // lost on the way, too, and no fault in that: each is asked again, at last on a connection of its own.
    for (let attempt = 0; attempt <= 2 * DEPTH; attempt++) {
      const alone = attempt === 2 * DEPTH;
      const connection = alone ? await Connection.to(this.port()) : await this.connection();
      let late: Buffer | null = null;
      const timer = setTimeout(() => {
        late = connection.first;
        connection.destroy();
      }, REPLY_MS);
      const reply = await connection.send(bytes, isHead);
      clearTimeout(timer);
      if (alone) connection.destroy();
      if (late !== null) return `no reply within ${REPLY_MS / 1000} s to ${textOf(late, 2_000)}`;
      if (connection.trouble !== null) return connection.trouble.message;
      if (reply !== null && (!reply.cut || alone)) return reply;
    }
    return CLOSED;
  }

  private async connection(): Promise<Connection> {
    if (this.opening !== null) {
      const known = await this.opening;
      if (known.open) return known;
    }
    // Who came first may have opened another one meanwhile.
    const before = this.opening;
    await null;
    if (this.opening === before) this.opening = Connection.to(this.port());
    return this.opening!;
  }

  close(): void {
    void this.opening?.then((connection) => connection.destroy());
  }
}

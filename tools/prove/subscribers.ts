/**
 * Many subscribers on one session: whether each has every frame or a gap in its place, how long frames take to them, what one costs
 * that does not read; and, in the same run, the cost of a frame beside that of a bare `ws` server that sends the same bytes to as many.
 *
 * The two servers take turns, each a process of its own, and all clients are in this one. Both send ten times a second, so what
 * differs is not how many frames they send but what that takes: the ratio is of core time for each frame delivered, of the thread that
 * sends. On the side of this server that is all but the simulation and its journal, which no broadcast has; what they take stands beside it.
 */
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { Child } from '../../bench/child.ts';
import { diceOf } from './dice.ts';
import { writeReport } from './report.ts';
import type { ProofSettings } from './settings.ts';
import { continuityOf } from './subscribers/continuity.ts';
import { Listener } from './subscribers/listener.ts';
import type { BareQuestion, Measured, ServerGreeting, ServerQuestion, Weighed } from './subscribers/questions.ts';
import { WAYS, wander } from './subscribers/wanderers.ts';

export interface SubscribersProof {
  subscribers: number;
  /** Of metrics: recorded, and delivered to all together. */
  framesRecorded: number;
  framesDelivered: number;
  framesInGaps: number;
  framesASecond: number;
  frameBytes: number;
  /** Milliseconds from the history to a client. */
  latencyMs: Latency;
  bareLatencyMs: Latency;
  /** Microseconds of a core for each frame delivered: the thread that sends, and all threads. */
  sendingUs: { server: number; bare: number };
  processUs: { server: number; bare: number };
  /** Of the two, bare over server, in each round. */
  ratios: number[];
  stalledReaders: number;
  /** What the process has more for each: resident, and used by JavaScript. */
  stalledReaderBytes: { resident: number; used: number };
  /** In the fullest socket. */
  mostWaitingBytes: number;
  wanderers: { visits: number; frames: number; inGaps: number };
  complaints: string[];
}

export interface Latency {
  p50: number;
  p99: number;
  max: number;
}

export interface SubscribersSettings extends ProofSettings<SubscribersProof> {
  /** How long each server sends. */
  seconds: number;
}

const ROUNDS = 3;
const EVERY_MS = 100;
/** The judged size; figures of smaller runs, on whatever machine, are told and not judged. */
const FULL_SIZE = 1_000;
const LARGEST_P99_MS = 100;
const LEAST_RATIO = 0.8;
const LARGEST_STALLED_BYTES = 2 ** 20;
/** Half of what may wait in a socket. */
const BEHIND_BYTES = 64 * 1024;
const STALLED_SHARE = 10;
/** Fewer, and what a process has more by chance is too much for each. */
const LEAST_STALLED = 50;
const MOST_STALLED = 100;
/** For the network to be full: it takes some megabytes for each before a server can tell. */
const MOST_ASKED = 90;
const WANDERERS_A_WAY = 4;
const HISTORY_SECONDS = 3;
const SETTLE_MS = 10_000;
const OPENED_AT_ONCE = 50;
const NONE: Latency = { p50: 0, p99: 0, max: 0 };

export async function proveSubscribers(settings: SubscribersSettings): Promise<SubscribersProof> {
  const { count, seconds, folder } = settings;
  mkdirSync(folder, { recursive: true });
  const proof: SubscribersProof = {
    subscribers: count,
    framesRecorded: 0,
    framesDelivered: 0,
    framesInGaps: 0,
    framesASecond: 0,
    frameBytes: 0,
    latencyMs: NONE,
    bareLatencyMs: NONE,
    sendingUs: { server: 0, bare: 0 },
    processUs: { server: 0, bare: 0 },
    ratios: [],
    stalledReaders: 0,
    stalledReaderBytes: { resident: 0, used: 0 },
    mostWaitingBytes: 0,
    wanderers: { visits: 0, frames: 0, inGaps: 0 },
    complaints: [],
  };
  const server = await start('./subscribers/server.ts', folder);
  const bare = await start('./subscribers/bare.ts');
  // A server of its own for those that do not read: where a thousand were before, a hundred find room that is there already.
  let fresh: Running | null = null;
  try {
    await deliver(settings, server, bare, proof);
    [fresh] = await Promise.all([start('./subscribers/server.ts', folder), travel(settings, server, proof)]);
    await stall(settings, fresh, proof);
  } finally {
    await Promise.all([server, bare, fresh].map((running) => running?.child.stop()));
  }
  judge(proof);
  writeReport(folder, 'subscribers', {
    title: 'Verification: a thousand subscribers',
    command: `npm run prove -- subscribers --count ${count} --seconds ${seconds} --seed ${settings.seed}`,
    rows: rowsOf(proof),
    text: [],
  });
  return proof;
}

type Running = Awaited<ReturnType<typeof Child.start<ServerGreeting>>>;

const start = (script: string, ...words: string[]): Promise<Running> =>
  Child.start(new URL(script, import.meta.url), words);

const driven = (server: Running, seconds: number): Promise<Measured> =>
  server.child.ask({ ask: 'drive', seconds } satisfies ServerQuestion);

// -------------------------------------------------------------------------------------------------- delivery

async function deliver(
  { count, seconds, progress }: SubscribersSettings,
  server: Running,
  bare: Running,
  proof: SubscribersProof,
): Promise<void> {
  const path = `/v1/sessions/${server.greeting.session}/stream`;
  const ours = await openAll(count, server.greeting.port, path);
  for (const listener of ours) listener.say({ type: 'subscribe', topics: ['metrics'], everyMs: 10 });
  await until(() => ours.every(({ from }) => from !== null), 'the answers to all subscriptions');
  const theirs = await openAll(count, bare.greeting.port, '/');
  const payloads = new Payloads(server.greeting.port, path);
  await payloads.opened;

  const heard = { server: new Heard(), bare: new Heard() };
  for (let round = 0; round < ROUNDS; round++) {
    const measured = await driven(server, seconds / ROUNDS);
    const here = await hear(heard.server, ours, measured, proof);

    const texts = payloads.take();
    proof.frameBytes = Math.round(texts.reduce((sum, text) => sum + text.length, 0) / texts.length);
    const question: BareQuestion = { frames: texts, everyMs: EVERY_MS };
    const there = await hear(heard.bare, theirs, await bare.child.ask<Measured>(question), null);
    proof.ratios.push(round2(there / here));
    progress?.(round + 1, proof);
  }
  proof.framesASecond = round2((1000 * heard.server.intervals) / heard.server.intervalsMs);
  proof.latencyMs = latencyOf(heard.server.latenciesMs);
  proof.bareLatencyMs = latencyOf(heard.bare.latenciesMs);
  proof.sendingUs = { server: round2(mean(heard.server.sendingUs)), bare: round2(mean(heard.bare.sendingUs)) };
  proof.processUs = { server: round2(mean(heard.server.processUs)), bare: round2(mean(heard.bare.processUs)) };
  payloads.close();
  for (const listener of [...ours, ...theirs]) listener.close();
}

/** What listeners have heard in all rounds. */
class Heard {
  readonly latenciesMs: number[] = [];
  readonly sendingUs: number[] = [];
  readonly processUs: number[] = [];
  /** Between frames that followed each other, and how long all of them were. */
  intervals = 0;
  intervalsMs = 0;
}

/**
 * Takes what the listeners have heard of a round, when all of it is there or should be.
 *
 * @param proof null: of the bare server, whose frames have the numbers that they have on this one; it is their place that counts
 * @returns microseconds of the sending thread for each frame delivered
 */
async function hear(
  heard: Heard,
  listeners: readonly Listener[],
  { recorded, sendingSeconds, processSeconds }: Measured,
  proof: SubscribersProof | null,
): Promise<number> {
  const metrics = recorded.filter((frame) => frame.metrics);
  const last = metrics.at(-1)!.sequence;
  const whole = ({ sequences, gaps, closeCode }: Listener): boolean =>
    closeCode !== null ||
    (proof === null ? sequences.length === metrics.length : (sequences.at(-1) ?? 0) >= last || gaps.length > 0);
  const deadline = performance.now() + SETTLE_MS;
  while (!listeners.every(whole) && performance.now() < deadline) await sleep(10);
  heard.intervals += metrics.length - 1;
  heard.intervalsMs += metrics.at(-1)!.atMs - metrics[0]!.atMs;
  const madeMs = new Map(metrics.map((frame, i) => [proof === null ? i : frame.sequence, frame.atMs]));
  const sequences = metrics.map(({ sequence }) => sequence);
  let delivered = 0;
  for (const [i, listener] of listeners.entries()) {
    delivered += listener.sequences.length;
    for (const [nth, sequence] of listener.sequences.entries()) {
      const made = madeMs.get(proof === null ? nth : sequence);
      if (made !== undefined) heard.latenciesMs.push(listener.atMs[nth]! - made);
    }
    if (proof !== null) {
      const { inGaps, complaints } = continuityOf(sequences, listener.sequences, listener.gaps, 'metrics');
      proof.framesInGaps += inGaps;
      for (const complaint of complaints) proof.complaints.push(`subscriber ${i}: ${complaint}`);
      if (listener.closeCode !== null) proof.complaints.push(`subscriber ${i} was cut with ${listener.closeCode}`);
    }
    listener.forget();
  }
  const sendingUs = (sendingSeconds * 1e6) / delivered;
  heard.sendingUs.push(sendingUs);
  heard.processUs.push((processSeconds * 1e6) / delivered);
  if (proof !== null) {
    proof.framesRecorded += metrics.length;
    proof.framesDelivered += delivered;
  } else if (delivered !== metrics.length * listeners.length) {
    throw new Error(`the bare server delivered ${delivered} frames of ${metrics.length * listeners.length}`);
  }
  return sendingUs;
}

async function openAll(count: number, port: number, path: string): Promise<Listener[]> {
  const listeners: Listener[] = [];
  while (listeners.length < count) {
    const some = Math.min(OPENED_AT_ONCE, count - listeners.length);
    listeners.push(...(await Promise.all(Array.from({ length: some }, () => Listener.open(port, path)))));
  }
  return listeners;
}

/** One more subscriber, which keeps whole frames: what the bare server is to send. */
class Payloads {
  readonly opened: Promise<unknown>;
  private readonly socket: WebSocket;
  private texts: string[] = [];

  constructor(port: number, path: string) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
    this.socket.on('message', (data: Buffer) => {
      const text = data.toString();
      if (text.startsWith('{"type":"metrics"')) this.texts.push(text);
    });
    this.opened = new Promise((resolve, reject) => {
      this.socket.once('error', reject);
      this.socket.once('open', () => {
        this.socket.send(JSON.stringify({ type: 'subscribe', topics: ['metrics'], everyMs: 10 }));
        resolve(null);
      });
    });
  }

  /** Those of a round. */
  take(): string[] {
    const { texts } = this;
    this.texts = [];
    return texts;
  }

  close(): void {
    this.socket.terminate();
  }
}

// -------------------------------------------------------------------------------------------------- cut off, and back

async function travel({ seconds, seed }: SubscribersSettings, server: Running, proof: SubscribersProof): Promise<void> {
  const { port, session } = server.greeting;
  const { epoch, sequence } = await standing(port, session);
  let recorded: number[] | null = null;
  const journeys = WAYS.flatMap((way, w) =>
    Array.from({ length: WANDERERS_A_WAY }, (_, i) =>
      wander({
        port,
        session,
        way,
        dice: diceOf(seed * 1000 + w * 100 + i),
        epoch,
        from: sequence + 1,
        over: () => recorded !== null,
        last: () => recorded!.at(-1)!,
      }),
    ),
  );
  const measured = await driven(server, Math.min(seconds, 20));
  recorded = measured.recorded.filter(({ metrics }) => metrics).map((frame) => frame.sequence);
  for (const [i, { visits, sequences, gaps }] of (await Promise.all(journeys)).entries()) {
    const { received, inGaps, complaints } = continuityOf(recorded, sequences, gaps, 'metrics');
    proof.wanderers.visits += visits;
    proof.wanderers.frames += received;
    proof.wanderers.inGaps += inGaps;
    const way = WAYS[Math.floor(i / WANDERERS_A_WAY)];
    for (const complaint of complaints) proof.complaints.push(`wanderer ${i}, ${way}: ${complaint}`);
  }
}

async function standing(port: number, session: string): Promise<{ epoch: string; sequence: number }> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/sessions/${session}/stream`);
  const hello = await new Promise<string>((resolve, reject) => {
    socket.once('message', (data: Buffer) => resolve(data.toString()));
    socket.once('error', reject);
  });
  socket.terminate();
  return JSON.parse(hello) as { epoch: string; sequence: number };
}

// -------------------------------------------------------------------------------------------------- no reading

async function stall({ count }: SubscribersSettings, server: Running, proof: SubscribersProof): Promise<void> {
  const { port, session } = server.greeting;
  const readers = Math.min(MOST_STALLED, Math.max(LEAST_STALLED, Math.ceil(count / STALLED_SHARE)));
  const weigh = (): Promise<Weighed> =>
    server.child.ask({ ask: 'weigh', behindBytes: BEHIND_BYTES } satisfies ServerQuestion);
  // Something to send, and one that has come and gone, so that the first reader does not pay for what is needed once.
  await driven(server, HISTORY_SECONDS);
  for (const listener of await openAll(1, port, `/v1/sessions/${session}/stream`)) listener.close();
  const before = await weigh();
  const listeners = await openAll(readers, port, `/v1/sessions/${session}/stream`);
  for (const listener of listeners) listener.stall();
  const all = { type: 'subscribe', topics: ['metrics', 'runs'], everyMs: 10, fromSequence: 0 };
  let after = before;
  for (let asked = 0; asked < MOST_ASKED && after.behind < readers; asked++) {
    for (const listener of listeners) listener.say(all);
    // Below the rate at which messages are taken.
    await sleep(asked % 10 === 9 ? 0 : 60);
    if (asked % 10 === 9) after = await weigh();
  }
  if (after.behind < readers)
    proof.complaints.push(`only ${after.behind} of ${readers} readers could be made to stall`);
  proof.stalledReaders = readers;
  proof.stalledReaderBytes = {
    resident: Math.round((after.residentBytes - before.residentBytes) / readers),
    used: Math.round((after.usedBytes - before.usedBytes) / readers),
  };
  proof.mostWaitingBytes = after.mostWaitingBytes;
  for (const listener of listeners) listener.close();
}

// -------------------------------------------------------------------------------------------------- judgement

function judge(proof: SubscribersProof): void {
  const { complaints, stalledReaderBytes, latencyMs, subscribers } = proof;
  const stalledBytes = Math.max(stalledReaderBytes.resident, stalledReaderBytes.used);
  if (stalledBytes >= LARGEST_STALLED_BYTES) complaints.push(`a stalled reader costs ${stalledBytes} bytes`);
  if (subscribers < FULL_SIZE) return;
  if (latencyMs.p99 >= LARGEST_P99_MS) complaints.push(`of 100 frames one takes longer than ${latencyMs.p99} ms`);
  if (medianRatio(proof) < LEAST_RATIO) complaints.push(`the ratio to the bare server is ${medianRatio(proof)}`);
}

function medianRatio({ ratios }: SubscribersProof): number {
  return [...ratios].sort((one, other) => one - other)[ratios.length >> 1]!;
}

function rowsOf(proof: SubscribersProof): [string, string | number][] {
  const { latencyMs, bareLatencyMs, sendingUs, processUs, stalledReaderBytes, wanderers } = proof;
  const shown = ({ p50, p99, max }: Latency): string => `${p50}, ${p99}, ${max}`;
  return [
    ['subscribers', proof.subscribers],
    ['metrics frames recorded', proof.framesRecorded],
    ['a second', proof.framesASecond],
    ['bytes of one', proof.frameBytes],
    ['frames delivered', proof.framesDelivered],
    ['frames in gaps', proof.framesInGaps],
    ['latency, p50, p99, longest, ms', shown(latencyMs)],
    ['the same of the bare server', shown(bareLatencyMs)],
    ['core time of the sending thread a frame delivered, us', `${sendingUs.server}; bare ${sendingUs.bare}`],
    ['of all threads, us', `${processUs.server}; bare ${processUs.bare}`],
    ['ratio of the sending thread, bare over server, rounds', proof.ratios.join(', ')],
    ['ratio, median', medianRatio(proof)],
    ['stalled readers', proof.stalledReaders],
    ['bytes for each: resident, used', `${stalledReaderBytes.resident}, ${stalledReaderBytes.used}`],
    ['waiting in the fullest socket, bytes', proof.mostWaitingBytes],
    ['cut off and back: visits', wanderers.visits],
    ['frames to them', wanderers.frames],
    ['frames in gaps to them', wanderers.inGaps],
  ];
}

function latencyOf(values: number[]): Latency {
  const sorted = Float64Array.from(values).sort();
  const at = (part: number): number => round2(sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)]!);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await sleep(10);
  }
}

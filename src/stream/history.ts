/**
 * The recent frames of one session, numbered, for whoever listens or comes back. Every subscriber reads from here with a cursor of
 * its own, so a frame exists once however many wait for it, and a slow one costs nothing but its place.
 */
import type { SessionFrame } from '../host/host.ts';
import { encodeCbor } from './cbor.ts';
import type { StreamLimits } from './limits.ts';
import { METRICS, TOPIC_COUNT, topicIndex } from './topics.ts';
import { binaryMessage, payloadLength, textMessage } from './websocket-frame.ts';

export interface Frame {
  /** From 1 in each epoch. */
  sequence: number;
  /** Index into `TOPICS`. */
  topic: number;
  /** From 1 in each epoch, among the frames of its topic. */
  ordinal: number;
  /** `type` of the message: the topic, or `gap` in the place of a frame that was too large. */
  type: string;
  /** When it was recorded, monotonic wall clock. */
  atMs: number;
  /** The message in JSON as a WebSocket has it, head and all: the same bytes for every subscriber. */
  text: Buffer;
  /** Of `text`: the message without the head. Null until somebody wants it so. */
  json: Buffer | null;
  /** In CBOR, as a WebSocket has it. Null until somebody wants it so. */
  binary: Buffer | null;
  /** What stands before `json` in an event stream. Null until somebody wants it so. */
  eventHead: string | null;
}

/** An epoch that has ended. */
export interface PastEpoch {
  epoch: string;
  /** Its last sequence number, 0 when it had no frame. */
  last: number;
}

/** Bytes of the frames kept, of all histories together. */
export interface Kept {
  bytes: number;
}

type HistoryLimits = Pick<StreamLimits, 'historyFrames' | 'historyMs' | 'historyBytes' | 'frameBytes'>;

export class History {
  epoch: string;
  /** The epoch before this one; null in the first. */
  past: PastEpoch | null = null;
  /** Sequence of the newest frame, 0 before the first. */
  last = 0;
  /** Sequence of the newest metrics frame, 0 before the first. */
  lastMetrics = 0;
  /** Simulated time of the newest frame. */
  timeNs = 0;
  /** Of the frames kept, in all the forms in which they are. */
  bytes = 0;
  /** [topic]: frames recorded in this epoch. */
  readonly recorded = new Float64Array(TOPIC_COUNT);
  /** [topic]: of these, no longer kept. */
  readonly evicted = new Float64Array(TOPIC_COUNT);
  private readonly limits: HistoryLimits;
  private readonly kept: Kept;
  private epochText: string;
  /** The kept frames in order from `start` on; below it are holes, closed now and then. */
  private frames: (Frame | undefined)[] = [];
  private start = 0;

  constructor(epoch: string, limits: HistoryLimits, kept: Kept) {
    this.epoch = epoch;
    this.epochText = JSON.stringify(epoch);
    this.limits = limits;
    this.kept = kept;
  }

  get count(): number {
    return this.frames.length - this.start;
  }

  /** Sequence of the oldest frame kept; `last + 1` when none is. */
  get first(): number {
    return this.last + 1 - this.count;
  }

  /** @param sequence from `first` to `last` */
  at(sequence: number): Frame {
    return this.frames[this.start + sequence - this.first] as Frame;
  }

  append({ type, timeNs, data }: SessionFrame, nowMs: number): void {
    const topic = topicIndex(type);
    const sequence = ++this.last;
    const ordinal = ++this.recorded[topic]!;
    if (topic === METRICS) this.lastMetrics = sequence;
    this.timeNs = timeNs;
    const place = `"epoch":${this.epochText},"sequence":${sequence},"timeNs":${timeNs}`;
    let text = textMessage(`{"type":"${type}",${place},"data":${data}}`);
    const fits = payloadLength(text) <= this.limits.frameBytes;
    if (!fits) text = textMessage(tooLarge(type, this.epochText, sequence));
    this.frames.push({
      sequence,
      topic,
      ordinal,
      type: fits ? type : 'gap',
      atMs: nowMs,
      text,
      json: null,
      binary: null,
      eventHead: null,
    });
    this.weigh(text.length);
    while (this.count > this.limits.historyFrames || this.bytes > this.limits.historyBytes) this.evictOldest();
  }

  /** Made once for all who want it, and kept as long as the frame. @returns `frame.binary` */
  binaryOf(frame: Frame): Buffer {
    if (frame.binary === null) {
      const json = jsonOf(frame);
      frame.binary = binaryMessage(encodeCbor(JSON.parse(json.toString()), json.length));
      // A frame that has left meanwhile counts no more.
      if (frame.sequence >= this.first && this.at(frame.sequence) === frame) this.weigh(frame.binary.length);
    }
    return frame.binary;
  }

  /** Of a frame of this epoch. @returns `frame.eventHead` */
  eventHeadOf(frame: Frame): string {
    frame.eventHead ??= `id: ${this.epoch}:${frame.sequence}\nevent: ${frame.type}\ndata: `;
    return frame.eventHead;
  }

  evictOlderThan(nowMs: number): void {
    const horizon = nowMs - this.limits.historyMs;
    while (this.count > 0 && this.frames[this.start]!.atMs < horizon) this.evictOldest();
  }

  evictOldest(): void {
    const frame = this.frames[this.start] as Frame;
    this.frames[this.start++] = undefined;
    this.weigh(-(frame.text.length + (frame.binary?.length ?? 0)));
    this.evicted[frame.topic] = frame.ordinal;
    if (this.start < 1024 || this.start * 2 < this.frames.length) return;
    this.frames = this.frames.slice(this.start);
    this.start = 0;
  }

  /** [topic]: frames recorded before `sequence`, which is from `first` to `last + 1`. */
  recordedBefore(sequence: number): Float64Array {
    const counts = this.evicted.slice();
    for (let i = this.first; i < sequence; i++) counts[this.at(i).topic]!++;
    return counts;
  }

  /** Forgets everything and counts anew. */
  restart(epoch: string): void {
    this.past = { epoch: this.epoch, last: this.last };
    this.epoch = epoch;
    this.epochText = JSON.stringify(epoch);
    this.last = 0;
    this.lastMetrics = 0;
    this.timeNs = 0;
    this.forget();
    this.recorded.fill(0);
    this.evicted.fill(0);
  }

  /** Of the frames nothing is kept. */
  forget(): void {
    this.weigh(-this.bytes);
    this.frames = [];
    this.start = 0;
  }

  private weigh(bytes: number): void {
    this.bytes += bytes;
    this.kept.bytes += bytes;
  }
}

/** The message alone. @returns `frame.json` */
export function jsonOf(frame: Frame): Buffer {
  frame.json ??= frame.text.subarray(frame.text.length - payloadLength(frame.text));
  return frame.json;
}

function tooLarge(topic: string, epochText: string, sequence: number): string {
  const place = `"epoch":${epochText},"from":${sequence},"to":${sequence}`;
  return `{"type":"gap",${place},"reason":"too-large","dropped":{"${topic}":1}}`;
}

/** Threads that read recordings, and who gets one: only so many at a time, the others wait for their turn with their bytes on the disk. */
import { Worker } from 'node:worker_threads';
import type { TapeSeal } from '../tape.ts';
import type { Encoding, TraceProblem, TraceReading } from '../trace.ts';
import type { ArchiveLimits } from './limits.ts';

export interface ReaderTask {
  /** Files. */
  upload: string;
  tape: string;
  encoding: Encoding;
  format: string;
  strict: boolean;
  options: Readonly<Record<string, unknown>>;
  largestTapeBytes: number;
  unpackedBytes: number;
  ratio: number;
  freeUnpackedBytes: number;
  /** Module in the place of the importer; null: the importer. */
  importer: string | null;
}

/** How many packed bytes are there, and whether more will come. */
export interface ToReader {
  available: number;
  complete: boolean;
}

/** `devices`: those that were first seen since the last message. */
export type FromReader =
  | { kind: 'progress'; read: number; tapeBytes: number; records: number; reading: TraceReading; devices: string[] }
  | { kind: 'ended'; read: number; seal: TapeSeal; reading: TraceReading; devices: string[] }
  | { kind: 'failed'; read: number; problem: TraceProblem; reading: TraceReading | null; devices: string[] };

export interface Reader {
  /** Tells that more bytes are there. */
  more(available: number, complete: boolean): void;
  /** Ends it, or takes it out of the queue. Nothing is told any more. Resolves when its thread is gone. */
  stop(): Promise<void>;
}

interface Place {
  /** Made when its turn comes. */
  task: () => ReaderTask;
  told: (message: FromReader | { kind: 'begun' } | { kind: 'left' }) => void;
  available: number;
  complete: boolean;
  read: number;
  fedMs: number;
  /** Gave its place away, and has had no bytes since. */
  starved: boolean;
  worker: Worker | null;
  ended: boolean;
}

export class Readers {
  private readonly limits: Pick<ArchiveLimits, 'readers' | 'heapMib' | 'starvedMs'>;
  private readonly nowMs: () => number;
  /** In the order in which they came. */
  private readonly waiting: Place[] = [];
  /** Those that are being ended included: until a thread is gone it may hold files and memory. */
  private readonly running = new Map<Worker, Place>();
  private readonly ending = new Set<Promise<void>>();
  private readonly tending: NodeJS.Timeout;
  private closed = false;

  constructor(limits: Pick<ArchiveLimits, 'readers' | 'heapMib' | 'starvedMs'>, nowMs: () => number) {
    this.limits = limits;
    this.nowMs = nowMs;
    this.tending = setInterval(() => this.pump(), Math.max(100, limits.starvedMs / 4));
    this.tending.unref();
  }

  /**
   * @param task called when its turn comes; again when it had to give its place away and begins anew
   * @param told never after `stop`; the last one is `ended` or `failed`
   */
  read(task: Place['task'], told: Place['told'], available: number, complete: boolean): Reader {
    const place: Place = {
      task,
      told,
      available,
      complete,
      read: 0,
      fedMs: this.nowMs(),
      starved: false,
      worker: null,
      ended: false,
    };
    this.waiting.push(place);
    this.pump();
    return {
      more: (bytes, isComplete) => {
        place.available = bytes;
        place.complete = isComplete;
        place.fedMs = this.nowMs();
        place.starved = false;
        if (place.worker !== null)
          place.worker.postMessage({ available: bytes, complete: isComplete } satisfies ToReader);
        else this.pump();
      },
      stop: () => {
        place.ended = true;
        return this.leave(place);
      },
    };
  }

  get queued(): number {
    return this.waiting.length;
  }
  get busy(): number {
    return this.running.size;
  }

  private pump(): void {
    if (this.closed) return;
    while (this.running.size < this.limits.readers) {
      const next = this.waiting.findIndex(hasWork);
      if (next < 0) return;
      this.begin(this.waiting.splice(next, 1)[0] as Place);
    }
    if (this.waiting.some(hasWork)) this.makeRoom();
  }

  /** Whoever waits for bytes that do not come waits at the end of the queue, and begins anew. */
  private makeRoom(): void {
    const now = this.nowMs();
    for (const place of this.running.values()) {
      if (place.worker === null || place.complete || place.read < place.available) continue;
      if (now - place.fedMs < this.limits.starvedMs) continue;
      this.leave(place);
      place.read = 0;
      place.starved = true;
      this.waiting.push(place);
      place.told({ kind: 'left' });
      return;
    }
  }

  private begin(place: Place): void {
    const worker = new Worker(
      new URL(import.meta.url.endsWith('.ts') ? './reader-thread.ts' : './reader-thread.js', import.meta.url),
      {
        workerData: place.task(),
        name: 'trace-reader',
        resourceLimits: { maxOldGenerationSizeMb: this.limits.heapMib },
      },
    );
    this.running.set(worker, place);
    place.worker = worker;
    place.fedMs = this.nowMs();
    place.told({ kind: 'begun' });
    worker.postMessage({ available: place.available, complete: place.complete } satisfies ToReader);
    const settle = (message: FromReader): void => {
      if (place.worker !== worker || place.ended) return;
      place.read = message.read;
      if (message.kind !== 'progress') {
        place.ended = true;
        this.leave(place);
      }
      place.told(message);
    };
    worker.on('message', settle);
    worker.on('error', (error) => {
      const code =
        (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'reader-out-of-memory' : 'reader-failed';
      const detail =
        code === 'reader-failed'
          ? `What read it failed: ${error.message}.`
          : `To read it takes more than ${this.limits.heapMib} MiB of memory: what is open in it at a time is too much.`;
      settle({ kind: 'failed', read: place.read, problem: { code, detail }, reading: null, devices: [] });
    });
    worker.on('exit', () => {
      const problem = { code: 'reader-failed', detail: 'What read it ended before it did.' };
      settle({ kind: 'failed', read: place.read, problem, reading: null, devices: [] });
    });
  }

  private leave(place: Place): Promise<void> {
    const { worker } = place;
    const at = this.waiting.indexOf(place);
    if (at >= 0) this.waiting.splice(at, 1);
    if (worker === null) return Promise.resolve();
    place.worker = null;
    const gone = worker.terminate().then(() => {
      this.running.delete(worker);
      this.ending.delete(gone);
      this.pump();
    });
    this.ending.add(gone);
    return gone;
  }

  async close(): Promise<void> {
    this.closed = true;
    clearInterval(this.tending);
    this.waiting.length = 0;
    for (const place of this.running.values()) {
      place.ended = true;
      this.leave(place);
    }
    await Promise.all(this.ending);
  }
}

function hasWork({ complete, available, starved }: Place): boolean {
  return complete || (available > 0 && !starved);
}

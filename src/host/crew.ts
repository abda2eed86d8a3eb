/** The workers of a host: as many as it was told, each replaced when it dies. */
import { availableParallelism, totalmem } from 'node:os';
import { sharedBustle } from './bustle.ts';
import { tuneCompiler } from './compiler.ts';
import type { Reply } from './host.ts';
import type { HostLimits } from './limits.ts';
import { noWorker, refuse, shuttingDown } from './problems.ts';
import type { CallBody, WorkerSettings } from './protocol.ts';
import type { Store } from './store.ts';
import { type HeapLimits, type WorkerEvents, WorkerHandle } from './worker-handle.ts';

export interface CrewParts {
  /** Worker threads; one less than the machine has cores, at least one. */
  workers: number | undefined;
  sliceMs: number | undefined;
  simulatorModule: string | undefined;
  traces: string | undefined;
  limits: HostLimits;
  store: Store;
  events: WorkerEvents;
}

const MIB = 1024 * 1024;
const DEFAULT_SLICE_MS = 5;
/** The main thread and the journal's. */
const SERVING_THREADS = 2;
/** A worker that dies before it ever took a call is not replaced at once: its successor would die of the same. */
const REPLACE_AFTER_MS = 1000;

export class Crew {
  private readonly parts: CrewParts;
  private readonly settings: Omit<WorkerSettings, 'journal'>;
  private readonly heap: HeapLimits;
  /** [index]: the worker in that place now. */
  private readonly handles: WorkerHandle[] = [];
  private closed = false;

  constructor(parts: CrewParts) {
    this.parts = parts;
    const workers = Math.max(1, parts.workers ?? availableParallelism() - 1);
    this.settings = settingsOf(parts, workers);
    // Half of the memory for all heaps together; typed arrays lie outside them.
    const heapMb = Math.floor(memoryBytes() / 2 / workers / MIB);
    this.heap = { maxOldGenerationSizeMb: Math.min(Math.max(heapMb, 256), 4096), maxYoungGenerationSizeMb: 64 };
    tuneCompiler();
    for (let index = 0; index < workers; index++) this.handles.push(this.start(index));
  }

  private start(index: number): WorkerHandle {
    const { store, limits, events } = this.parts;
    const journal = store.port((seal, failure) => handle.settled(seal, failure));
    const handle = new WorkerHandle(index, { ...this.settings, journal }, this.heap, limits.callTimeoutMs, events);
    return handle;
  }

  /** Resolves when every worker takes calls: null, or why one never will. */
  async ready(): Promise<string | null> {
    for (const handle of [...this.handles]) {
      const reason = await handle.ready;
      if (reason !== null) return reason;
    }
    return null;
  }

  /** The worker with the fewest sessions, the first of equals; null when all are dead. */
  place(): WorkerHandle | null {
    let best: WorkerHandle | null = null;
    for (const handle of this.handles) {
      if (handle.alive && (best === null || handle.sessions.size < best.sessions.size)) best = handle;
    }
    return best;
  }

  /** Of one that has room. */
  ask<T>(body: CallBody): Promise<Reply<T>> {
    return this.place()?.ask<T>(body) ?? Promise.resolve(refuse(noWorker()));
  }

  /** Gives up on calls that have waited too long. */
  expire(nowMs: number): void {
    for (const handle of this.handles) handle.expire(nowMs);
  }

  /** @param then told once the next one is in its place */
  replace(dead: WorkerHandle, then: () => void): void {
    const replace = (): void => {
      if (this.closed) return;
      this.handles[dead.index] = this.start(dead.index);
      then();
    };
    if (dead.started) replace();
    else setTimeout(replace, REPLACE_AFTER_MS).unref();
  }

  get size(): number {
    return this.handles.length;
  }

  get alive(): WorkerHandle[] {
    return this.handles.filter((handle) => handle.alive);
  }

  get pendingCalls(): number {
    return this.handles.reduce((sum, handle) => sum + handle.pendingCalls, 0);
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all(this.handles.map((handle) => handle.terminate(shuttingDown())));
  }
}

function settingsOf(
  { simulatorModule, sliceMs, traces, limits }: CrewParts,
  workers: number,
): Omit<WorkerSettings, 'journal'> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const { opsOutputBytes, opsLabelBytes, runRecords, queuedWrites, frameEveryMs, rehearsalMs, replayMs } = limits;
  return {
    simulatorModule: simulatorModule ?? new URL(`../core/index.${extension}`, import.meta.url).href,
    sliceMs: sliceMs ?? DEFAULT_SLICE_MS,
    bustle: sharedBustle(),
    coresScarce: availableParallelism() < workers + SERVING_THREADS,
    traces: traces ?? null,
    opsOutputBytes,
    opsLabelBytes,
    runRecords,
    queuedWrites,
    frameEveryMs,
    rehearsalMs,
    replayMs,
  };
}

/** What this process may have: the limit of its control group, as containers set one, else all that the machine has. */
function memoryBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

/**
 * Histories of sessions as text, each made in a thread of its own while it is read. Who does not read holds up nobody but himself, and not
 * for long; who goes takes the thread with him.
 */
import { Worker } from 'node:worker_threads';
import type { HistoryRecord, SessionHistory } from '../../host/history.ts';
import type { HostProblem, Reply } from '../../host/host.ts';
import { refuse } from '../../host/problems.ts';
import { EXPORT_LIMITS, type ExportLimits } from '../work-limits.ts';

/** What a thread is started with. */
export interface ExportSettings {
  spec: Record<string, unknown>;
  labEvents: boolean;
  /** Folder of tapes. */
  traces: string | null;
}

export interface ToExport {
  /** Null: there are no more. */
  records?: HistoryRecord[] | null;
  /** Pieces that were taken. */
  taken?: number;
}

export type FromExport =
  | { kind: 'want' }
  | { kind: 'text'; text: string }
  | { kind: 'end' }
  | { kind: 'failed'; reason: string };

const THREAD_URL = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url);

export class Exports {
  readonly limits: Readonly<ExportLimits>;
  private readonly traces: string | null;
  private running = 0;

  constructor(traces: string | null, limits: Partial<ExportLimits> = {}) {
    this.traces = traces;
    this.limits = { ...EXPORT_LIMITS, ...limits };
  }

  /** The text, from its beginning; breaking off ends it. */
  open(history: SessionHistory, labEvents: boolean): Reply<AsyncIterable<string>> {
    const { exports } = this.limits;
    if (this.running < exports) {
      this.running++;
      return { ok: true, value: this.counted(this.text(history, labEvents)) };
    }
    const problem: HostProblem = {
      code: 'overloaded',
      detail: `${this.running} histories are being exported, and ${exports} is the most at a time.`,
      retryable: true,
    };
    return refuse(problem);
  }

  /** Its place is given back also when nobody begins to read: a generator that never began has nothing to finish. */
  private counted(text: AsyncGenerator<string>): AsyncIterableIterator<string> {
    let begun = false;
    let ended = false;
    return {
      next: () => {
        begun = true;
        return text.next();
      },
      return: () => {
        if (!begun && !ended) this.running--;
        ended = true;
        return text.return(undefined);
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  private async *text({ spec, records }: SessionHistory, labEvents: boolean): AsyncGenerator<string> {
    const { heapMib, wholeMs, idleMs } = this.limits;
    const settings: ExportSettings = { spec, labEvents, traces: this.traces };
    const worker = new Worker(THREAD_URL, {
      name: 'export',
      workerData: settings,
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: heapMib },
    });
    const pieces: string[] = [];
    let ended = false;
    let failure: Error | null = null;
    let wake: () => void = () => {};
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      this.running--;
      void worker.terminate();
    };
    const stop = (error: Error | null): void => {
      failure ??= error;
      ended = true;
      if (error !== null) release();
      wake();
    };
    const source = records[Symbol.asyncIterator]();
    const feed = async (): Promise<void> => {
      const { value, done } = await source.next();
      worker.postMessage({ records: done === true ? null : value } satisfies ToExport);
    };
    worker.on('message', (message: FromExport) => {
      if (message.kind === 'want') feed().catch(stop);
      else if (message.kind === 'text') pieces.push(message.text);
      else if (message.kind === 'end') stop(null);
      else stop(new Error(`the history cannot be written: ${message.reason}`));
      wake();
    });
    worker.on('error', (error: NodeJS.ErrnoException) =>
      stop(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? new Error(`it takes more than ${heapMib} MiB of heap`) : error),
    );
    worker.on('exit', () => {
      if (!ended) stop(new Error('the thread that wrote the history ended'));
    });
    const whole = setTimeout(() => stop(new Error(`it took more than ${wholeMs / 1000} s`)), wholeMs);
    try {
      for (;;) {
        const piece = pieces.shift();
        if (piece !== undefined) {
          const idle = setTimeout(() => stop(new Error(`nobody has read for ${idleMs / 1000} s`)), idleMs);
          yield piece;
          clearTimeout(idle);
          worker.postMessage({ taken: 1 } satisfies ToExport);
          continue;
        }
        if (failure !== null) throw failure;
        if (ended) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      clearTimeout(whole);
      release();
      await source.return?.();
    }
  }
}

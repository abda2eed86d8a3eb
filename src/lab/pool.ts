/**
 * Threads that compute jobs: as many as the machine has cores for, started when there is work and ended when there has been none for a
 * minute. One more plans and reports, so that neither waits for jobs. A thread that dies takes the job that it had along, and no more.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { tuneCompiler } from '../host/compiler.ts';
import { overloaded } from '../host/problems.ts';
import type { ExperimentData, ExperimentInput, Job, JobOutcome } from './experiment.ts';
import { JOB_BOUNDS, type JobBounds } from './job.ts';
import type { Desk, JobRunner, RenderForm, RenderOptions } from './laboratory.ts';
import type { Planned } from './plan.ts';

export interface PoolSettings {
  /** Jobs at a time; 0: none are computed here. */
  width?: number;
  bounds?: JobBounds;
  idleMs?: number;
  /** Of a thread, as V8 counts it: what is not in typed arrays. */
  heapMib?: number;
  /** What a thread runs. */
  thread?: URL;
  /** Folder of tapes that experiments may replay; null: none. */
  traces?: string | null;
}

/** What a thread is started with. */
export interface PoolThreadSettings {
  traces: string | null;
}

export interface PoolLoad {
  threads: number;
  busy: number;
}

/** To the thread. `stop[0]` is set when it is to stop. */
export type ToPoolThread =
  | { kind: 'job'; task: number; job: Job; bounds: JobBounds; stop: Int32Array }
  | { kind: 'plan'; task: number; input: ExperimentInput }
  | { kind: 'render'; task: number; data: ExperimentData; form: RenderForm; options: RenderOptions };
export type FromPoolThread =
  /** It has its modules: the first that it says. */
  | { task: 0; begun: true }
  | { task: number; outcome: JobOutcome }
  | { task: number; planned: Planned }
  | { task: number; rendered: string | Uint8Array }
  /** It threw. */
  | { task: number; failure: string };

interface Task {
  message: (number: number) => ToPoolThread;
  stop: Int32Array;
  settle: (said: FromPoolThread | null, reason: string) => void;
}

const IDLE_MS = 60_000;
const HEAP_MIB = 2048;
/** A thread that does not stop within this is ended. */
const STOP_MS = 5_000;

export const CANCELLED = 'job-cancelled';

export class ThreadPool implements JobRunner, Desk {
  readonly width: number;
  private readonly settings: Required<Omit<PoolSettings, 'width'>>;
  private readonly lanes: Lane[] = [];
  private readonly waiting: Task[] = [];
  private desk: Lane | null = null;
  private readonly deskWaiting: Task[] = [];
  private closed = false;

  constructor({ width = availableParallelism(), ...settings }: PoolSettings = {}) {
    this.width = width;
    this.settings = {
      bounds: JOB_BOUNDS,
      idleMs: IDLE_MS,
      heapMib: HEAP_MIB,
      traces: null,
      thread: new URL(import.meta.url.endsWith('.ts') ? './pool-thread.ts' : './pool-thread.js', import.meta.url),
      ...settings,
    };
    tuneCompiler();
  }

  run(_key: string, job: Job, signal: AbortSignal): Promise<JobOutcome> {
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const { bounds } = this.settings;
    return new Promise((resolve, reject) => {
      const task: Task = {
        message: (number) => ({ kind: 'job', task: number, job, bounds, stop }),
        stop,
        settle: (said, reason) => {
          signal.removeEventListener('abort', abort);
          if (said !== null && 'outcome' in said) resolve(said.outcome);
          else if (signal.aborted) resolve(cancelled());
          else if (this.closed) reject(new Error('the pool is closed'));
          else resolve({ ok: false, code: 'job-thread-died', detail: `The thread that computed it died (${reason}).` });
        },
      };
      const abort = (): void => {
        const at = this.waiting.indexOf(task);
        if (at >= 0) this.waiting.splice(at, 1);
        if (at >= 0) task.settle(null, 'withdrawn');
        else this.lanes.find((lane) => lane.task === task)?.stop();
      };
      if (this.closed) {
        reject(new Error('the pool is closed'));
        return;
      }
      if (signal.aborted) {
        resolve(cancelled());
        return;
      }
      signal.addEventListener('abort', abort, { once: true });
      this.waiting.push(task);
      this.pump();
    });
  }

  /** `planExperiment`, in a thread. */
  plan(input: ExperimentInput): Promise<Planned> {
    return new Promise((resolve) => {
      this.deskWaiting.push({
        message: (task) => ({ kind: 'plan', task, input }),
        stop: new Int32Array(1),
        settle: (said, reason) =>
          resolve(
            said !== null && 'planned' in said
              ? said.planned
              : { ok: false, problem: overloaded(whyNot(said, reason)) },
          ),
      });
      this.pump();
    });
  }

  /** `renderExperiment`, in a thread. */
  render(data: ExperimentData, form: RenderForm, options: RenderOptions): Promise<string | Uint8Array> {
    return new Promise((resolve, reject) => {
      this.deskWaiting.push({
        message: (task) => ({ kind: 'render', task, data, form, options }),
        stop: new Int32Array(1),
        settle: (said, reason) => {
          if (said !== null && 'rendered' in said) resolve(said.rendered);
          else reject(new Error(whyNot(said, reason)));
        },
      });
      this.pump();
    });
  }

  private pump(): void {
    if (this.closed) {
      for (const task of [...this.waiting.splice(0), ...this.deskWaiting.splice(0)]) task.settle(null, 'closed');
      return;
    }
    while (this.waiting.length > 0) {
      let lane = this.lanes.find(({ task }) => task === null);
      if (lane === undefined && this.lanes.length < this.width) this.lanes.push((lane = this.newLane()));
      if (lane === undefined) break;
      lane.take(this.waiting.shift()!);
    }
    if (this.deskWaiting.length === 0) return;
    this.desk ??= this.newLane();
    if (this.desk.task === null) this.desk.take(this.deskWaiting.shift()!);
  }

  private newLane(): Lane {
    const lane = new Lane(this.settings, (gone) => {
      const at = gone ? this.lanes.indexOf(lane) : -1;
      if (at >= 0) this.lanes.splice(at, 1);
      if (gone && this.desk === lane) this.desk = null;
      this.pump();
    });
    return lane;
  }

  load(): PoolLoad {
    const lanes = this.desk === null ? this.lanes : [...this.lanes, this.desk];
    return { threads: lanes.length, busy: lanes.filter(({ task }) => task !== null).length };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.pump();
    const lanes = [...this.lanes, ...(this.desk === null ? [] : [this.desk])];
    await Promise.all(lanes.map((lane) => lane.close()));
  }
}

function whyNot(said: FromPoolThread | null, reason: string): string {
  return said !== null && 'failure' in said ? said.failure : reason;
}

function cancelled(): JobOutcome {
  return { ok: false, code: CANCELLED, detail: 'It was cancelled.' };
}

/** One thread, and what it does. */
class Lane {
  task: Task | null = null;
  private readonly worker: Worker;
  private readonly idleMs: number;
  /** @param gone whether the thread is, too */
  private readonly free: (gone: boolean) => void;
  private number = 0;
  private timer: NodeJS.Timeout | null = null;
  private reason = 'ended';
  private readonly exited: Promise<void>;
  /** It has said something, or is gone. */
  private readonly begun: Promise<unknown>;

  constructor(
    { thread, heapMib, idleMs, traces }: Required<Omit<PoolSettings, 'width'>>,
    free: (gone: boolean) => void,
  ) {
    this.idleMs = idleMs;
    this.free = free;
    const workerData: PoolThreadSettings = { traces };
    this.worker = new Worker(thread, { workerData, resourceLimits: { maxOldGenerationSizeMb: heapMib } });
    this.worker.on('message', (said: FromPoolThread) => this.settle(said));
    this.worker.on('error', (error: Error) => {
      this.reason = error.message;
    });
    this.exited = new Promise((resolve) => {
      this.worker.once('exit', () => {
        this.clearTimer();
        const { task } = this;
        this.task = null;
        task?.settle(null, this.reason);
        this.free(true);
        resolve();
      });
    });
    this.begun = Promise.race([new Promise((resolve) => this.worker.once('message', resolve)), this.exited]);
  }

  take(task: Task): void {
    this.clearTimer();
    this.task = task;
    this.worker.ref();
    this.worker.postMessage(task.message(++this.number));
  }

  private settle(said: FromPoolThread): void {
    const { task } = this;
    if (task === null || said.task !== this.number) return;
    this.task = null;
    this.clearTimer();
    // An idle thread keeps no process alive.
    this.worker.unref();
    this.timer = setTimeout(() => this.worker.terminate(), this.idleMs).unref();
    task.settle(said, '');
    this.free(false);
  }

  stop(): void {
    if (this.task === null) return;
    Atomics.store(this.task.stop, 0, 1);
    this.clearTimer();
    this.timer = setTimeout(() => this.worker.terminate(), STOP_MS).unref();
  }

  private clearTimer(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  /** A thread that is ended while it loads its modules runs on for a moment, and warns in the log of some that are half there. */
  async close(): Promise<void> {
    await this.begun;
    await this.worker.terminate();
    await this.exited;
  }
}

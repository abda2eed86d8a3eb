/**
 * A process that computes jobs from the queue. Computing is done by a runner in threads, so that this one has time to say that it lives:
 * a worker that does not is taken for dead, and others take its jobs.
 *
 * A job ends in one of these ways, and its outcome is in Redis before BullMQ hears of its end:
 * - it has an outcome, whatever that is;
 * - nobody waits for it any more: it is taken out;
 * - the worker is to end: the job goes back to the front of the queue, and has lost nothing but time;
 * - the worker is killed: the job is found without a hold and taken by another. One that was begun `BOUNDS.tries` times and never ended is
 *   given up (`job-lost`), as it is likely what kills them.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Job as QueuedJob, Worker as QueueWorker, WorkerOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import { type HostLogger, SILENT } from '../../host/logger.ts';
import type { JobOutcome } from '../experiment.ts';
import type { JobRunner } from '../laboratory.ts';
import { ThreadPool } from '../pool.ts';
import { BOUNDS, keyOfId, PREFIX, QUEUE } from './bounds.ts';
import { checkedJob, prepareCheck } from './checked-job.ts';
import { Commands, signOf } from './commands.ts';
import { isObject, packed } from './packing.ts';
import { aborted, answers, connect, pause, redisAddress, Troubles, within } from './redis.ts';
import { Turns } from './turns.ts';

export interface WorkerSettings {
  /** Checked with the settings. */
  redis: string;
  /** Jobs at a time; as many as the runner takes when absent. */
  concurrency?: number;
  logger?: HostLogger;
  /** The worker is to end: what it computes it may finish within `graceMs`. */
  signal: AbortSignal;
  graceMs?: number;
  /** Written at each sign of life, for whoever watches from outside. */
  aliveFile?: string;
  /** Threads, one for each core, when absent. Is closed at the end. */
  runner?: JobRunner;
  /** Folder of tapes that those threads may replay; null or absent: none. */
  traces?: string | null;
}

const GRACE_MS = 10_000;
/** Until the connection is cut, when Redis does not answer to the end. */
const FAREWELL_MS = 3_000;

/** Resolves when the worker has ended; rejects when its runner failed. */
export async function runWorker(settings: WorkerSettings): Promise<void> {
  const address = redisAddress(settings.redis);
  if (address === null) throw new Error('The address of Redis cannot be read.');
  const { concurrency, traces = null } = settings;
  const runner =
    settings.runner ?? new ThreadPool({ traces, ...(concurrency === undefined ? {} : { width: concurrency }) });
  const client = await connect(address, `${PREFIX}-worker`);
  try {
    await new QueuedWork(client, address.shown, { ...settings, runner }).untilTheEnd();
  } finally {
    client.disconnect();
    await runner.close();
  }
}

/** Why a job is stopped. */
type Stop = 'unwanted' | 'ending';

interface Running {
  stop: AbortController;
  ended: Promise<unknown>;
}

class QueuedWork {
  private readonly client: Redis;
  private readonly commands: Commands;
  private readonly troubles: Troubles;
  private readonly shown: string;
  private readonly settings: WorkerSettings & { runner: JobRunner };
  private readonly logger: HostLogger;
  private readonly concurrency: number;
  private readonly sign: string;
  private readonly turns = new Turns();
  private readonly running = new Map<string, Running>();
  private readonly failed = new AbortController();
  private failure: Error | null = null;
  private beating = false;
  private sweeping = false;
  private computed = 0;

  constructor(client: Redis, shown: string, settings: WorkerSettings & { runner: JobRunner }) {
    this.client = client;
    this.commands = new Commands(client);
    this.shown = shown;
    this.settings = settings;
    this.logger = settings.logger ?? SILENT;
    this.troubles = new Troubles(this.logger, `the queue at ${shown} cannot be worked off`);
    this.concurrency = settings.concurrency ?? settings.runner.width;
    this.sign = signOf(this.concurrency, `${hostname()}-${process.pid}-${Math.random().toString(36).slice(2, 8)}`);
    client.on('error', (error) => this.troubles.tell(error));
  }

  async untilTheEnd(): Promise<void> {
    const end = AbortSignal.any([this.settings.signal, this.failed.signal]);
    if (!(await answers(this.client, this.troubles, end))) return;
    prepareCheck();
    const { WaitingError, Worker } = await import('bullmq');
    const options: WorkerOptions = {
      connection: this.client,
      prefix: PREFIX,
      name: this.sign,
      concurrency: this.concurrency,
      autorun: false,
      lockDuration: BOUNDS.lockMs,
      lockRenewTime: BOUNDS.lockMs / 3,
      stalledInterval: BOUNDS.stalledMs,
      // Counted by tries: a job may be stalled because of another one.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      runRetryDelay: 1_000,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    };
    const process = async (job: QueuedJob, token?: string) => {
      const end = await this.process(job);
      if (end === 'has an outcome') return null;
      if (end === 'given back' && token !== undefined) await job.moveToWait(token);
      // Says that the job was moved, and has neither been completed nor failed.
      throw new WaitingError();
    };
    /** BullMQ asks for the next job at once when it was refused one. */
    class PatientWorker extends Worker {
      protected override async moveToActive(token: string, name?: string) {
        try {
          return await super.moveToActive(token, name);
        } catch (error) {
          await pause(1_000, end);
          throw error;
        }
      }
    }
    const worker = new PatientWorker(QUEUE, process, options);
    worker.on('error', (error) => this.trouble(worker, error));
    const beat = setInterval(() => this.beat(), BOUNDS.beatMs);
    this.beat();
    this.logger.info({ queue: this.shown, jobsAtATime: this.concurrency }, 'takes jobs from the queue');
    const work = this.keepWorking(worker, end);
    await aborted(end);
    await this.windUp(worker);
    clearInterval(beat);
    await within(FAREWELL_MS, Promise.all([work, this.commands.goodbye(this.sign)]));
    worker.disconnect().catch(() => {});
    if (this.settings.aliveFile !== undefined) rmSync(this.settings.aliveFile, { force: true });
    this.logger.info({ jobs: this.computed }, 'takes no more jobs');
    if (this.failure !== null) throw this.failure;
  }

  /** BullMQ's loop ends when it meets what it did not expect. */
  private async keepWorking(worker: QueueWorker, end: AbortSignal): Promise<void> {
    while (!end.aborted) {
      try {
        await worker.run();
      } catch (error) {
        this.trouble(worker, error);
      }
      if (!end.aborted) await pause(1_000, end);
    }
  }

  /** Takes no more, and waits for what is being computed; what takes too long is given back. */
  private async windUp(worker: QueueWorker): Promise<void> {
    const { graceMs = GRACE_MS } = this.settings;
    const closing = worker.close();
    await within(this.failure === null ? graceMs : 0, closing);
    for (const { stop } of this.running.values()) stop.abort('ending' satisfies Stop);
    await within(FAREWELL_MS, closing);
  }

  private async process(job: QueuedJob): Promise<'has an outcome' | 'given back' | 'taken out'> {
    const key = keyOfId(job.id);
    const id = job.id as string;
    const checked = key === null || !isOrdinary(job) ? 'its form is not ours' : await checkedJob(job.data, key);
    if (key === null || typeof checked === 'string') {
      this.logger.warn({ job: String(job.id).slice(0, 100), reason: checked }, 'a job was thrown away: it is none');
      return await this.refuse(id, key !== null && isOrdinary(job) ? String(checked) : null);
    }
    // Taken a second time by this worker, which had lost its hold on it: a long pause, or a Redis that forgot.
    await this.running.get(id)?.ended;
    const stop = new AbortController();
    const leave = await this.turns.enter((await this.commands.triesOf(id)) > 0);
    const work = async () => {
      try {
        return await this.compute(id, (signal) => this.settings.runner.run(key, checked, signal), stop.signal);
      } finally {
        leave();
        this.running.delete(id);
      }
    };
    const ended = work();
    this.running.set(id, { stop, ended: ended.catch(() => {}) });
    return await ended;
  }

  /** Whoever waits for it is told, where it has the form of a job: it would be put in again. */
  private async refuse(id: string, reason: string | null): Promise<'has an outcome' | 'taken out'> {
    if (reason !== null && !(await this.commands.unwanted(id))) {
      const detail = `A worker refused the job: ${reason}.`;
      const told = await this.finish(
        id,
        { ok: false, code: 'invalid-job', detail },
        BOUNDS.failedMs,
        this.settings.signal,
      );
      if (told) return 'has an outcome';
    }
    await this.commands.discard(id);
    return 'taken out';
  }

  private async compute(id: string, run: (signal: AbortSignal) => Promise<JobOutcome>, stop: AbortSignal) {
    if (this.failure !== null || this.settings.signal.aborted) return 'given back';
    const begun = await this.commands.begin(id);
    if (begun === 'has an outcome') return begun;
    if (begun === 'unwanted') {
      await this.commands.discard(id);
      return 'taken out';
    }
    if (begun > BOUNDS.tries) {
      this.logger.error({ job: id, tries: BOUNDS.tries }, 'a job was given up: no worker outlived it');
      await this.finish(id, LOST, BOUNDS.failedMs, stop);
      return 'has an outcome';
    }
    let outcome: JobOutcome;
    try {
      outcome = await run(stop);
    } catch (error) {
      this.failure = error as Error;
      this.failed.abort();
      await this.commands.forgive(id);
      return 'given back';
    }
    if (stop.aborted) {
      if ((stop.reason as Stop) === 'ending') {
        await this.commands.forgive(id);
        return 'given back';
      }
      await this.commands.discard(id);
      return 'taken out';
    }
    this.computed++;
    const stayMs = outcome.ok ? BOUNDS.outcomeMs : BOUNDS.failedMs;
    return (await this.finish(id, outcome, stayMs, stop)) ? 'has an outcome' : 'given back';
  }

  /** Until Redis has it: a full one may have room again. */
  private async finish(id: string, outcome: JobOutcome, stayMs: number, stop: AbortSignal): Promise<boolean> {
    const bytes = (await packed(outcome, BOUNDS.outcomeBytes)) ?? (await packed(TOO_LARGE, BOUNDS.outcomeBytes));
    while (!stop.aborted) {
      try {
        await this.commands.finish(id, bytes as Buffer, stayMs);
        return true;
      } catch (error) {
        this.troubles.tell(error);
        await pause(1_000, stop);
      }
    }
    return false;
  }

  private trouble(worker: QueueWorker, error: unknown): void {
    this.troubles.tell(error);
    // Commands that are waited for while there is no connection say nothing about jobs.
    if (this.client.status === 'ready') this.sweep(worker).catch((failure: unknown) => this.troubles.tell(failure));
  }

  /** What BullMQ took and could not read it takes again and again, as soon as its hold has run out. */
  private async sweep(worker: QueueWorker): Promise<void> {
    if (this.sweeping) return;
    this.sweeping = true;
    try {
      for (const id of await this.commands.held(worker.id)) {
        if (this.running.has(id) || isReadable(await this.commands.stored(id))) continue;
        this.logger.warn({ job: id.slice(0, 100) }, 'a job was thrown away: it cannot be read');
        await this.commands.discard(id);
      }
    } finally {
      // What fails at once would be tried at once again.
      await pause(1_000, this.settings.signal);
      this.sweeping = false;
    }
  }

  private beat(): void {
    if (this.beating || this.client.status !== 'ready') return;
    this.beating = true;
    this.beatOnce()
      .catch((error: unknown) => this.troubles.tell(error))
      .finally(() => {
        this.beating = false;
      });
  }

  private async beatOnce(): Promise<void> {
    await this.commands.beat(this.sign);
    if (this.settings.aliveFile !== undefined) writeFileSync(this.settings.aliveFile, '');
    for (const [id, { stop }] of this.running)
      if (await this.commands.unwanted(id)) stop.abort('unwanted' satisfies Stop);
  }
}

const LOST: JobOutcome = {
  ok: false,
  code: 'job-lost',
  detail: `It was begun ${BOUNDS.tries} times, and each time the worker that computed it ended before it did, as for want of memory.`,
};

const TOO_LARGE: JobOutcome = {
  ok: false,
  code: 'result-too-large',
  detail: `Its result is longer than ${BOUNDS.outcomeBytes} bytes as JSON, the most that goes through the queue.`,
};

/** Nothing of what BullMQ can do beyond carrying a job: repeat it, make others of it, hang it on others. */
function isOrdinary({ name, repeatJobKey, parent, parentKey, deduplicationId }: QueuedJob): boolean {
  return name === 'job' && [repeatJobKey, parent, parentKey, deduplicationId].every((each) => each === undefined);
}

/** What BullMQ reads of a job as JSON. */
function isReadable(fields: Record<string, string>): boolean {
  try {
    const { data = '{}', opts = '{}', progress = '0', parent = '{}' } = fields;
    for (const text of [progress, parent]) JSON.parse(text);
    return isObject(JSON.parse(data)) && isObject(JSON.parse(opts));
  } catch {
    return false;
  }
}

/**
 * Jobs computed by workers elsewhere, who take them from a queue in Redis. Equal jobs, of this server or of several, have one id and are
 * computed once.
 *
 * What is in Redis may vanish at any time: a job is there, or has an outcome, or is put in again. So the loss of an event, of a worker or
 * of all data costs time and nothing else. Events of the queue only say when to look; a look each second finds what they did not tell.
 */
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import type { Queue, QueueEvents } from 'bullmq';
import type { Redis } from 'ioredis';
import { type HostLogger, SILENT } from '../../host/logger.ts';
import type { Job, JobOutcome } from '../experiment.ts';
import type { JobRunner } from '../laboratory.ts';
import { BOUNDS, jobIdOf, PREFIX, QUEUE } from './bounds.ts';
import { Commands, slotsOf } from './commands.ts';
import { outcomeOf, packed } from './packing.ts';
import { answers, connect, type RedisAddress, redisAddress, Troubles, within } from './redis.ts';
import { Room } from './room.ts';

export interface QueueRunnerSettings {
  /** Checked with the settings. */
  redis: string;
  logger?: HostLogger;
  /** The same after a restart: see `clientName`. */
  name: string;
}

export interface QueueStatus {
  /** `degraded`: experiments wait. */
  state: 'ok' | 'degraded';
  /** Why, in a sentence; '' when all is well. */
  detail: string;
  workers: number;
  /** Jobs that they compute at a time. */
  slots: number;
  /** Jobs of this server that have no outcome yet. */
  waiting: number;
}

interface Caller {
  resolve(outcome: JobOutcome): void;
  reject(error: Error): void;
}

interface Pending {
  id: string;
  bytes: Buffer;
  callers: Set<Caller>;
  /** A look is under way, and another was asked for meanwhile. */
  looking: boolean;
  again: boolean;
  /** Outcomes of it that could not be read. */
  unreadable: number;
  /** Looks that found it in the queue, one after the other. */
  queued: number;
  /** No caller is left. */
  withdrawn: boolean;
}

/** Who waits, told so that a server that was killed and started again is the same one, and can withdraw what it asked for before. */
export function clientName(dataFolder: string): string {
  return createHash('sha256').update(`${hostname()}\0${dataFolder}`).digest('hex').slice(0, 32);
}

const CANCELLED: JobOutcome = { ok: false, code: 'cancelled', detail: 'It was withdrawn before it had an outcome.' };
const MOST_UNREADABLE = 3;
const LOOKS_UNTIL_SURE = 10;
/** States from which a worker gets to a job, as BullMQ calls them. */
const TAKEN_SOME_TIME: ReadonlySet<string> = new Set(['waiting', 'active', 'paused']);

export async function createQueueRunner(settings: QueueRunnerSettings): Promise<QueueRunner> {
  const address = redisAddress(settings.redis);
  if (address === null) throw new Error('The address of Redis cannot be read.');
  return new QueueRunner(await connect(address, `${PREFIX}-server`), address, settings);
}

export class QueueRunner implements JobRunner {
  private readonly client: Redis;
  private readonly commands: Commands;
  private readonly troubles: Troubles;
  private readonly name: string;
  private readonly shown: string;
  private readonly pending = new Map<string, Pending>();
  private readonly room = new Room(BOUNDS.queuedBytes);
  private readonly closing = new AbortController();
  private queue: Queue | null = null;
  private events: QueueEvents | null = null;
  private workers = 0;
  private slots = 0;
  private round: NodeJS.Timeout | null = null;
  private counting = false;
  private readonly opened: Promise<void>;

  constructor(client: Redis, address: RedisAddress, { name, logger = SILENT }: QueueRunnerSettings) {
    this.client = client;
    this.commands = new Commands(client);
    this.shown = address.shown;
    this.name = name;
    this.troubles = new Troubles(logger, `experiments wait for the queue at ${address.shown}`);
    client.on('error', (error) => this.troubles.tell(error));
    this.opened = this.open();
  }

  /** Twice what all workers compute at a time, so that none waits for the next job; what is beyond can be withdrawn without asking Redis. */
  get width(): number {
    return Math.min(Math.max(2 * this.slots, BOUNDS.leastWidth), BOUNDS.mostWidth);
  }

  /** For readiness and people; asks nobody. */
  status(): QueueStatus {
    const { workers, slots } = this;
    const detail = this.whyDegraded();
    return { state: detail === '' ? 'ok' : 'degraded', detail, workers, slots, waiting: this.pending.size };
  }

  private whyDegraded(): string {
    const { latest } = this.troubles;
    if (this.queue === null || this.client.status !== 'ready')
      return `There is no connection to the queue at ${this.shown}${latest === '' ? '' : `: ${latest}`}.`;
    if (latest !== '') return `The queue at ${this.shown} refuses: ${latest}.`;
    return this.workers === 0 ? `No worker of this version takes jobs from the queue at ${this.shown}.` : '';
  }

  async run(key: string, job: Job, signal: AbortSignal): Promise<JobOutcome> {
    if (this.closing.signal.aborted) throw closed();
    if (signal.aborted) return CANCELLED;
    const id = jobIdOf(key);
    const bytes = this.pending.get(id)?.bytes ?? (await packed(job, BOUNDS.jobBytes));
    if (bytes === null) {
      const detail = `The job is longer than ${BOUNDS.jobBytes} bytes as JSON, the most that goes through the queue.`;
      return { ok: false, code: 'job-too-large', detail };
    }
    if (this.closing.signal.aborted) throw closed();
    return signal.aborted ? CANCELLED : await this.waitFor(id, bytes, signal);
  }

  private waitFor(id: string, bytes: Buffer, signal: AbortSignal): Promise<JobOutcome> {
    return new Promise((resolve, reject) => {
      let pending = this.pending.get(id);
      const first = pending === undefined;
      pending ??= {
        id,
        bytes,
        callers: new Set(),
        looking: false,
        again: false,
        unreadable: 0,
        queued: 0,
        withdrawn: false,
      };
      const wanted = pending;
      const withdraw = () => {
        wanted.callers.delete(caller);
        if (wanted.callers.size === 0) this.withdraw(wanted);
        resolve(CANCELLED);
      };
      const caller: Caller = {
        resolve: (outcome) => {
          signal.removeEventListener('abort', withdraw);
          resolve(outcome);
        },
        reject: (error) => {
          signal.removeEventListener('abort', withdraw);
          reject(error);
        },
      };
      signal.addEventListener('abort', withdraw, { once: true });
      wanted.callers.add(caller);
      if (!first) return;
      this.pending.set(id, wanted);
      this.room.enter(id, bytes.length, () => this.look(wanted));
    });
  }

  /** One look at a time for each job. It never rejects; what went wrong is tried again at the next round. */
  private look(pending: Pending): void {
    if (!this.isWanted(pending) || !this.room.has(pending.id)) return;
    if (pending.looking) {
      pending.again = true;
      return;
    }
    pending.looking = true;
    pending.again = false;
    this.lookOnce(pending)
      .then(() => this.troubles.over())
      .catch((error: unknown) => this.trouble(error))
      .finally(() => {
        pending.looking = false;
        // The look has said that it is wanted.
        if (pending.withdrawn) this.leave(pending.id);
        else if (pending.again) this.look(pending);
      });
  }

  private async lookOnce(pending: Pending): Promise<void> {
    const { id } = pending;
    await this.opened;
    const found = await this.commands.look(id, this.name);
    if (!this.isWanted(pending)) return;
    if (found === 'there') await this.take(pending);
    if (found === 'queued') await this.makeSure(pending);
    if (found !== 'unknown') return;
    // Nothing of a job is kept once it has ended: its outcome lies elsewhere.
    await this.queue?.add('job', { job: pending.bytes.toString('base64') }, { jobId: id, ...GONE_AT_ITS_END });
  }

  /** Now and then: what Redis refused in the middle, of one that is full or of another make, may be stored and in no list. */
  private async makeSure(pending: Pending): Promise<void> {
    pending.queued++;
    if (pending.queued % LOOKS_UNTIL_SURE !== 0) return;
    const state = await this.queue?.getJobState(pending.id);
    if (state !== undefined && !TAKEN_SOME_TIME.has(state)) await this.commands.discard(pending.id);
  }

  private async take(pending: Pending): Promise<void> {
    const bytes = await this.commands.take(pending.id, this.name);
    pending.again = bytes === null;
    if (bytes === null) return;
    const outcome = await outcomeOf(bytes);
    if (outcome !== null) return this.settle(pending, (caller) => caller.resolve(outcome));
    await this.commands.forget(pending.id);
    pending.unreadable++;
    pending.again = true;
    if (pending.unreadable < MOST_UNREADABLE) return;
    const detail = `What the queue had as its outcome could not be read, ${MOST_UNREADABLE} times.`;
    this.settle(pending, (caller) => caller.resolve({ ok: false, code: 'job-lost', detail }));
  }

  private settle(pending: Pending, tell: (caller: Caller) => void): void {
    if (this.isWanted(pending)) this.pending.delete(pending.id);
    this.room.leave(pending.id);
    const callers = [...pending.callers];
    pending.callers.clear();
    for (const caller of callers) tell(caller);
  }

  private isWanted(pending: Pending): boolean {
    return this.pending.get(pending.id) === pending;
  }

  private withdraw(pending: Pending): void {
    if (!this.isWanted(pending)) return;
    this.pending.delete(pending.id);
    this.room.leave(pending.id);
    pending.withdrawn = true;
    // Else at the end of the look that is under way.
    if (!pending.looking) this.leave(pending.id);
  }

  /** A job that nobody else waits for is taken out, unless a worker has it, who sees by itself that nobody waits. */
  private leave(id: string): void {
    const left = async () => {
      await this.opened;
      if (this.pending.has(id)) return;
      const others = await this.commands.leave(id, this.name);
      if (others === 0 && !this.pending.has(id)) await this.queue?.remove(id);
    };
    left().catch((error: unknown) => this.trouble(error));
  }

  private trouble(error: unknown): void {
    if (!this.closing.signal.aborted) this.troubles.tell(error);
  }

  private async open(): Promise<void> {
    const { signal } = this.closing;
    if (!(await answers(this.client, this.troubles, signal))) return;
    const bullmq = await import('bullmq');
    if (signal.aborted) return;
    const options = { connection: this.client, prefix: PREFIX };
    // Its stream of events says when to look, and is read at once: it need not be long.
    this.queue = new bullmq.Queue(QUEUE, { ...options, streams: { events: { maxLen: 1000 } } });
    this.events = new bullmq.QueueEvents(QUEUE, options);
    const trouble = (error: Error) => this.trouble(error);
    this.queue.on('error', trouble);
    this.events.on('error', trouble);
    const look = ({ jobId }: { jobId: string }) => {
      const pending = this.pending.get(jobId);
      if (pending !== undefined) this.look(pending);
    };
    this.events.on('completed', look).on('failed', look).on('removed', look);
    this.troubles.over();
    this.round = setInterval(() => this.goRound(), BOUNDS.lookMs);
    this.goRound();
  }

  private goRound(): void {
    if (this.client.status !== 'ready') return;
    for (const pending of this.pending.values()) if (!pending.looking) this.look(pending);
    if (this.counting) return;
    this.counting = true;
    this.commands
      .census()
      .then((signs) => {
        const slots = signs.map(slotsOf).filter((count) => count > 0);
        this.workers = slots.length;
        this.slots = slots.reduce((sum, count) => sum + count, 0);
        if (this.pending.size === 0) this.troubles.over();
      })
      .catch((error: unknown) => this.trouble(error))
      .finally(() => {
        this.counting = false;
      });
  }

  /** What is in the queue stays there, and its outcomes, for the next start. */
  async close(): Promise<void> {
    if (this.closing.signal.aborted) return;
    this.closing.abort();
    if (this.round !== null) clearInterval(this.round);
    for (const pending of [...this.pending.values()]) this.settle(pending, (caller) => caller.reject(closed()));
    // Commands that wait for a connection that does not come would be waited for.
    const parts = [this.events, this.queue].map((part) => part?.close().catch(() => {}));
    await within(2_000, Promise.all(parts));
    this.client.disconnect();
  }
}

const GONE_AT_ITS_END = { removeOnComplete: true, removeOnFail: true } as const;

function closed(): Error {
  return new Error('The queue runner is closed.');
}

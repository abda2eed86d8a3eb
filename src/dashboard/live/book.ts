/**
 * What is known of a session from its stream: the feeds of its charts, the newest metrics, its runs, the log. Frames go in; points go to
 * the plotter, and what else the page shows is told a few times a second. Kept by the worker that reads the stream.
 */
import type { Metrics, Run } from '../../api/contract-types.ts';
import { Feed } from '../parts/feed.ts';
import type { Frame } from '../resume.ts';
import { CounterFeeds } from './counter-feeds.ts';
import { EventLog, type LogLine } from './log.ts';
import { carriersOf, INVALIDATIONS, Rates, ROWS, runStartOf } from './rates.ts';
import type { Beginning, FeedName, FromReader, LogWanted, Shown } from './wire.ts';

/** Numbers and lists follow so soon, and no more often than that: who reads does not read ten a second. Charts follow every frame. */
const SOON_MS = 100;
const SLOW_MS = 1_000;
/** Lists follow the numbers, so that no frame has to lay out both. */
const AFTER_MS = 230;
/** New lines of the log at a time; those between them and the older ones follow when it is quiet again, or is held. */
const NEW_LINES = 5;
/** Of the usual time between two frames: what is shorter says nothing of a rate, and goes with the next. */
const SHORT = 0.25;

export class Book {
  private readonly tell: (message: FromReader) => void;
  private readonly feeds: Record<FeedName, Feed>;
  private readonly counters = new CounterFeeds();
  /** Places of the workloads that carry data. */
  private readonly carriers: readonly number[];
  private readonly rates: Rates;
  private readonly log = new EventLog();
  private wanted: LogWanted = { kinds: [], most: 0, held: false };
  private held: readonly LogLine[] | null = null;
  private shownLines: readonly LogLine[] = [];
  /** Not all that came stands between the shown lines. */
  private hasSkipped = false;
  private newest: Metrics | null = null;
  private verdictsPerSecond: number[] = [];
  /** By id. */
  private readonly runs = new Map<string, Run>();
  /** Of runs whose progress is not told yet. */
  private readonly moved = new Set<string>();
  private shownSerial = 0;
  private runStartNs: number | null = null;
  /** Simulated time between two frames, about. */
  private usualNs = 0;
  /** A timer runs, after which all is told that is new then. */
  private isWaiting = false;
  private isNew = false;

  constructor({ machine, metrics, runs }: Beginning, tell: (message: FromReader) => void) {
    this.tell = tell;
    this.rates = new Rates(machine.cpus, machine.cpuGhz);
    const workloads = (metrics.workloads ?? []).length;
    this.carriers = carriersOf(metrics);
    const verdicts = Object.keys(metrics.verdicts ?? {}).length;
    this.feeds = {
      throughput: new Feed(this.carriers.length),
      operations: new Feed(workloads),
      cpu: new Feed(ROWS.length + 1),
      hitRate: new Feed(1),
      walkReads: new Feed(1),
      queue: new Feed(1),
      exposed: new Feed(2),
      locks: new Feed((metrics.locks ?? []).length),
      bad: new Feed(Math.max(0, verdicts - 2)),
      invalidations: new Feed(INVALIDATIONS.length),
    };
    for (const run of runs) this.noteRun(run);
  }

  /** @param name of a chart, or of a counter */
  feed(name: string): Feed {
    return Object.hasOwn(this.feeds, name) ? this.feeds[name as FeedName] : this.counters.of(name);
  }

  take(frame: Frame): void {
    if (frame.type === 'metrics') this.takeMetrics(frame.data as Metrics);
    else {
      if (frame.type === 'runs') this.takeRun(frame.data as Run);
      this.log.take(frame);
    }
    this.wake();
  }

  /** Of a frame, or an answer of the server. */
  takeRun(run: Run): void {
    const state = this.runs.get(run.id)?.state;
    if (!this.noteRun(run)) return;
    if (state === run.state) this.moved.add(run.id);
    else this.tellRun(run.id);
    this.wake();
  }

  gap(words: string): void {
    this.log.gap(words);
    this.tell({ type: 'gap', words });
    this.wake();
  }

  want(wanted: LogWanted): void {
    this.wanted = wanted;
    this.held = wanted.held ? (this.held ?? this.log.lines()) : null;
    this.tellLines(true);
  }

  /** After a reset: simulated time begins again. */
  restart(): void {
    for (const feed of Object.values(this.feeds)) feed.clear();
    this.rates.clear();
    this.counters.clear();
    this.usualNs = 0;
    this.log.clear();
    this.shownLines = [];
    this.runStartNs = null;
    this.runs.clear();
    this.moved.clear();
    this.verdictsPerSecond = [];
    this.newest = null;
    this.tell({ type: 'epoch' });
    this.wake();
  }

  private takeMetrics(metrics: Metrics): void {
    this.newest = metrics;
    const { feeds } = this;
    const interval = this.rates.take(metrics, this.startFor(metrics), this.usualNs * SHORT);
    const seconds = (metrics.timeNs ?? 0) / 1e9;
    const { potential, actual } = metrics.exposure ?? {};
    feeds.exposed.add(seconds, [potential?.currentPages ?? 0, actual?.currentPages ?? 0]);
    feeds.queue.add(seconds, [(metrics.counters as Record<string, number> | undefined)?.flushQueueEntries ?? 0]);
    this.counters.take(metrics);
    if (interval === null) return;
    this.usualNs = this.usualNs === 0 ? interval.lengthNs : this.usualNs * 0.8 + interval.lengthNs * 0.2;
    this.verdictsPerSecond = interval.verdictsPerSecond;
    feeds.throughput.add(
      seconds,
      this.carriers.map((i) => interval.throughputGbps[i] ?? Number.NaN),
    );
    feeds.operations.add(seconds, interval.operationsPerSecond);
    feeds.cpu.add(seconds, interval.cpuPercent);
    feeds.hitRate.add(seconds, [interval.hitPercent]);
    feeds.walkReads.add(seconds, [interval.readsPerLookup]);
    feeds.locks.add(seconds, interval.lockPercent);
    feeds.bad.add(seconds, interval.verdictsPerSecond.slice(2));
    feeds.invalidations.add(seconds, interval.invalidationsPerSecond);
  }

  /** Frames from before the run are of another one, of which nobody knows any more when it began. */
  private startFor({ timeNs = 0 }: Metrics): number | null {
    return this.runStartNs !== null && this.runStartNs <= timeNs ? this.runStartNs : null;
  }

  /** @returns whether it is news: the reply to its start may come behind the frame of its end */
  private noteRun(run: Run): boolean {
    const known = this.runs.get(run.id);
    if (known !== undefined && hasEnded(known) && !hasEnded(run)) return false;
    if (run.state === 'running' || run.state === 'finished' || run.state === 'cancelled')
      this.runStartNs = runStartOf(run) ?? this.runStartNs;
    // A frame in between has no result.
    this.runs.set(run.id, { ...run, result: run.result ?? known?.result ?? null });
    return true;
  }

  private tellRun(id: string): void {
    this.moved.delete(id);
    const run = this.runs.get(id);
    if (run !== undefined) this.tell({ type: 'run', run });
  }

  private tellLines(anew: boolean): void {
    const { kinds, most } = this.wanted;
    const wanted = (this.held ?? this.log.lines()).filter(({ kind }) => kinds.includes(kind));
    const newest = this.shownLines[0]?.serial ?? 0;
    const fresh = anew ? wanted : wanted.filter(({ serial }) => serial > newest);
    const lines = anew ? wanted : [...fresh.slice(0, NEW_LINES), ...this.shownLines];
    this.hasSkipped = !anew && (this.hasSkipped || fresh.length > NEW_LINES);
    this.shownLines = lines.slice(0, most);
    this.tell({ type: 'lines', lines: this.shownLines, dropped: this.log.dropped, anew });
    this.shownSerial = this.log.serial;
  }

  private wake(): void {
    this.isNew = true;
    if (this.isWaiting) return;
    this.isWaiting = true;
    setTimeout(() => this.tellNews(), SOON_MS);
  }

  private tellNews(): void {
    this.isNew = false;
    if (this.newest !== null) this.tell({ type: 'metrics', shown: shownOf(this.newest, this.verdictsPerSecond) });
    for (const id of this.moved) this.tellRun(id);
    setTimeout(() => {
      const isQuiet = this.shownSerial === this.log.serial;
      if (this.held === null && (!isQuiet || this.hasSkipped)) this.tellLines(isQuiet);
    }, AFTER_MS);
    setTimeout(() => {
      if (this.isNew || this.hasSkipped) this.tellNews();
      else this.isWaiting = false;
    }, SLOW_MS);
  }
}

export function hasEnded({ state }: Run): boolean {
  return state !== 'running' && state !== 'queued';
}

export function shownOf(metrics: Metrics, verdictsPerSecond: number[] = []): Shown {
  const { timeNs = 0, operations = 0, throughputGbps = 0, iops = 0, cyclesPerOperation = null } = metrics;
  const { iotlb, exposure = {}, verdicts = {}, counters } = metrics;
  return {
    timeNs,
    operations,
    throughputGbps,
    iops,
    cyclesPerOperation,
    lookups: iotlb?.lookups ?? Number.NaN,
    hits: iotlb?.hits ?? 0,
    faults: (counters as Record<string, number> | undefined)?.faults ?? Number.NaN,
    exposure,
    verdicts: verdicts as Record<string, number>,
    verdictsPerSecond,
  };
}

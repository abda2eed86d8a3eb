/** What a live page knows: feeds of its charts, the newest metrics, the runs, the log. Frames go in; signals and feeds come out. */
import { computed, signal } from '@preact/signals';
import type { Metrics, Run, Session } from '../../api/contract-types.ts';
import { type ChartFeed, chartFeed } from '../parts/chart.tsx';
import { SeriesBuffer } from '../parts/series-buffer.ts';
import type { Frame } from '../resume.ts';
import { CounterFeeds } from './counter-feeds.ts';
import { EventLog, type LogLine } from './log.ts';
import { INVALIDATIONS, Rates, ROWS, runStartOf } from './rates.ts';

/** Numbers and lists follow so often; charts follow every frame. */
const SLOW_MS = 500;
/** Lists follow the numbers, so that no frame has to lay out both. */
const AFTER_MS = 230;
/** Of the usual time between two frames: what is shorter says nothing of a rate, and goes with the next. */
const SHORT = 0.25;

export interface LiveFeeds {
  throughput: ChartFeed;
  operations: ChartFeed;
  cpu: ChartFeed;
  hitRate: ChartFeed;
  walkReads: ChartFeed;
  queue: ChartFeed;
  exposed: ChartFeed;
  locks: ChartFeed;
  verdicts: ChartFeed;
  /** The same without `ok` and `fault`. */
  bad: ChartFeed;
  invalidations: ChartFeed;
}

export class LiveStore {
  /** Those that the page came with: which workloads, locks, verdicts and counters there are does not change. */
  readonly first: Metrics;
  /** The newest, some times a second. */
  readonly metrics = signal<Metrics | null>(null);
  /** At once when one begins or ends; how far one is follows with the metrics. */
  readonly runs = signal<readonly Run[]>([]);
  readonly isActive = computed(() => this.runs.value.some(({ state }) => state === 'running' || state === 'queued'));
  readonly lines = signal<readonly LogLine[]>([]);
  readonly dropped = signal(0);
  /** In words, the newest last; a line in the log is soon gone. */
  readonly gaps = signal<readonly string[]>([]);
  readonly feeds: LiveFeeds;
  readonly counters = new CounterFeeds();
  /** Places of the workloads that carry data. */
  readonly carriers: readonly number[];
  private readonly rates: Rates;
  private readonly log = new EventLog();
  private newest: Metrics | null = null;
  private known: readonly Run[] = [];
  private shownSerial = 0;
  private runStartNs: number | null = null;
  /** Simulated time between two frames, about. */
  private usualNs = 0;
  private waiting: ReturnType<typeof setTimeout> | undefined;
  private after: ReturnType<typeof setTimeout> | undefined;

  constructor({ spec }: Session, metrics: Metrics) {
    const { cpus = 1, cpuGhz = 1 } = spec.machine;
    this.rates = new Rates(cpus, cpuGhz);
    const workloads = (metrics.workloads ?? []).length;
    this.carriers = carriersOf(metrics);
    const verdicts = Object.keys(metrics.verdicts ?? {}).length;
    const feed = (series: number) => chartFeed(new SeriesBuffer(series));
    this.feeds = {
      throughput: feed(this.carriers.length),
      operations: feed(workloads),
      cpu: feed(ROWS.length + 1),
      hitRate: feed(1),
      walkReads: feed(1),
      queue: feed(1),
      exposed: feed(2),
      locks: feed((metrics.locks ?? []).length),
      verdicts: feed(verdicts),
      bad: feed(Math.max(0, verdicts - 2)),
      invalidations: feed(INVALIDATIONS.length),
    };
    this.first = metrics;
    this.newest = metrics;
    this.metrics.value = metrics;
  }

  takeRuns(runs: readonly Run[]): void {
    for (const run of runs) this.noteRun(run);
    this.wake();
  }

  take(frame: Frame): void {
    if (frame.type === 'metrics') this.takeMetrics(frame.data as Metrics);
    else {
      if (frame.type === 'runs') this.noteRun(frame.data as Run);
      this.log.take(frame);
    }
    this.wake();
  }

  gap(words: string): void {
    this.log.gap(words);
    this.gaps.value = [...this.gaps.value.slice(-99), words];
    this.wake();
  }

  forgetRun(id: string): void {
    this.known = this.known.filter((run) => run.id !== id);
    this.runs.value = this.known;
  }

  /** After a reset: simulated time begins again. */
  restart(): void {
    for (const feed of Object.values(this.feeds) as ChartFeed[]) feed.clear();
    this.rates.clear();
    this.counters.clear();
    this.usualNs = 0;
    this.log.clear();
    this.runStartNs = null;
    this.known = [];
    this.runs.value = [];
    this.gaps.value = [];
    this.newest = null;
    this.wake();
  }

  end(): void {
    clearTimeout(this.waiting);
    clearTimeout(this.after);
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
    feeds.throughput.add(
      seconds,
      this.carriers.map((i) => interval.throughputGbps[i] ?? Number.NaN),
    );
    feeds.operations.add(seconds, interval.operationsPerSecond);
    feeds.cpu.add(seconds, interval.cpuPercent);
    feeds.hitRate.add(seconds, [interval.hitPercent]);
    feeds.walkReads.add(seconds, [interval.readsPerLookup]);
    feeds.locks.add(seconds, interval.lockPercent);
    feeds.verdicts.add(seconds, interval.verdictsPerSecond);
    feeds.bad.add(seconds, interval.verdictsPerSecond.slice(2));
    feeds.invalidations.add(seconds, interval.invalidationsPerSecond);
  }

  /** Frames from before the run are of another one, of which nobody knows any more when it began. */
  private startFor({ timeNs = 0 }: Metrics): number | null {
    return this.runStartNs !== null && this.runStartNs <= timeNs ? this.runStartNs : null;
  }

  private noteRun(run: Run): void {
    const known = this.known.find(({ id }) => id === run.id);
    // The reply to its start may come behind the frame of its end.
    if (known !== undefined && hasEnded(known) && !hasEnded(run)) return;
    if (run.state === 'running' || run.state === 'finished' || run.state === 'cancelled')
      this.runStartNs = runStartOf(run) ?? this.runStartNs;
    // A frame in between has no result.
    const newest = { ...run, result: run.result ?? known?.result ?? null };
    this.known =
      known === undefined ? [newest, ...this.known] : this.known.map((each) => (each === known ? newest : each));
    if (known?.state !== run.state) this.runs.value = this.known;
  }

  private wake(): void {
    this.waiting ??= setTimeout(() => {
      this.waiting = undefined;
      if (this.newest !== null) this.metrics.value = this.newest;
      this.runs.value = this.known;
      this.after ??= setTimeout(() => {
        this.after = undefined;
        if (this.shownSerial !== this.log.serial) this.lines.value = this.log.lines();
        this.shownSerial = this.log.serial;
        this.dropped.value = this.log.dropped;
      }, AFTER_MS);
    }, SLOW_MS);
  }
}

function hasEnded({ state }: Run): boolean {
  return state !== 'running' && state !== 'queued';
}

function carriersOf({ workloads = [] }: Metrics): number[] {
  return workloads.flatMap(({ throughputGbps }, i) => (throughputGbps === undefined ? [] : [i]));
}

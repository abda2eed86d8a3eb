/**
 * What a live page knows, as signals, and the worker that knows the rest (`worker.ts`): it reads the stream and has the points of the
 * charts. A worker that fails is replaced by another, which begins where a page that is opened then would.
 */
import { computed, signal } from '@preact/signals';
import type { Metrics, Run, Session } from '../../api/contract-types.ts';
import { addSource, type FarFeed } from '../parts/plotter.ts';
import type { StreamListener, StreamReader } from '../stream.ts';
import { hasEnded, shownOf } from './book.ts';
import type { LogLine } from './log.ts';
import { carriersOf } from './rates.ts';
import type { FeedName, FromReader, LogWanted, Shown } from './wire.ts';
import type { ToReader } from './worker.ts';

/** Points of a chart. */
const CAPACITY = 600;
/** Of gaps, kept to be told. */
const GAPS = 100;

export class LiveStore implements StreamReader {
  /** Those that the page came with: which workloads, locks, verdicts and counters there are does not change. */
  readonly first: Metrics;
  /** Some times a second. */
  readonly metrics = signal<Shown>(shownOf({}));
  /** The newest first. At once when one begins or ends; how far one is follows with the metrics. */
  readonly runs = signal<readonly Run[]>([]);
  readonly isActive = computed(() => this.runs.value.some((run) => !hasEnded(run)));
  readonly lines = signal<{ lines: readonly LogLine[]; anew: boolean }>({ lines: [], anew: true });
  readonly dropped = signal(0);
  /** In words, the newest last; a line in the log is soon gone. */
  readonly gaps = signal<readonly string[]>([]);
  /** Places of the workloads that carry data. */
  readonly carriers: readonly number[];
  private readonly machine: { cpus: number; cpuGhz: number };
  private readonly source = addSource();
  private readonly feeds = new Map<string, FarFeed>();
  private readonly onChange: (state: Run['state'] | null) => void;
  private wanted: LogWanted | null = null;
  private listener: StreamListener | null = null;
  private worker: Worker | null = null;

  /** @param onChange told that a run changed, of its state; of null when the session was reset */
  constructor({ spec }: Session, metrics: Metrics, runs: readonly Run[], onChange: LiveStore['onChange']) {
    const { cpus = 1, cpuGhz = 1 } = spec.machine;
    this.machine = { cpus, cpuGhz };
    this.onChange = onChange;
    this.first = metrics;
    this.carriers = carriersOf(metrics);
    this.metrics.value = shownOf(metrics);
    this.runs.value = runs.toReversed();
  }

  /** The points of a chart, or of a counter by its name. */
  feed(name: FeedName | (string & {})): FarFeed {
    let feed = this.feeds.get(name);
    if (feed === undefined) {
      feed = { source: this.source.source, name, capacity: CAPACITY };
      this.feeds.set(name, feed);
    }
    return feed;
  }

  /** As the server has answered. */
  takeRun(run: Run): void {
    this.tell({ type: 'run', run });
  }

  want(wanted: LogWanted): void {
    this.wanted = wanted;
    this.tell({ type: 'want', wanted });
  }

  listen(listener: StreamListener): void {
    this.listener = listener;
  }

  open(address: string): void {
    this.worker ??= this.begin();
    this.tell({ type: 'open', address });
  }

  end(): void {
    this.tell({ type: 'end' });
    this.worker = null;
    this.source.end();
  }

  private tell(message: ToReader): void {
    this.worker?.postMessage(message);
  }

  private begin(): Worker {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    worker.onmessage = ({ data }: MessageEvent<FromReader>) => this.take(data);
    worker.onerror = (event) => {
      // Told on the page, and not on the console as well.
      event.preventDefault();
      worker.terminate();
      this.worker = null;
      this.listener?.failed(event.message ?? '');
    };
    const { port1, port2 } = new MessageChannel();
    const beginning = { machine: this.machine, metrics: this.first, runs: this.runs.peek().toReversed() };
    worker.postMessage({ type: 'begin', beginning, port: port1 } satisfies ToReader, [port1]);
    if (this.wanted !== null) worker.postMessage({ type: 'want', wanted: this.wanted } satisfies ToReader);
    this.source.use(port2);
    return worker;
  }

  private take(message: FromReader): void {
    switch (message.type) {
      case 'greeted':
        this.listener?.greeted();
        break;
      case 'closed':
        this.listener?.ended(message.code, message.reason);
        break;
      case 'metrics':
        this.metrics.value = message.shown;
        break;
      case 'run':
        this.noteRun(message.run);
        break;
      case 'lines':
        this.lines.value = message;
        this.dropped.value = message.dropped;
        break;
      case 'gap':
        this.gaps.value = [...this.gaps.peek().slice(1 - GAPS), message.words];
        break;
      case 'epoch':
        this.runs.value = [];
        this.gaps.value = [];
        this.onChange(null);
    }
  }

  private noteRun(run: Run): void {
    const known = this.runs.peek();
    const at = known.findIndex(({ id }) => id === run.id);
    this.runs.value = at === -1 ? [run, ...known] : known.with(at, run);
    this.onChange(run.state);
  }
}

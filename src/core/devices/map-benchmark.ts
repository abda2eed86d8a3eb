/**
 * map-benchmark: threads that map and unmap the same buffer over and over, each call timed as the kernel's own benchmark does it.
 *
 * Source: Linux `kernel/dma/map_benchmark.c` and its tool in `tools/testing/selftests/dma` (Barry Song, 2020; scatter lists 2025). A
 * thread dirties its buffer unless the device only writes, times the map, waits busily for `transferNs`, times the unmap. Each
 * difference is cut to units of 100 ns; sums and sums of squares go over all threads; mean and variance are integer divisions and the
 * deviation is the integer root: a mean that was cut makes the deviation of short calls too large.
 * Departs: `node` is always -1, the mask is the device's (`dmaMaskBits`); threads are tied to CPUs, and those that share one take
 * turns after each round, where the kernel's scheduler would give them slices; reading the clock takes no time.
 */
import { NO_FRAME } from '../hardware/memory.ts';
import { MAP_SUSPENDED } from '../os/dma-api.ts';
import { MAP_KIND } from '../os/mappings.ts';
import type { InputSegment } from '../os/scatterlist.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import { ExactSum } from '../sim/exact-sum.ts';
import type { Simulator } from '../simulator.ts';
import { DONE, SUSPENDED, Workload, type WorkloadEntry, type WorkloadSetup } from './workload.ts';

const PHASE = { turn: 0, map: 1, unmap: 2 } as const;
const UNIT_NS = 100;

/** The kernel's numbers and the tool's words for directions. */
const kernelDirections = { 'to-device': 'TO_DEVICE', 'from-device': 'FROM_DEVICE', bidirectional: 'BIDIRECTIONAL' };
type Direction = keyof typeof kernelDirections;
/** As `directions` of the mappings. */
const directionIndex: Record<Direction, number> = { 'to-device': 0, 'from-device': 1, bidirectional: 2 };

/** Sums over all threads, as the kernel keeps them. */
class Latencies {
  private sum = new ExactSum();
  private squares = new ExactSum();

  add(ns: number): void {
    const units = Math.floor(ns / UNIT_NS);
    this.sum.add(units);
    this.squares.add(units * units);
  }

  clear(): void {
    this.sum.clear();
    this.squares.clear();
  }

  /** `average map latency(us):1.0 standard deviation:0.3` of so many loops. */
  line(what: string, loops: number): string {
    let mean = 0n;
    let deviation = 0n;
    if (loops > 0) {
      mean = this.sum.toBigInt() / BigInt(loops);
      deviation = integerRoot(this.squares.toBigInt() / BigInt(loops) - mean * mean);
    }
    return `average ${what} latency(us):${tenths(mean)} standard deviation:${tenths(deviation)}`;
  }

  digest(sink: DigestSink): void {
    this.sum.digest(sink);
    this.squares.digest(sink);
  }
}

/** The largest whole number whose square is not above `value`. */
function integerRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let root = value;
  for (let next = (value + 1n) / 2n; next < root; next = (root + value / root) / 2n) root = next;
  return root;
}

function tenths(units: bigint): string {
  return `${units / 10n}.${units % 10n}`;
}

class MapBenchmark extends Workload {
  private readonly threads: number;
  private readonly seconds: number;
  private readonly direction: Direction;
  private readonly pages: number;
  private readonly asList: boolean;
  private readonly dirtyPs: number;
  private readonly transferPs: number;
  /** [thread]: its buffer, allocated at its first round; its mapping while there is one. */
  private readonly frame: Float64Array;
  private readonly slot: Int32Array;
  /** [thread]: its buffer as a list of pages. */
  private readonly lists: InputSegment[][];
  /** [n of `cpus`]: thread whose turn it is there. */
  private readonly turn: Int32Array;

  private readonly mapLatency = new Latencies();
  private readonly unmapLatency = new Latencies();
  /** ns since the session began at which no thread begins another round. */
  private endsAtNs = 0;
  private atPlace = 0;
  private mapStartNs = 0;
  /** [thread]: what its last map took. */
  private readonly mapNs: Float64Array;
  /** [thread]: 1 once it got no buffer or no address; the kernel's thread ends there. */
  private readonly ended: Uint8Array;

  constructor(simulator: Simulator, setup: WorkloadSetup) {
    super(simulator, setup);
    const { spec } = setup;
    this.threads = spec.threads as number;
    this.seconds = spec.seconds as number;
    this.direction = spec.direction as Direction;
    this.pages = spec.granulePages as number;
    this.asList = spec.mapMode === 'sg';
    this.transferPs = (spec.transferNs as number) * 1000;
    this.dirtyPs = this.direction === 'from-device' ? 0 : (spec.dirtyNs as number) * 1000 * this.pages;
    if (!setup.spec.cpus) {
      this.cpus.length = 0;
      for (let cpu = 0; cpu < simulator.cpuAt.length; cpu++) this.cpus.push(cpu);
    }
    this.frame = new Float64Array(this.threads).fill(NO_FRAME);
    this.slot = new Int32Array(this.threads).fill(-1);
    this.mapNs = new Float64Array(this.threads);
    this.ended = new Uint8Array(this.threads);
    this.lists = Array.from({ length: this.asList ? this.threads : 0 }, () =>
      Array.from({ length: this.pages }, () => ({ frame: 0, offset: 0, lengthBytes: 4096 })),
    );
    this.turn = Int32Array.from(this.cpus, (_, place) => place);
  }

  protected start(now: number): void {
    this.mapLatency.clear();
    this.unmapLatency.clear();
    this.ended.fill(0);
    this.endsAtNs = this.simulator.clock.toNs(now) + this.seconds * 1e9;
    for (let place = 0; place < this.cpus.length && place < this.threads; place++) {
      const thread = this.turn[place]!;
      this.arm(now, this.slot[thread]! >= 0 ? PHASE.unmap : PHASE.map, place);
    }
  }

  event(phase: number, place: number, now: number): boolean {
    const { simulator } = this;
    if (phase === PHASE.turn) {
      this.arm(now, PHASE.map, place);
      return DONE;
    }
    const cpu = this.cpus[place]!;
    if (!simulator.mayRun(cpu, this.index, now)) {
      this.arm(simulator.cpuAt[cpu]!, phase, place);
      return DONE;
    }
    if (phase === PHASE.unmap) {
      this.unmapOne(place, now);
      return DONE;
    }
    if (simulator.clock.toNs(now) >= this.endsAtNs) return DONE;
    const thread = this.turn[place]!;
    if (this.frame[thread] === NO_FRAME) {
      const frame = simulator.memory.allocate(this.pages, this.tenant);
      if (frame === NO_FRAME) {
        this.mapFailures++;
        this.ended[thread] = 1;
        this.nextTurn(place, now);
        return DONE;
      }
      this.frame[thread] = frame;
      if (this.asList)
        this.lists[thread]!.forEach((segment, page) => {
          segment.frame = frame + page;
        });
    }
    this.begin(cpu, now);
    const { work, clock } = simulator;
    work.addDriver(work.toMilliCycles(this.dirtyPs));
    this.atPlace = place;
    this.mapStartNs = clock.toNs(work.now());
    return this.mapOne();
  }

  private mapOne(): boolean {
    const { simulator } = this;
    const { work, clock, dma } = simulator;
    const place = this.atPlace;
    const thread = this.turn[place]!;
    const direction = directionIndex[this.direction];
    let slot: number;
    if (this.asList) {
      slot = dma.mapSg(this.device, direction, this.lists[thread]!);
      if (slot === MAP_SUSPENDED) return SUSPENDED;
      this.mapCalls++;
      if (slot < 0) this.mapFailures++;
    } else {
      slot = this.map(MAP_KIND.single, direction, this.frame[thread]!, this.pages * 4096);
      if (slot === MAP_SUSPENDED) return SUSPENDED;
    }
    this.offered++;
    if (slot < 0) {
      this.dropped++;
      this.ended[thread] = 1;
      this.nextTurn(place, this.finish());
      return DONE;
    }
    this.slot[thread] = slot;
    this.mapNs[thread] = clock.toNs(work.now()) - this.mapStartNs;
    // It waits busily: nobody else has the CPU meanwhile.
    work.addDriver(work.toMilliCycles(this.transferPs));
    const end = this.finish();
    simulator.cpuHolder[work.cpu] = this.index;
    this.arm(end, PHASE.unmap, place);
    return DONE;
  }

  private unmapOne(place: number, now: number): void {
    const { simulator } = this;
    const { work, clock } = simulator;
    const thread = this.turn[place]!;
    this.begin(this.cpus[place]!, now);
    const before = clock.toNs(work.now());
    this.unmap(this.slot[thread]!);
    const unmapNs = clock.toNs(work.now()) - before;
    this.slot[thread] = -1;
    const mapNs = this.mapNs[thread]!;
    this.mapLatency.add(mapNs);
    this.unmapLatency.add(unmapNs);
    this.latency.record(mapNs + unmapNs);
    this.operations++;
    this.bytes += this.pages * 4096;
    const end = this.finish();
    this.nextTurn(place, end, simulator.letGo(work.cpu));
  }

  /** Threads of one CPU take turns, those that have ended excepted; `givesWay` to other workloads before that. */
  private nextTurn(place: number, at: number, givesWay = false): void {
    const { turn, threads } = this;
    const before = turn[place]!;
    let thread = before;
    do {
      thread = thread + this.cpus.length < threads ? thread + this.cpus.length : place;
      if (this.ended[thread] === 0) {
        turn[place] = thread;
        this.arm(at, givesWay ? PHASE.turn : PHASE.map, place);
        return;
      }
    } while (thread !== before);
  }

  resume(): boolean {
    return this.mapOne();
  }

  /** What the kernel's tool prints. */
  override report(): Record<string, unknown> {
    const { threads, seconds, pages, direction } = this;
    return {
      lines: [
        `dma mapping benchmark: threads:${threads} seconds:${seconds} node:-1 dir:${kernelDirections[direction]} granule: ${pages}`,
        this.mapLatency.line('map', this.operations),
        this.unmapLatency.line('unmap', this.operations),
      ],
    };
  }

  tearDown(): void {
    const { simulator, slot, frame } = this;
    simulator.begin(this.cpus[0]!);
    for (let thread = 0; thread < this.threads; thread++) {
      if (slot[thread]! >= 0) simulator.dma.unmap(slot[thread]!, this.device);
      if (frame[thread]! >= 0) simulator.memory.giveBack(frame[thread]!, this.pages);
      slot[thread] = -1;
      frame[thread] = NO_FRAME;
    }
    simulator.end();
  }

  protected rebase(_ps: number): void {}

  protected digestState(sink: DigestSink): void {
    sink.column(this.slot, this.threads);
    sink.column(this.frame, this.threads);
    sink.column(this.mapNs, this.threads);
    sink.column(this.turn, this.turn.length);
    sink.column(this.ended, this.threads);
    sink.number(this.endsAtNs);
    this.mapLatency.digest(sink);
    this.unmapLatency.digest(sink);
  }
}

export const mapBenchmark: WorkloadEntry = {
  kind: 'map-benchmark',
  schema: {
    type: 'object',
    required: ['kind', 'device'],
    additionalProperties: false,
    properties: {
      name: { type: 'string' },
      kind: { const: 'map-benchmark' },
      device: { type: 'string' },
      tenant: { type: 'string' },
      cpus: { type: 'array', items: { type: 'integer', minimum: 0, maximum: 63 } },
      threads: { type: 'integer', minimum: 1, maximum: 1024 },
      seconds: { type: 'integer', minimum: 1, maximum: 300 },
      direction: { enum: ['to-device', 'from-device', 'bidirectional'] },
      transferNs: { type: 'integer', minimum: 0, maximum: 10_000_000, description: 'busy wait between map and unmap' },
      granulePages: { type: 'integer', minimum: 1, maximum: 1024 },
      mapMode: { enum: ['single', 'sg'] },
      dirtyNs: {
        type: 'number',
        minimum: 0,
        maximum: 1e6,
        description: 'of a page that is written before the map. Assumption: 100 (40 to 400), a page set in the cache',
      },
    },
  },
  defaults: {
    threads: 1,
    seconds: 20,
    direction: 'bidirectional',
    transferNs: 0,
    granulePages: 1,
    mapMode: 'single',
    dirtyNs: 100,
  },
  source: 'Linux kernel/dma/map_benchmark.c and its tool: same knobs, same limits, same three lines',
  defaultsFor: () => mapBenchmark.defaults,
  create: (simulator, setup) => new MapBenchmark(simulator, setup),
};

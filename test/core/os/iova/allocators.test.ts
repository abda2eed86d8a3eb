/**
 * The allocators against slow models of them, written independently from the kernel's description: the same addresses,
 * the same failures and the same number of predecessor steps, over random histories of 50,000 allocations and frees each.
 *
 * A failure names the mix, the seed and the step; IOVA_SEED repeats it or tries another, IOVA_OPERATIONS makes the histories longer.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { Counters } from '../../../../src/core/meter/counters.ts';
import { type IovaAllocator, NO_PFN, RANGE, SUSPENDED } from '../../../../src/core/os/iova/allocator.ts';
import { NO_FRAME_HINT } from '../../../../src/core/os/iova/call.ts';
import { allocators } from '../../../../src/core/os/iova/index.ts';
import { BitmapModel } from '../../../oracles/allocators/bitmap.ts';
import { ContiguousModel, takenOverRcache } from '../../../oracles/allocators/contiguous.ts';
import { EiovarModel } from '../../../oracles/allocators/eiovar.ts';
import { IdentityModel } from '../../../oracles/allocators/identity.ts';
import { MapleModel } from '../../../oracles/allocators/maple.ts';
import {
  AlphaModel,
  Amd2008Model,
  type Flushes,
  GartModel,
  SbaIa64Model,
  SbaPariscModel,
} from '../../../oracles/allocators/platforms.ts';
import { PowerpcPoolsModel, SparcPoolsModel } from '../../../oracles/allocators/pools.ts';
import { RbtreeModel } from '../../../oracles/allocators/rbtree.ts';
import { Rbtree2008Model } from '../../../oracles/allocators/rbtree-2008.ts';
import { RcacheModel, type RcacheShape } from '../../../oracles/allocators/rcache.ts';
import { type AllocatorModel, nextPowerOfTwo, type Range } from '../../../oracles/allocators/sorted-ranges.ts';

const SEED = Number(process.env.IOVA_SEED ?? 2008);
const OPERATIONS = Number(process.env.IOVA_OPERATIONS ?? 50_000);
/** Of what is slow in the model. */
const FEW = OPERATIONS / 5;
const LAST_24BIT = 0xfff;
const LAST_32BIT = 0xfffff;
const LAST_39BIT = 2 ** 27 - 1;
const LAST_48BIT = 2 ** 36 - 1;

type Pick = (from: number, to: number) => number;

interface Mix {
  title: string;
  /** Pages of the next request. */
  pages(pick: Pick): number;
  lifetimes: 'fifo' | 'lifo' | 'random';
  /** The live set wanders between none and this many ranges. */
  liveLast: number;
  /** Highest page number of each device; above 32 bits it asks below 4 GiB first. */
  devices: number[];
  /** Reserved before the first request: first and last page. */
  reserved: [number, number][];
  /** Whether ranges are reserved and given back between the requests. */
  reserving?: boolean;
  /** Size of a bitmap, where not 4 GiB. */
  apertureBytes?: number;
  /** Whether CPUs of the lower half allocate and those of the upper half free. */
  freesElsewhere?: boolean;
}

/** First of the 2,048 pages, just below 4 GiB, where ranges are reserved and given back. */
const WINDOW = 0xff7f0;
const MSI: [number, number] = [0xfee00, 0xfeeff];

const mixes: Mix[] = [
  {
    title: 'single pages, first in first out',
    pages: () => 1,
    lifetimes: 'fifo',
    liveLast: 600,
    devices: [LAST_32BIT],
    reserved: [MSI],
  },
  {
    title: 'single pages in random order',
    pages: () => 1,
    lifetimes: 'random',
    liveLast: 600,
    devices: [LAST_32BIT],
    reserved: [MSI],
  },
  {
    title: 'single pages in random order, thousands live',
    pages: () => 1,
    lifetimes: 'random',
    liveLast: 3000,
    devices: [LAST_32BIT],
    reserved: [MSI],
  },
  {
    title: '1 to 32 pages in random order',
    pages: (pick) => pick(1, 32),
    lifetimes: 'random',
    liveLast: 500,
    devices: [LAST_32BIT],
    reserved: [MSI],
  },
  {
    title: '1 to 32 pages, last in first out',
    pages: (pick) => pick(1, 32),
    lifetimes: 'lifo',
    liveLast: 500,
    devices: [LAST_32BIT],
    reserved: [MSI],
  },
  {
    title: 'up to 4096 pages in random order, the space below 4 GiB often full',
    pages: (pick) => (pick(0, 3) === 0 ? pick(1, 4096) : pick(1, 64)),
    lifetimes: 'random',
    liveLast: 900,
    devices: [LAST_32BIT],
    reserved: [MSI, [0x1000, 0xbffff]],
  },
  {
    title: 'devices of 24, 32, 39 and 48 bits in one domain, some asking below 4 GiB first',
    pages: (pick) => pick(1, 16),
    lifetimes: 'random',
    liveLast: 500,
    devices: [LAST_24BIT, LAST_32BIT, LAST_39BIT, LAST_48BIT],
    reserved: [MSI, [0x1000, 0xfefff - 0x400]],
    apertureBytes: 2 ** 33,
  },
  {
    title: 'near exhaustion: 2,000 pages below 4 GiB',
    pages: (pick) => (pick(0, 9) === 0 ? pick(1, 256) : pick(1, 8)),
    lifetimes: 'random',
    liveLast: 700,
    devices: [LAST_32BIT],
    reserved: [[0x801, 0xfffff - 0x2]],
    apertureBytes: 2 ** 24,
  },
  {
    title: 'near exhaustion: a device of 24 bits, first in first out',
    pages: (pick) => pick(1, 20),
    lifetimes: 'fifo',
    liveLast: 600,
    devices: [LAST_24BIT],
    reserved: [[0x400, 0x4ff]],
  },
  {
    title: 'ranges reserved and given back in between',
    pages: (pick) => pick(1, 8),
    lifetimes: 'random',
    liveLast: 300,
    devices: [LAST_32BIT, LAST_48BIT],
    reserved: [MSI, [0x1, 0xff7ff]],
    reserving: true,
    apertureBytes: 2 ** 33,
  },
];

/** For caches: what they are there for, and what they do not hold. */
const cacheMixes: Mix[] = [
  {
    title: '1 to 40 pages and now and then thousands, allocated here and freed there',
    pages: (pick) => (pick(0, 63) === 0 ? pick(33, 5000) : pick(1, 40)),
    lifetimes: 'random',
    liveLast: 800,
    devices: [LAST_32BIT, LAST_48BIT],
    reserved: [MSI],
    freesElsewhere: true,
  },
  {
    title: 'single pages, allocated here and freed there, the space near exhaustion',
    pages: () => 1,
    lifetimes: 'fifo',
    liveLast: 900,
    devices: [LAST_32BIT],
    reserved: [[0x301, 0xfffff - 0x3]],
    freesElsewhere: true,
  },
  {
    title: 'limits of 24 to 48 bits over the same magazines',
    pages: (pick) => pick(1, 4),
    lifetimes: 'random',
    liveLast: 300,
    devices: [LAST_24BIT, LAST_39BIT, LAST_48BIT, LAST_32BIT],
    reserved: [MSI, [0x800, 0xffff0 - 0x400]],
  },
];

interface Subject {
  kind: string;
  /** Where the kind comes up with other parameters than its own. */
  title?: string;
  parameters?: Record<string, unknown>;
  tree: boolean;
  /** The rounding that `livePages` and the listing show. */
  rounds: boolean;
  cpus?: boolean;
  /** A tenth of the operations: the parts of it have been compared at length. */
  short?: boolean;
  /** Frames of the machine, where addresses are given by frame. */
  frames?: number;
  /** CPUs of one with a cache, whose timers fire at random and which is asked on the caller's last attempt and before. */
  cacheOf?: number;
  /** Pages that a request takes, where `rounds` does not say it. */
  taken?(pages: number): number;
  model(mix: Mix, flushes: Flushes, arm: (order: number) => void): AllocatorModel;
}

/** What a model with a cache has beside the others. */
type CacheModel = AllocatorModel & { cpu?: number; lastAttempt?: boolean; timer?(order: number): void };

/** Pages of a platform's bitmap; AMD's has whole ranges of 32,768. */
function entriesOf({ apertureBytes = 2 ** 32 }: Mix): number {
  return Math.max(apertureBytes / 4096, 32_768);
}

/** CPUs on which the pooled allocators are asked, in turn at random. */
const CPUS_LAST = 63;
/** Memory of the machine where addresses are given by frame: what is asked for comes again and again. */
const WINDOW_FRAMES = 2 ** 14;

function rcacheOf(title: string, shape: Partial<RcacheShape>): Subject {
  const { cpus = 4, ...parameters } = shape;
  const whole: RcacheShape = {
    cpus,
    tree: 'rbtree',
    maxOrder: 6,
    magazineEntries: 127,
    depot: 'trimmed',
    depotMax: 32,
    ...parameters,
  };
  const largest = 2 ** (whole.maxOrder - 1);
  return {
    kind: 'rcache',
    title: `rcache ${title}`,
    parameters,
    tree: whole.tree === 'rbtree',
    rounds: false,
    cacheOf: cpus,
    taken: (pages) => (pages < largest ? nextPowerOfTwo(pages) : pages),
    model: (_mix, _flushes, arm) => new RcacheModel(whole, arm),
  };
}

const subjects: Subject[] = [
  { kind: 'maple', tree: false, rounds: false, model: () => new MapleModel() },
  rcacheOf('of today', {}),
  rcacheOf('of 2016', { magazineEntries: 128, depot: 'fixed' }),
  rcacheOf('over maple, magazines of 5', { magazineEntries: 5, tree: 'maple', cpus: 3 }),
  rcacheOf('with magazines of 6, a depot of 2 of them', { magazineEntries: 6, depot: 'fixed', depotMax: 2 }),
  rcacheOf('with ten classes, magazines of 1', { magazineEntries: 1, maxOrder: 10, cpus: 2 }),
  rcacheOf('with one class', { maxOrder: 1, magazineEntries: 20, cpus: 1 }),
  { kind: 'eiovar', tree: true, rounds: true, cacheOf: 1, model: () => new EiovarModel() },
  { kind: 'rbtree-2008', tree: true, rounds: true, model: () => new Rbtree2008Model() },
  { kind: 'rbtree', tree: true, rounds: false, model: () => new RbtreeModel() },
  {
    kind: 'bitmap',
    tree: false,
    rounds: false,
    model: (mix, { all }) => new BitmapModel(LAST_48BIT, LAST_48BIT, mix.apertureBytes ?? 2 ** 32, all),
  },
  { kind: 'gart', tree: false, rounds: false, model: (mix, flushes) => new GartModel(entriesOf(mix), flushes) },
  { kind: 'alpha', tree: false, rounds: false, model: (mix, flushes) => new AlphaModel(entriesOf(mix), flushes) },
  { kind: 'amd-2008', tree: false, rounds: false, model: (mix, flushes) => new Amd2008Model(entriesOf(mix), flushes) },
  {
    kind: 'sba-parisc',
    tree: false,
    rounds: false,
    model: (mix, flushes) => new SbaPariscModel(entriesOf(mix), flushes),
  },
  {
    kind: 'sba-ia64',
    tree: false,
    rounds: true,
    model: (mix, flushes) => new SbaIa64Model(entriesOf(mix), flushes),
  },
  {
    kind: 'sparc-pools',
    tree: false,
    rounds: false,
    cpus: true,
    model: (mix, { all }) => new SparcPoolsModel(entriesOf(mix), 16, all),
  },
  {
    kind: 'sparc-pools',
    title: 'sparc-pools of 4',
    parameters: { pools: 4 },
    tree: false,
    rounds: false,
    cpus: true,
    model: (mix, { all }) => new SparcPoolsModel(entriesOf(mix), 4, all),
  },
  {
    kind: 'powerpc-pools',
    tree: false,
    rounds: false,
    cpus: true,
    model: (mix) => new PowerpcPoolsModel(entriesOf(mix)),
  },
  {
    kind: 'identity',
    tree: false,
    rounds: false,
    cpus: true,
    frames: WINDOW_FRAMES,
    model: () => new IdentityModel(CPUS_LAST + 1, WINDOW_FRAMES, 2 ** 20),
  },
  { kind: 'persistent', tree: true, rounds: false, model: () => new RbtreeModel() },
  {
    kind: 'contiguous',
    title: 'contiguous over rbtree',
    parameters: { over: 'rbtree' },
    tree: true,
    rounds: false,
    cpus: true,
    model: () => new ContiguousModel(new RbtreeModel()),
  },
  {
    kind: 'contiguous',
    title: 'contiguous over rcache',
    tree: true,
    rounds: false,
    cacheOf: 4,
    taken: takenOverRcache,
    model: (_mix, _flushes, arm) => {
      const shape = { cpus: 4, magazineEntries: 127, depot: 'trimmed', depotMax: 32 } as const;
      return new ContiguousModel(new RcacheModel({ ...shape, tree: 'rbtree', maxOrder: 7 }, arm));
    },
  },
  {
    kind: 'contiguous',
    title: 'contiguous over maple',
    parameters: { over: 'maple' },
    tree: false,
    rounds: false,
    cpus: true,
    short: true,
    model: () => new ContiguousModel(new MapleModel()),
  },
];

function stateOf({ reserved, cached }: Range): number {
  return reserved ? RANGE.reserved : cached === true ? RANGE.cached : RANGE.allocated;
}

/** Ranges of one state as a union of pages, page 0 left out: whether it counts as reserved is the allocator's affair. */
function union(ranges: Range[], state: number): string {
  const joined: Range[] = [];
  for (const range of ranges) {
    if (stateOf(range) !== state || range.hi === 0) continue;
    const top = joined.at(-1);
    if (top !== undefined && top.hi + 1 === range.lo) top.hi = range.hi;
    else joined.push({ ...range, lo: Math.max(range.lo, 1) });
  }
  return joined.map(({ lo, hi }) => `${lo.toString(16)}-${hi.toString(16)}`).join(' ');
}

function listed(allocator: IovaAllocator): Range[] {
  const ranges: Range[] = [];
  allocator.forEachRange(
    (lo, hi, state) => ranges.push({ lo, hi, reserved: state === RANGE.reserved, cached: state === RANGE.cached }),
    Infinity,
  );
  return ranges;
}

/** Counts to see that a mix really did what it is for. */
interface Played {
  allocations: number;
  failures: number;
  steps: number;
  suspensions: number;
  /** Most ranges live at once. */
  peak: number;
  timers: number;
  counters: Counters;
}

function play(subject: Subject, mix: Mix, operations: number, budget: number): Played {
  const entry = allocators[subject.kind]!;
  const generator = xoroshiro128plus(SEED);
  const pick: Pick = (from, to) => uniformInt(generator, from, to);
  const flushed: string[] = [];
  const expectedFlushes: string[] = [];
  const parameters: Record<string, unknown> = { ...entry.defaults, ...subject.parameters };
  if (mix.apertureBytes !== undefined && 'apertureBytes' in parameters) parameters.apertureBytes = mix.apertureBytes;
  if ('entries' in parameters) parameters.entries = entriesOf(mix);
  const armed: number[] = [];
  const expectedArmed: number[] = [];
  const real = entry.create({
    lastPfn: LAST_48BIT,
    maskLastPfn: LAST_48BIT,
    parameters,
    cpus: subject.cacheOf ?? CPUS_LAST + 1,
    frames: subject.frames ?? 1,
    arm: (delayPs, token) => {
      assert.equal(delayPs, 1e11);
      armed.push(token);
    },
    onWrap: entry.circular ? () => void flushed.push('all') : null,
    onFreedAhead: (pfn, pages) => void flushed.push(`${pages} at ${pfn.toString(16)}`),
  });
  real.budget = budget;
  const model = subject.model(
    mix,
    {
      all: () => void expectedFlushes.push('all'),
      range: (pfn, pages) => void expectedFlushes.push(`${pages} at ${pfn.toString(16)}`),
    },
    (order) => void expectedArmed.push(order),
  ) as CacheModel;
  const taken = subject.taken ?? (subject.rounds ? nextPowerOfTwo : (pages: number) => pages);
  /** Puts a cache on a CPU, half of which only allocate where the mix says so. */
  const onCpu = (frees: boolean): void => {
    const { cacheOf: cpus } = subject;
    if (cpus === undefined || cpus === 1) return;
    const half = Math.floor(cpus / 2);
    const cpu = !mix.freesElsewhere ? pick(0, cpus - 1) : frees ? pick(half, cpus - 1) : pick(0, half - 1);
    real.call.cpu = cpu;
    model.cpu = cpu;
    operation += ` on CPU ${cpu}`;
  };
  const compareFlushes = (): void => {
    if (armed.length !== expectedArmed.length || armed.at(-1) !== expectedArmed.at(-1))
      assert.deepEqual(armed, expectedArmed, `${where()}, timers armed`);
    if (flushed.length !== expectedFlushes.length || flushed.at(-1) !== expectedFlushes.at(-1))
      assert.deepEqual(flushed, expectedFlushes, `${where()}, flushes`);
  };
  for (const [first, last] of mix.reserved) {
    real.reserve(first, last);
    model.reserve(first, last);
  }

  const live: { pfn: number; pages: number }[] = [];
  /** Devices that have given up asking below 4 GiB. */
  const gaveUp = new Set<number>();
  const played: Played = {
    allocations: 0,
    failures: 0,
    steps: 0,
    suspensions: 0,
    peak: 0,
    timers: 0,
    get counters() {
      const { counters } = real.call;
      return { ...counters, cacheHits: counters.cacheHits + (real.ownHits ?? 0) };
    },
  };
  let livePages = 0;
  let step = 0;
  let operation = '';
  const where = () => `${subject.kind}, "${mix.title}", IOVA_SEED=${SEED}, step ${step}: ${operation}`;

  const attempt = (pages: number, limitPfn: number, lastAttempt: boolean): number => {
    operation = `allocate ${pages} pages up to ${limitPfn.toString(16)}`;
    if (subject.cpus === true) {
      real.call.cpu = pick(0, CPUS_LAST);
      (model as AllocatorModel & { cpu: number }).cpu = real.call.cpu;
      operation += ` on CPU ${real.call.cpu}`;
    }
    if (subject.frames !== undefined) {
      // Mostly the frames of a small pool; some lie half outside of the memory, some lists have no one frame.
      const frame = pick(0, 9) === 0 ? NO_FRAME_HINT : pick(0, 19) === 0 ? subject.frames - 2 : pick(0, 400);
      real.call.frame = frame;
      (model as AllocatorModel & { frame: number }).frame = frame;
      operation += ` of frame ${frame}`;
    }
    onCpu(false);
    real.call.lastAttempt = lastAttempt;
    model.lastAttempt = lastAttempt;
    const nodesBefore = real.nodesVisited;
    let pfn: number;
    real.call.count = 0;
    while ((pfn = real.allocate(pages, limitPfn)) === SUSPENDED) {
      real.call.count = 0;
      played.suspensions++;
    }
    const expected = model.allocate(pages, limitPfn);
    if (pfn !== expected) assert.equal(pfn.toString(16), expected.toString(16), where());
    if (real.lastNodesVisited !== model.lastSteps) assert.equal(real.lastNodesVisited, model.lastSteps, where());
    if (real.nodesVisited - nodesBefore !== model.lastSteps) {
      assert.equal(real.nodesVisited - nodesBefore, model.lastSteps, `${where()}, in total`);
    }
    compareFlushes();
    played.steps += model.lastSteps;
    if (pfn === NO_PFN) {
      played.failures++;
    } else {
      played.allocations++;
      live.push({ pfn, pages });
      livePages += taken(pages);
    }
    return pfn;
  };

  const request = (): void => {
    const device = pick(0, mix.devices.length - 1);
    const pages = mix.pages(pick);
    const limitPfn = mix.devices[device]!;
    if (limitPfn > LAST_32BIT && entry.byFrame !== true && (entry.always32BitFirst || !gaveUp.has(device))) {
      if (attempt(pages, LAST_32BIT, false) !== NO_PFN) return;
      gaveUp.add(device);
    }
    attempt(pages, limitPfn, subject.cacheOf === undefined || pick(0, 9) > 0);
  };

  const release = (): void => {
    const index = mix.lifetimes === 'fifo' ? 0 : mix.lifetimes === 'lifo' ? live.length - 1 : pick(0, live.length - 1);
    const [range] = live.splice(index, 1);
    const { pfn, pages } = range!;
    operation = `free ${pages} pages at ${pfn.toString(16)}`;
    onCpu(true);
    real.call.count = 0;
    real.free(pfn, pages);
    model.free(pfn, pages);
    compareFlushes();
    livePages -= taken(pages);
  };

  /** [page - WINDOW]: reserved there by this mix. */
  const reservedInWindow = new Array<boolean>(0x800).fill(false);
  for (const [first, last] of mix.reserved) {
    for (let pfn = Math.max(first, WINDOW); pfn <= last && pfn < WINDOW + 0x800; pfn++) {
      reservedInWindow[pfn - WINDOW] = true;
    }
  }
  const mark = (first: number, last: number, reserved: boolean) =>
    reservedInWindow.fill(reserved, first - WINDOW, last - WINDOW + 1);

  const reserveOrUnreserve = (): void => {
    let first = WINDOW + pick(0, 0x7e0);
    let last = first + pick(0, 24);
    if (pick(0, 1) === 0) {
      operation = `reserve ${first.toString(16)}-${last.toString(16)}`;
      if (live.some(({ pfn, pages }) => pfn <= last && pfn + taken(pages) > first)) return;
      if (model.ranges().some(({ lo, hi, cached }) => cached === true && lo <= last && hi >= first)) return;
      real.reserve(first, last);
      model.reserve(first, last);
      mark(first, last, true);
      return;
    }
    while (first <= last && !reservedInWindow[first - WINDOW]) first++;
    if (first > last) return;
    // From a reserved page on: a piece of what touches it, or all of that inside the window.
    if (pick(0, 1) === 0) {
      while (reservedInWindow[first - 1 - WINDOW] === true) first--;
      last = WINDOW + 0x7ff;
    }
    let end = first;
    while (end <= last && reservedInWindow[end - WINDOW]) end++;
    last = end - 1;
    operation = `unreserve ${first.toString(16)}-${last.toString(16)}`;
    real.unreserve(first, last);
    model.unreserve(first, last);
    mark(first, last, false);
  };

  let target = mix.liveLast;
  for (step = 1; step <= operations; step++) {
    if (step % (3 * mix.liveLast) === 0) target = pick(0, mix.liveLast);
    if (mix.reserving && pick(0, 9) === 0) reserveOrUnreserve();
    if (armed.length > 0 && pick(0, 29) === 0) {
      const [order] = armed.splice(0, 1);
      expectedArmed.splice(0, 1);
      operation = `timer ${order}`;
      real.call.count = 0;
      real.timer!(order!);
      model.timer!(order!);
      compareFlushes();
      played.timers++;
    }
    const wantsMore = live.length < target ? 70 : 30;
    if (live.length === 0 || pick(0, 99) < wantsMore) request();
    else release();
    played.peak = Math.max(played.peak, live.length);
    if (real.liveRanges !== live.length) assert.equal(real.liveRanges, live.length, `${where()}, liveRanges`);
    if (real.livePages !== livePages) assert.equal(real.livePages, livePages, `${where()}, livePages`);
    if (step % 2000 === 0) {
      const [shown, expected] = [listed(real), model.ranges()];
      for (const [name, state] of Object.entries(RANGE))
        assert.equal(union(shown, state), union(expected, state), `${where()}, the ${name} pages`);
      const cached = expected.filter((range) => range.cached === true);
      assert.equal(real.cachedRanges ?? 0, cached.length, `${where()}, cachedRanges`);
      const cachedPages = cached.reduce((sum, { lo, hi }) => sum + hi - lo + 1, 0);
      assert.equal(real.cachedPages ?? 0, cachedPages, `${where()}, cachedPages`);
      assert.equal(real.depotMagazines ?? 0, (model as { depotMagazines?: number }).depotMagazines ?? 0, where());
    }
  }
  assert.equal(real.nodesVisited, played.steps, `${where()}, nodesVisited`);
  return played;
}

for (const subject of subjects) {
  describe(`${subject.title ?? subject.kind} does what its slow model does`, () => {
    const total: Played[] = [];
    for (const mix of subject.cacheOf === undefined ? mixes : [...mixes, ...cacheMixes]) {
      test(mix.title, () => {
        // Each of 16 pools that is reserved as a whole is scanned from end to end, in the model page by page.
        const pools = subject.cpus === true && subject.frames === undefined && mix.reserving === true;
        // And what is searched from two ends goes over all that is reserved each time.
        const ends = subject.frames !== undefined && mix.liveLast === 700;
        const operations = pools || ends || subject.short === true ? FEW : OPERATIONS;
        const played = play(subject, mix, operations, Infinity);
        const { allocations, failures, peak } = played;
        total.push(played);
        assert.ok(allocations > operations / 10, `only ${allocations} allocations`);
        if (/exhaustion|full/.test(mix.title)) assert.ok(failures > 100, `only ${failures} failures`);
        else assert.ok(peak > mix.liveLast * 0.6, `never more than ${peak} live`);
      });
    }
    if (subject.cacheOf === undefined) return;
    test('and the mixes together make it do all it can do', () => {
      const sum = (of: (played: Played) => number) => total.reduce((all, played) => all + of(played), 0);
      for (const counter of ['cacheHits', 'cacheMisses', 'cacheFlushes'] as const)
        assert.ok(sum(({ counters }) => counters[counter]) > OPERATIONS / 100, counter);
      if (subject.kind !== 'rcache') return;
      for (const counter of ['cacheBypasses', 'depotGets', 'depotPuts'] as const)
        assert.ok(sum(({ counters }) => counters[counter]) > OPERATIONS / 2000, counter);
      const { depot } = { depot: 'trimmed', ...subject.parameters };
      assert.equal(sum(({ timers }) => timers) > OPERATIONS / 1000, depot === 'trimmed', 'timers');
    });
  });
}

describe('a search that is suspended every few steps ends as the model does', () => {
  for (const subject of subjects) {
    for (const budget of [1, 3]) {
      test(`${subject.title ?? subject.kind}, ${budget} steps at a time`, () => {
        let suspensions = 0;
        for (const mix of mixes) suspensions += play(subject, mix, OPERATIONS / 20, budget).suspensions;
        assert.equal(suspensions > 1000, subject.tree, `${suspensions} suspensions`);
      });
    }
  }
});

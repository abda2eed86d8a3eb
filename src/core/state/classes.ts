/**
 * The classes whose objects make up a simulation, and what an image does with each.
 *
 * `found`: the simulator that is built for a restore has an object of the class in the same place, since constructors or `grow.ts` put
 * it there; the image is laid over it. `made`: objects of the class come and go, so a restore makes what it does not find, by the
 * class's own constructor (whose arguments do not matter: all fields are laid over), so that it has the hidden class of any other.
 *
 * A function in a field cannot be written down. It may stand in the fields named here, if the constructor puts it there and nobody
 * changes it: a restore keeps the one it finds. A class that is not here, or a function where none is named, makes `save` throw.
 */

import { Iotlb } from '../hardware/iotlb.ts';
import { FrameChunk, FreeBlocks, TenantRuns } from '../hardware/memory.ts';
import { Histogram } from '../meter/histogram.ts';
import { UnmapHistory } from '../os/device.ts';
import { DomainQueue, Ring } from '../os/invalidation/flush-queue.ts';
import { GuestStage } from '../os/mode/nested.ts';
import { BusyTimes } from '../sim/busy-times.ts';
import { ExactSum } from '../sim/exact-sum.ts';
import { Integral } from '../sim/integral.ts';
import { Lock } from '../sim/lock.ts';
import { RandomStream } from '../sim/random.ts';
import type { Simulator } from '../simulator.ts';
import { ByteSet } from '../truth/byte-set.ts';
import { LeavingEntries } from '../truth/device-holds.ts';
import { PageChunk, TruthPages } from '../truth/pages.ts';

/** [class]: fields that may hold a function. */
export const found: Readonly<Record<string, readonly string[]>> = {
  Simulator: [],
  // sim
  Clock: [],
  EventQueue: [],
  RandomStreams: [],
  XoroShiro128Plus: [],
  RedBlackTree: [],
  GapTree: [],
  Bitmap: [],
  SparseBits: [],
  // meter
  Counters: [],
  Durations: [],
  DurationHistogram: [],
  Work: [],
  // hardware
  Memory: [],
  PageTables: [],
  WalkCacheLevel: [],
  NotPresentCache: [],
  NestedWalk: [],
  InvalidationUnit: [],
  InvalidationQueue: [],
  FaultLog: [],
  Iommu: ['domainAt', 'onFault'],
  // truth
  Exposure: ['pagesOf', 'devicesOf'],
  ExposureLedger: [],
  DeviceHolds: [],
  PendingUnmap: ['devicesOf'],
  Oracle: [],
  // os
  Mappings: [],
  DmaApi: [],
  IovaCalls: [],
  Keeper: [],
  IommuApi: [],
  PageMapper: [],
  IotlbFlush: [],
  Registry: [],
  Domain: [],
  Device: [],
  // os/iova
  AllocatorCall: [],
  AllocatorFunctions: ['allocate', 'free'],
  Rbtree: [],
  Rbtree2008: [],
  Maple: [],
  Rcache: ['arm'],
  Magazines: [],
  SearchBehindCache: [],
  Eiovar: [],
  Persistent: [],
  KeptMappings: ['arm'],
  Identity: [],
  Contiguous: [],
  BitmapSpace: [],
  BitmapAllocator: ['onWrap'],
  Amd2008: ['onWrap', 'onFreedAhead'],
  Alpha: ['onWrap', 'onFreedAhead'],
  Gart: ['onWrap'],
  SbaParisc: ['onWrap'],
  SbaIa64: ['onWrap', 'onExhausted'],
  PoolSpace: ['onWrap'],
  // os/invalidation
  PolicyFunctions: ['unmapped'],
  Strict: [],
  Batched: [],
  Never: [],
  Wrap: [],
  Delayed: [],
  DelayedIa64: [],
  Deferred2008: [],
  HeldRanges: [],
  FlushQueue: [],
  // os/mode
  Passthrough: [],
  Bounce: [],
  BouncePool: ['onFull'],
  Copies: [],
  PartialPages: [],
  Shadow: [],
  DirectMap: [],
  TwoStages: [],
  NestedFlush: [],
  DeafHost: [],
  EmulatedFlush: [],
  HostQueue: ['carryOut', 'cleared'],
  HostMapper: [],
  // devices
  NicRx: [],
  NicRxBuffers: [],
  NicTx: [],
  Block: [],
  Hostile: [],
  MapBenchmark: [],
  Latencies: [],
  DmaWindow: [],
  DmaEngine: [],
  Replay: [],
  LiveCalls: [],
  MapInProgress: [],
  ReplayDmaCalls: [],
  ReplayMemory: [],
  ReplayOrder: [],
  ReplayPackets: [],
  ReplayRanges: [],
  ReplayTally: [],
  ReplayTouches: [],
  // the session
  CostReplies: [],
  EventLog: [],
  Run: [],
};

/** [class]: how to make one. */
export const made: Readonly<Record<string, (simulator: Simulator) => object>> = {
  BusyTimes: () => new BusyTimes(),
  ByteSet: () => new ByteSet(),
  DomainQueue: ({ domains }) => new DomainQueue(domains[0]!, 0),
  ExactSum: () => new ExactSum(),
  FrameChunk: () => new FrameChunk(),
  FreeBlocks: () => new FreeBlocks(),
  GuestStage: () => new GuestStage(0, 4),
  Histogram: () => new Histogram(),
  Integral: () => new Integral(),
  // Of a device's own TLB; how it replaces is laid over.
  Iotlb: ({ random }) => new Iotlb(1, 1, 'lru', random.stream('iotlb')),
  LeavingEntries: ({ exposure }) => new LeavingEntries(exposure, 0),
  Lock: () => new Lock(''),
  PageChunk: () => new PageChunk(),
  RandomStream: () => new RandomStream(0, ''),
  Ring: () => new Ring(1),
  TenantRuns: () => new TenantRuns(),
  TruthPages: () => new TruthPages(),
  UnmapHistory: () => new UnmapHistory(),
};

/**
 * Functions in objects without a class: what the parts of a simulation are given of each other when it is built. Such an object is
 * found, never made.
 */
export const given: ReadonlySet<string> = new Set([
  'arm',
  'armHardware',
  'bouncePool',
  'clearPtes',
  'exhausted',
  'flush',
  'freeIova',
  'mode',
  'tearDown',
]);

/**
 * Ways to what follows from the spec and never changes, or is the same in all simulations, with all that it reaches but objects of
 * classes. It is no part of an image; what points into it does so by number.
 */
const FIXED = [
  'spec',
  'effective',
  'profile',
  'costs',
  'allocatorEntry',
  'policyEntry',
  'untrustedEntry',
  'modeEntry',
  'iommu.gate',
  'modeParts.strict.policy.parts.parameters',
];

/**
 * One for each way to it, always in the same order: members of a spec may come in any, and what is one object in one spec may be two in
 * another that says the same.
 */
export function fixedOf(simulator: Simulator): object[] {
  const all: object[] = [];
  const visit = (value: unknown) => {
    if (typeof value !== 'object' || value === null) return;
    if (Array.isArray(value)) {
      all.push(value);
      for (const element of value) visit(element);
    } else if (Object.getPrototypeOf(value) === Object.prototype) {
      all.push(value);
      const members = value as Record<string, unknown>;
      for (const key of Object.keys(members).sort()) visit(members[key]);
    }
  };
  for (const way of FIXED) {
    let at: unknown = simulator;
    for (const name of way.split('.')) at = (at as Record<string, unknown>)[name];
    visit(at);
  }
  return all;
}

/** Anything a user can ask for, in any order: operations and runs at random, most of them for something that is there. */
import type { Operation, RunRequest } from '../../../src/core/operations.ts';
import type { Dice } from '../build.ts';

const HEX = [
  '0x0',
  '0x1000',
  '0xfffff000',
  '0xfee00000',
  '0x40000000',
  '0x7fffffffff',
  '0xfffffffff000',
  '0x1ffffffffffffff',
  '0xffffffffffffffff',
];

export class Anything {
  private readonly dice: Dice;
  /** Whether some devices are. */
  private readonly untrusted: boolean;
  private made = 0;

  constructor(dice: Dice, untrusted: boolean) {
    this.dice = dice;
    this.untrusted = untrusted;
  }

  private id(prefix: string): string {
    return this.dice.chance(30) ? 'nobody' : `${prefix}_${this.dice.below(this.made + 2)}`;
  }
  private address(): string | number {
    const { dice } = this;
    return dice.pick([
      dice.pick(HEX),
      0xfffff000 - 4096 * dice.below(64),
      0x40000000 + 4096 * dice.below(2048),
      4096 * dice.below(512),
      2 ** 21 * dice.below(64),
      2 ** 20 + 4096 * dice.below(300) + dice.pick([0, 0, 100]),
    ]);
  }
  private length(): number {
    return this.dice.pick([1, 100, 4096, 4096, 8192, 65536, 2 ** 21, 2 ** 22, 4097]);
  }
  private maybe<Fields extends object>(fields: Fields): Partial<Fields> {
    return this.dice.chance(2) ? fields : {};
  }

  operation(): Operation {
    const { dice } = this;
    const cpu = dice.below(5);
    const direction = dice.pick(['to-device', 'from-device', 'bidirectional'] as const);
    const range = () =>
      dice.chance(3)
        ? { physicalAddress: this.address(), lengthBytes: this.length() }
        : {
            buffer: this.id('buf'),
            ...this.maybe({ offsetBytes: dice.below(8192) }),
            ...this.maybe({ lengthBytes: this.length() }),
          };
    if (dice.chance(6)) this.made = Math.min(this.made + 1, 30);
    switch (dice.below(24)) {
      case 0:
        return { op: 'tenant', kind: dice.pick(['host', 'vm', 'process']), ...this.maybe({ memoryBytes: 2 ** 20 }) };
      case 1:
        return dice.chance(4)
          ? { op: 'tenant-remove', tenant: this.id('ten') }
          : { op: 'advance', ns: dice.below(2e7) };
      case 2:
        return {
          op: 'domain',
          ...this.maybe({ levels: dice.pick([3, 4, 5] as const) }),
          ...this.maybe({ tenant: this.id('ten') }),
        };
      case 3:
        return dice.chance(3)
          ? { op: 'domain-remove', domain: this.id('dom') }
          : { op: 'attach', device: this.id('dev'), domain: this.id('dom') };
      case 4:
        return {
          op: 'device',
          kind: dice.pick(['nic', 'block', 'hostile', 'custom']),
          ...this.maybe({ domain: this.id('dom') }),
          ...(this.untrusted && dice.chance(2) && { untrusted: true }),
          ...this.maybe({ dmaMaskBits: dice.pick([24, 32, 48, 64]) }),
          ...this.maybe({ maxSegmentBytes: 8192, segmentBoundaryBytes: dice.pick([4096, 65536]) }),
        };
      case 5:
        // Seldom: without a device that is attached nothing else happens.
        return dice.pick<Operation>([
          { op: 'device-remove', device: this.id('dev') },
          { op: 'detach', device: this.id('dev') },
          ...Array.from(
            { length: 6 },
            () => ({ op: 'attach', device: this.id('dev'), domain: this.id('dom') }) as const,
          ),
        ]);
      case 6:
      case 7:
        return {
          op: 'buffer',
          lengthBytes: this.length(),
          ...this.maybe({ tenant: this.id('ten') }),
          ...(dice.chance(4) && { physicalAddress: this.address() }),
        };
      case 8:
        return { op: 'free', buffer: this.id('buf'), ...this.maybe({ force: true }) };
      case 9:
      case 10:
      case 11:
        return { op: 'map', device: this.id('dev'), kind: dice.pick(['single', 'page']), direction, cpu, ...range() };
      case 12:
        return {
          op: 'map',
          device: this.id('dev'),
          kind: 'sg',
          direction,
          cpu,
          segments: Array.from({ length: 1 + dice.below(5) }, range),
        };
      case 13:
        return { op: 'map', device: this.id('dev'), kind: 'coherent', direction, lengthBytes: this.length(), cpu };
      case 14:
      case 15:
        return { op: 'unmap', mapping: `map_${dice.below(200)}_${dice.below(3)}`, cpu };
      case 16:
        return {
          op: 'unmap',
          device: this.id('dev'),
          iova: this.address(),
          lengthBytes: this.length(),
          direction,
          cpu,
        };
      case 17:
      case 18:
        return {
          op: 'dma',
          device: this.id('dev'),
          iova: this.address(),
          lengthBytes: this.length(),
          access: dice.pick(['read', 'write']),
        };
      case 19:
        return {
          op: 'iommu-map',
          domain: this.id('dom'),
          iova: this.address(),
          physicalAddress: this.address(),
          lengthBytes: this.length(),
          access: dice.pick(['r', 'w', 'rw']),
          ...(dice.chance(4) && { pageSize: dice.pick(['4KiB', '2MiB', '1GiB'] as const) }),
        };
      case 20:
        return {
          op: 'iommu-unmap',
          domain: this.id('dom'),
          iova: this.address(),
          lengthBytes: this.length(),
          ...this.maybe({ invalidate: false }),
        };
      case 21:
        return {
          op: 'invalidate',
          scope: dice.pick(['global', 'domain', 'range']),
          ...this.maybe({ domain: this.id('dom') }),
          ...this.maybe({ iova: this.address(), lengthBytes: this.length() }),
          ...this.maybe({ leafOnly: true }),
        };
      case 22:
        return {
          op: 'sync',
          mapping: `map_${dice.below(100)}_0`,
          for: dice.pick(['cpu', 'device']),
          ...this.maybe({ offsetBytes: 100 }),
        };
      default: {
        if (dice.chance(3)) return { op: 'workload-remove', workload: this.id('wl') };
        const device = this.id('dev');
        const tenant = this.maybe({ tenant: this.id('ten') });
        return dice.pick<Operation>([
          { op: 'workload', kind: 'nic-rx', device, ringSize: 8, mappingsPerPacket: 1 + dice.below(2), ...tenant },
          { op: 'workload', kind: 'nic-tx', device, ringSize: 8, queues: 1 + dice.below(3) },
          {
            op: 'workload',
            kind: 'block',
            device,
            depth: 3,
            lengthBytes: dice.pick([512, 4096, 20000]),
            latencyNs: 2000,
            ...tenant,
          },
          {
            op: 'workload',
            kind: 'hostile',
            device,
            target: this.id('dev'),
            select: dice.pick(['live', 'last-unmapped', 'random-unmapped']),
            accessesPerUs: 1,
          },
        ]);
      }
    }
  }

  run(): RunRequest {
    const { dice } = this;
    return dice.pick<RunRequest>([
      { forNs: dice.below(200_000) },
      { untilNs: dice.below(1e9) },
      { operations: 1 + dice.below(100) },
      { until: { metric: 'verdicts.ok', above: 1e4 } },
      { until: { metric: 'exposure.potential.windows', above: 3 } },
      { until: { metric: 'no.such.metric', above: 3 } },
    ]);
  }
}

/** A guest with a device, and another one that it knows nothing of. */
const guest = {
  tenants: [{ kind: 'vm' }, { kind: 'vm' }],
  domains: [{ tenant: 'ten_1' }, { tenant: 'ten_2' }],
  devices: [
    { kind: 'nic', domain: 'dom_0' },
    { kind: 'custom', domain: 'dom_1' },
  ],
};

/** Machines that it can be asked of: between them every part that a machine may have. */
export const machines: Record<string, Record<string, unknown>> = {
  'rbtree-2008, deferred-2008': {},
  'rbtree, strict, five levels': {
    policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' } },
    iommu: { levels: 5 },
  },
  'bitmap, wrap': { policy: { allocator: { kind: 'bitmap', apertureBytes: 2 ** 22 }, invalidation: { kind: 'wrap' } } },
  'amd-2008, wrap': { policy: { allocator: { kind: 'amd-2008', entries: 1024 }, invalidation: { kind: 'wrap' } } },
  'alpha, flush-queue': {
    policy: { allocator: { kind: 'alpha', entries: 1024 }, invalidation: { kind: 'flush-queue' } },
  },
  'sba-parisc, flush-queue, single': {
    policy: { allocator: { kind: 'sba-parisc' }, invalidation: { kind: 'flush-queue', single: true } },
  },
  'rcache, flush-queue': {
    policy: { allocator: { kind: 'rcache', magazineEntries: 2 }, invalidation: { kind: 'flush-queue' } },
  },
  'rcache over maple, fixed depot, strict': {
    policy: {
      allocator: { kind: 'rcache', tree: 'maple', magazineEntries: 1, depot: 'fixed', depotMax: 1 },
      invalidation: { kind: 'strict' },
    },
  },
  'maple, deferred-2008': { policy: { allocator: { kind: 'maple' } } },
  'eiovar, never': { policy: { allocator: { kind: 'eiovar' }, invalidation: { kind: 'never' } } },
  'bitmap, delayed, three levels': {
    policy: { allocator: { kind: 'bitmap' }, invalidation: { kind: 'delayed' } },
    iommu: { levels: 3 },
  },
  'sba-ia64, delayed, ia64': {
    policy: { allocator: { kind: 'sba-ia64', entries: 1024 }, invalidation: { kind: 'delayed', form: 'ia64' } },
  },
  'persistent, delayed, ia64': {
    policy: {
      allocator: { kind: 'persistent', keptMappings: 8, keptTimeoutMs: 2 },
      invalidation: { kind: 'delayed', form: 'ia64', entries: 6 },
    },
  },
  'persistent, strict': { policy: { allocator: { kind: 'persistent' }, invalidation: { kind: 'strict' } } },
  'identity, batched': { policy: { allocator: { kind: 'identity' }, invalidation: { kind: 'batched' } } },
  'rbtree, never, fifo frames': {
    policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'never' } },
    machine: { frameReuse: 'fifo' },
  },
  'caching mode, random frames': {
    iommu: { invalidation: { cachingMode: true, interface: 'register' } },
    machine: { frameReuse: 'random' },
  },
  passthrough: { policy: { mode: 'passthrough' } },
  'bounce, a small pool': { policy: { mode: 'bounce', bounce: { poolBytes: 2 ** 19 } } },
  'shadow, a small pool': { policy: { mode: 'shadow', shadow: { poolBytes: 2 ** 18 } } },
  direct: { policy: { mode: 'direct' }, ...guest },
  'emulated, deferred': { policy: { mode: 'emulated' }, ...guest },
  'paravirtual, deferred': { policy: { mode: 'paravirtual' }, ...guest },
  'paravirtual, strict, bitmap': {
    policy: { mode: 'paravirtual', allocator: { kind: 'bitmap' }, invalidation: { kind: 'strict' } },
    ...guest,
  },
  'nested, deferred, little to cache': {
    policy: { mode: 'nested' },
    iommu: { walkCache: { entriesPerLevel: [1, 2, 2] }, iotlb: { entries: 16, ways: 4 } },
    ...guest,
  },
  'nested, strict, flushes dropped': {
    policy: { mode: 'nested', invalidation: { kind: 'strict' }, nested: { propagate: false } },
    machine: { frameReuse: 'random' },
    ...guest,
  },
  'nested, flush queue, little memory': {
    policy: { mode: 'nested', allocator: { kind: 'rbtree' }, invalidation: { kind: 'flush-queue' } },
    machine: { memoryBytes: 2 ** 20 + 120 * 4096 },
    ...guest,
  },
  'untrusted devices': {
    policy: { invalidation: { kind: 'strict' }, bounce: { poolBytes: 2 ** 19 } },
    devices: [{ kind: 'nic', untrusted: true }],
  },
  'little memory': { machine: { memoryBytes: 2 ** 20 + 100 * 4096 } },
};

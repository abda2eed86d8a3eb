/**
 * One machine: the bill of materials. Every part of the hardware, of the kernel and of the oracle is built and wired here, in one place;
 * what is made during a session (tenants, domains, devices, buffers, workloads) is registered here.
 */
import { CostReplies } from './apply/cost.ts';
import { type Effective, effectivePolicy, inCachingMode } from './boot/effective-policy.ts';
import { makeBouncePool } from './copies.ts';
import type { Workload } from './devices/workload.ts';
import { EVENT } from './event-kinds.ts';
import { EventLog } from './event-log.ts';
import { FaultLog } from './hardware/fault.ts';
import { InvalidationUnit } from './hardware/invalidation.ts';
import { Iotlb } from './hardware/iotlb.ts';
import { Memory } from './hardware/memory.ts';
import { NestedWalk } from './hardware/nested.ts';
import { NotPresentCache } from './hardware/not-present-cache.ts';
import { PageTables } from './hardware/page-table.ts';
import { Iommu } from './hardware/translate.ts';
import { WalkCacheLevel } from './hardware/walk-cache.ts';
import { type CostProfile, type Costs, costsOf, profiles } from './meter/cost-profile.ts';
import { Counters } from './meter/counters.ts';
import { Work } from './meter/work.ts';
import type { Buffer, Tenant } from './os/buffer.ts';
import type { Device } from './os/device.ts';
import { DmaApi, type DmaApiParts } from './os/dma-api.ts';
import type { Domain } from './os/domain.ts';
import { PolicyFunctions } from './os/invalidation/functions.ts';
import { policies } from './os/invalidation/index.ts';
import type { InvalidationPolicy, PolicyEntry } from './os/invalidation/policy.ts';
import { strict } from './os/invalidation/strict.ts';
import { IommuApi } from './os/iommu-api.ts';
import type { IotlbFlush } from './os/iotlb-flush.ts';
import type { AllocatorEntry } from './os/iova/allocator.ts';
import { AllocatorCall } from './os/iova/call.ts';
import { allocators } from './os/iova/index.ts';
import { Mappings } from './os/mappings.ts';
import type { BouncePool } from './os/mode/bounce-pool.ts';
import type { GuestMemory } from './os/mode/guest-memory.ts';
import { modes, parametersOf } from './os/mode/index.ts';
import type { ModeEntry, ModeParts } from './os/mode/mode.ts';
import type { PageMapper } from './os/page-mapper.ts';
import { Registry } from './os/registry.ts';
import type { Run } from './run.ts';
import { parseAddress, parsed } from './sim/address.ts';
import { Clock } from './sim/clock.ts';
import { EventQueue } from './sim/event-queue.ts';
import type { Lock } from './sim/lock.ts';
import { RandomStreams } from './sim/random.ts';
import type { ResolvedSpec } from './spec.ts';
import { Exposure } from './truth/exposure.ts';
import { Oracle } from './truth/oracle.ts';
import { wayToTheChip } from './way-to-chip.ts';

export class Machine {
  declare readonly spec: ResolvedSpec;
  declare readonly profile: CostProfile;
  declare readonly costs: Costs;
  declare readonly costReplies: CostReplies;
  readonly clock = new Clock();
  readonly queue = new EventQueue();
  declare readonly random: RandomStreams;
  readonly counters = new Counters();
  declare readonly work: Work;
  /** What allocators are told and answer beside addresses. */
  readonly call = new AllocatorCall(this.counters);
  declare readonly memory: Memory;
  declare readonly tables: PageTables;
  declare readonly iotlb: Iotlb;
  declare readonly walkCaches: WalkCacheLevel[];
  /** The walk of two stages; null in all modes but that of them. */
  declare readonly nested: NestedWalk | null;
  /** What keeps guests' memory mapped; null where nobody does. */
  declare readonly hypervisor: GuestMemory | null;
  declare readonly faults: FaultLog;
  declare readonly exposure: Exposure;
  readonly mappings = new Mappings();
  declare readonly oracle: Oracle;
  declare readonly unit: InvalidationUnit;
  declare readonly flush: IotlbFlush;
  declare readonly mapper: PageMapper;
  declare readonly allocatorEntry: AllocatorEntry;
  declare readonly effective: Effective;
  declare readonly policyEntry: PolicyEntry;
  /** In force in every domain but those of untrusted devices. */
  declare readonly policy: InvalidationPolicy;
  /** In force in those; the same object where an untrusted device makes no difference. */
  declare readonly untrustedEntry: PolicyEntry;
  declare readonly untrustedPolicy: InvalidationPolicy;
  declare readonly policyFunctions: PolicyFunctions;
  declare readonly untrustedFunctions: PolicyFunctions;
  declare readonly modeEntry: ModeEntry;
  /** Whether the hardware, or the hypervisor that plays it, caches what is not present. */
  declare readonly cachingMode: boolean;
  declare readonly notPresent: NotPresentCache | null;
  /** What a mode and the DMA API are made of, for what is made of the same later. */
  declare readonly modeParts: Omit<ModeParts, 'dma'>;
  declare readonly dmaParts: DmaApiParts;
  declare readonly dma: DmaApi;
  declare readonly iommuApi: IommuApi;
  declare readonly iommu: Iommu<Domain>;
  readonly log = new EventLog();

  readonly tenants = new Registry<Tenant>('ten_');
  /** [index]: every domain there ever was. */
  readonly domains: Domain[] = [];
  readonly domainNames = new Registry<Domain>('dom_');
  readonly devices = new Registry<Device>('dev_');
  /** [index]: every device there ever was. */
  readonly everyDevice: Device[] = [];
  readonly buffers = new Registry<Buffer>('buf_');
  readonly workloads = new Registry<Workload>('wl_');
  /** [index]: every workload there ever was; the accounts of exposure are numbered alike. */
  readonly workloadAt: (Workload | undefined)[] = [];

  readonly reserved: { first: number; last: number }[] = [];
  /** The run in progress, or the last one. */
  run: Run | null = null;
  /** The pool that copies are in; null until there is one. */
  bouncePool: BouncePool | null = null;

  constructor(spec: ResolvedSpec) {
    this.spec = spec;
    const { machine, iommu } = spec;
    this.effective = effectivePolicy(spec);
    const { policy, untrusted } = this.effective;
    this.profile = profiles[spec.costs.profile]!;
    this.costs = costsOf(this.profile, spec.costs.overrides);
    this.random = new RandomStreams(spec.seed);
    this.work = new Work(machine.cpuGhz, this.costs.lockHandoff, this.clock);
    this.memory = new Memory(machine.memoryBytes, machine.frameReuse, this.random.stream('frames'));
    this.tables = new PageTables(this.memory);
    this.iotlb = new Iotlb(iommu.iotlb.entries, iommu.iotlb.ways, iommu.iotlb.replacement, this.random.stream('iotlb'));
    // The spec counts from the root; here [0] is the cache whose entries point to leaf tables.
    const makeWalkCaches = () =>
      [...iommu.walkCache.entriesPerLevel].reverse().map((entries, i) => new WalkCacheLevel(i + 1, entries));
    this.walkCaches = makeWalkCaches();
    this.faults = new FaultLog(iommu.faultLogEntries);
    const pagesOf = (domain: number) => this.domains[domain]!.pages;
    this.exposure = new Exposure(this.iotlb, pagesOf, (domain) => this.domains[domain]?.deviceTlbs ?? []);
    this.oracle = new Oracle(this.memory, this.mappings, this.iotlb, this.counters, this.clock);
    this.cachingMode = inCachingMode(spec);
    this.notPresent = this.cachingMode ? new NotPresentCache() : null;
    this.unit = new InvalidationUnit(
      iommu.invalidation,
      machine.cpus,
      this.iotlb,
      this.walkCaches,
      this.counters,
      this.exposure,
      this.notPresent,
    );
    this.modeEntry = modes[policy.mode]!;
    this.nested =
      this.modeEntry.kind === 'nested' ? new NestedWalk(this.tables, this.walkCaches, makeWalkCaches()) : null;
    [this.flush, this.mapper] = wayToTheChip(this);
    this.hypervisor =
      this.modeEntry.hypervisor?.({
        memory: this.memory,
        tables: this.tables,
        mapper: this.mapper,
        unit: this.unit,
        work: this.work,
        costs: this.costs,
        clock: this.clock,
        levels: iommu.levels,
        superpages: iommu.superpages,
        coherent: iommu.coherent,
        nested: this.nested,
      }) ?? null;
    this.allocatorEntry = allocators[policy.allocator.kind]!;
    this.policyEntry = policies[policy.invalidation.kind]!;
    this.costReplies = new CostReplies(this.profile, spec.costs.overrides, {
      translates: this.modeEntry.allocates,
      steps: [
        ...(this.modeEntry.stepsWith?.(parametersOf(spec)) ?? this.modeEntry.steps),
        ...(this.modeEntry.allocates
          ? (this.allocatorEntry.costStepsWith?.(policy.allocator) ?? this.allocatorEntry.costSteps)
          : []),
      ],
      spares: this.modeEntry.spares,
      deferred: this.policyEntry.deferred,
      coherent: iommu.coherent,
    });
    this.untrustedEntry = policies[untrusted.kind]!;
    const policyParts = {
      work: this.work,
      costs: this.costs,
      counters: this.counters,
      flush: this.flush,
      unit: this.unit,
      tables: this.tables,
      domains: this.domains,
      cachingMode: this.cachingMode,
      clearPtes: (domain: Domain, pfn: number, pages: number) => this.dma.clearPtes(domain, pfn, pages),
      freeIova: (domain: Domain, pfn: number, pages: number) => this.dma.iova.free(domain, pfn, pages),
      arm: (ps: number, token: number) => this.queue.arm(ps, EVENT.timerOnCpu + this.work.cpu, token),
      armHardware: (ps: number, token: number) => this.queue.arm(ps, EVENT.hardware, token),
      cpus: machine.cpus,
    };
    this.policy = this.policyEntry.create({ ...policyParts, parameters: policy.invalidation });
    this.untrustedPolicy =
      this.untrustedEntry === this.policyEntry
        ? this.policy
        : this.untrustedEntry.create({ ...policyParts, parameters: untrusted });
    this.policyFunctions = new PolicyFunctions(this.policy);
    this.untrustedFunctions = new PolicyFunctions(this.untrustedPolicy);
    this.modeParts = {
      clock: this.clock,
      work: this.work,
      costs: this.costs,
      counters: this.counters,
      memory: this.memory,
      tables: this.tables,
      mapper: this.mapper,
      mappings: this.mappings,
      oracle: this.oracle,
      unit: this.unit,
      flush: this.flush,
      domains: this.domains,
      cpus: machine.cpus,
      bouncePool: (aligned) => makeBouncePool(this, aligned),
      strict: new PolicyFunctions(strict.create({ ...policyParts, parameters: strict.defaults })),
      parameters: parametersOf(spec),
    };
    const parts = {
      clock: this.clock,
      work: this.work,
      costs: this.costs,
      counters: this.counters,
      memory: this.memory,
      tables: this.tables,
      mapper: this.mapper,
      mappings: this.mappings,
      exposure: this.exposure,
      oracle: this.oracle,
      flush: this.flush,
      mode: (dma: DmaApi) => this.modeEntry.create({ ...this.modeParts, dma }),
      plain:
        this.modeEntry.kind === 'translate' &&
        !this.cachingMode &&
        !this.mapper.locks &&
        this.allocatorEntry.keepsMappings !== true,
      keepsMappings: this.allocatorEntry.keepsMappings === true,
      byFrame: this.allocatorEntry.byFrame === true,
      cachingMode: this.cachingMode,
      always32BitFirst: this.allocatorEntry.always32BitFirst && !policy.forcedac,
      call: this.call,
      findCost: this.allocatorEntry.findStep === null ? 0 : this.costs[this.allocatorEntry.findStep],
      domains: this.domains,
    };
    this.dmaParts = parts;
    const interrupts: { first: number; last: number }[] = [];
    for (const region of iommu.reservedRegions) {
      parseAddress(region.start);
      const first = parsed.page;
      parseAddress(region.end);
      this.reserved.push({ first, last: parsed.page });
      if (region.type === 'msi') interrupts.push({ first, last: parsed.page });
    }
    this.dma = new DmaApi(parts);
    this.iommuApi = new IommuApi(parts);
    this.iommu = new Iommu({
      iotlb: this.iotlb,
      tables: this.tables,
      walkCaches: this.walkCaches,
      oracle: this.oracle,
      exposure: this.exposure,
      faults: this.faults,
      counters: this.counters,
      clock: this.clock,
      passthrough: this.modeEntry.kind === 'passthrough',
      interrupts,
      domainAt: (index) => this.domains[index]!,
      notPresent: this.notPresent,
      nested: this.nested,
    });
  }

  /** A device by index, also one that was removed while mappings of it live on. */
  deviceAt(index: number): Device {
    return this.everyDevice[index]!;
  }

  locks(): Lock[] {
    const { pageTableLock } = this.spec.iommu;
    return [
      ...this.flush.locks,
      ...this.policy.locks,
      ...this.domains.flatMap(({ locks, tableLock }) => (pageTableLock ? [...locks, tableLock] : locks)),
      ...(this.dma.mode?.locks ?? []),
      ...(this.dma.partial?.pool.locks ?? []),
    ];
  }
}

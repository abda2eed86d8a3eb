/**
 * One simulated machine: every part built and wired in one place, one `apply` that changes it, one queue of what is due.
 *
 * A session is its spec plus its operations: nothing else reaches the parts. Interactive operations are sequential: each starts at
 * session time, session time becomes its end, and what fell due meanwhile fires after it. Only runs overlap CPUs.
 */

import { CostReplies } from './apply/cost.ts';
import { type Applied, dispatch } from './apply/index.ts';
import { assert } from './assert.ts';
import { actingPolicy, type Effective, effectivePolicy, inCachingMode } from './boot/effective-policy.ts';
import type { Workload } from './devices/workload.ts';
import * as eventKindsConstants from './event-kinds.ts';
import { EventLog } from './event-log.ts';
import { faultNotice } from './fault-notice.ts';
import { FaultLog } from './hardware/fault.ts';
import { InvalidationUnit } from './hardware/invalidation.ts';
import { Iotlb } from './hardware/iotlb.ts';
import * as memoryConstants from './hardware/memory.ts';
import { Memory } from './hardware/memory.ts';
import { NestedWalk } from './hardware/nested.ts';
import { NotPresentCache } from './hardware/not-present-cache.ts';
import { PageTables } from './hardware/page-table.ts';
import { Iommu } from './hardware/translate.ts';
import { WalkCacheLevel } from './hardware/walk-cache.ts';
import { look } from './look/index.ts';
import { sessionPolicy } from './look/policy.ts';
import { assumptionsOf, type CostProfile, type Costs, costsOf, profiles, type StepName } from './meter/cost-profile.ts';
import { Counters } from './meter/counters.ts';
import { Work } from './meter/work.ts';
import type { Operation, Outcome, RunRequest } from './operations.ts';
import type { Buffer, Tenant } from './os/buffer.ts';
import type { Device } from './os/device.ts';
import { DmaApi, type DmaApiParts } from './os/dma-api.ts';
import { Domain } from './os/domain.ts';
import { policies } from './os/invalidation/index.ts';
import type { InvalidationPolicy, PolicyEntry } from './os/invalidation/policy.ts';
import { strict } from './os/invalidation/strict.ts';
import { IommuApi } from './os/iommu-api.ts';
import { IotlbFlush } from './os/iotlb-flush.ts';
import type { AllocatorEntry } from './os/iova/allocator.ts';
import * as allocatorConstants from './os/iova/allocator.ts';
import { AllocatorCall } from './os/iova/call.ts';
import { allocators } from './os/iova/index.ts';
import { Mappings } from './os/mappings.ts';
import { bounce, poolDefaults } from './os/mode/bounce.ts';
import * as bouncePoolConstants from './os/mode/bounce-pool.ts';
import { BouncePool } from './os/mode/bounce-pool.ts';
import { EmulatedFlush } from './os/mode/emulated.ts';
import type { GuestMemory } from './os/mode/guest-memory.ts';
import { modes, parametersOf } from './os/mode/index.ts';
import type { ModeEntry, ModeParts } from './os/mode/mode.ts';
import { NestedFlush } from './os/mode/nested.ts';
import { HostMapper, HostQueue } from './os/mode/paravirtual.ts';
import { PartialPages } from './os/mode/partial-pages.ts';
import { PageMapper } from './os/page-mapper.ts';
import { Registry } from './os/registry.ts';
import { refuse } from './outcome.ts';
import type { Reading } from './reading.ts';

import { Run } from './run.ts';
import { formatAddress, parseAddress, parsed } from './sim/address.ts';
import * as clockConstants from './sim/clock.ts';
import { Clock } from './sim/clock.ts';
import { Digest } from './sim/digest.ts';
import { EventQueue } from './sim/event-queue.ts';
import type { Lock } from './sim/lock.ts';
import { RandomStreams } from './sim/random.ts';
import type { Notice, SimulatorApi } from './simulator-api.ts';
import { sorted } from './sorted.ts';
import type { ResolvedSpec } from './spec.ts';
import { SpecError } from './spec-error.ts';
import { Exposure } from './truth/exposure.ts';
import { Oracle, verdictNames } from './truth/oracle.ts';
import { coreVersion } from './version.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { EVENT } = eventKindsConstants;
const { HOST_TENANT, NO_FRAME, STANDING } = memoryConstants;
const { TIMERS } = allocatorConstants;
const { SLOT_BYTES } = bouncePoolConstants;
const { REBASE_PS } = clockConstants;

/** Operations that the event log names: those that change what the machine is made of. */
const LOGGED: ReadonlySet<string> = new Set([
  'tenant',
  'tenant-remove',
  'domain',
  'domain-remove',
  'device',
  'device-remove',
  'workload',
  'workload-remove',
]);

export class Simulator implements SimulatorApi {
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
  declare readonly modeEntry: ModeEntry;
  /** Whether the hardware, or the hypervisor that plays it, caches what is not present. */
  declare readonly cachingMode: boolean;
  declare readonly notPresent: NotPresentCache | null;
  declare private readonly modeParts: Omit<ModeParts, 'dma'>;
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

  /** [cpu]: ps after the clock's base up to which it is busy; ps it has worked since the session began. */
  declare readonly cpuAt: Float64Array;
  declare readonly cpuBusyPs: Float64Array;
  readonly reserved: { first: number; last: number }[] = [];

  /** [cpu]: workload whose poll holds it between two packets, -1 none. */
  declare readonly cpuHolder: Int32Array;
  /** Frames of a coherent mapping whose address search yielded; NO_FRAME otherwise. */
  coherentFrames = NO_FRAME;

  operations = 0;
  version = 0;
  searchBudget = Number.POSITIVE_INFINITY;
  run: Run | null = null;
  declare private readonly dmaParts: DmaApiParts;
  private pending: Operation | null = null;
  /** The next `begin` belongs to an operation whose search yielded: what it has worked so far stays booked. */
  private resuming = false;
  /** Timers that fired since it was cleared. */
  fired = 0;

  /** @throws SpecError when the spec's own tenants, domains, devices or workloads cannot be made */
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
    [this.flush, this.mapper] = this.wayToTheChip();
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
      bouncePool: (aligned) => this.makeBouncePool(aligned),
      strict: strict.create({ ...policyParts, parameters: strict.defaults }),
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
    this.iommu.onFault = () => faultNotice(this);
    this.cpuAt = new Float64Array(machine.cpus);
    this.cpuBusyPs = new Float64Array(machine.cpus);
    this.cpuHolder = new Int32Array(machine.cpus).fill(-1);
    this.tenants.next = HOST_TENANT + 1;
    this.build();
  }

  /** The spec's own machine, in the order in which POSTs would have made it, before time 0. */
  private build(): void {
    for (const kind of ['tenants', 'domains', 'devices', 'workloads'] as const)
      for (const [i, body] of this.spec[kind].entries()) {
        const outcome = dispatch(this, { op: kind.slice(0, -1), ...body } as Operation);
        assert(outcome !== null, 'a spec element was suspended');
        if (outcome.status !== 'ok')
          throw new SpecError([
            { path: `/${kind}/${i}${outcome.problem.path ?? ''}`, message: outcome.problem.detail },
          ]);
      }
    this.log.clear();
    this.operations = 0;
  }

  get timeNs(): number {
    return this.clock.timeNs;
  }

  get timePs(): string {
    return this.clock.timePs;
  }

  /** What invalidations and table entries go through: the chip itself, or a hypervisor. */
  private wayToTheChip(): [IotlbFlush, PageMapper] {
    const { tables, work, costs, counters, unit, spec } = this;
    const { superpages, coherent, pageTableLock, invalidation } = spec.iommu;
    if (this.modeEntry.kind === 'paravirtual') {
      const queue = new HostQueue(unit, work, costs, counters, tables, this.domains);
      queue.cleared = (domain, first, pages, at) => this.exposure.cleared(domain.index, first, first + pages - 1, at);
      return [queue, new HostMapper(tables, work, costs, counters, superpages, coherent, queue)];
    }
    const mapper = new PageMapper(tables, work, costs, counters, superpages, coherent, pageTableLock);
    const { batchDescriptors } = invalidation;
    if (this.modeEntry.kind === 'nested')
      return [
        new NestedFlush(unit, work, costs, counters, batchDescriptors, parametersOf(spec).propagate !== false),
        mapper,
      ];
    if (this.modeEntry.kind !== 'emulated')
      return [new IotlbFlush(unit, work, costs, counters, batchDescriptors), mapper];
    const sidecore = parametersOf(spec).handling === 'sidecore';
    return [new EmulatedFlush(unit, work, costs, counters, batchDescriptors, sidecore), mapper];
  }

  /** @param aligned on 2 MiB, where nothing of the machine lies yet: the pool stays mapped, in large pages */
  private makeBouncePool(aligned: boolean): BouncePool | null {
    const { memory, spec } = this;
    const { poolBytes, areas } = { ...poolDefaults, ...spec.policy.bounce };
    const frames = poolBytes / 4096;
    let first = NO_FRAME;
    if (aligned) {
      first = placeOfPool(frames, this.reserved);
      if (first + frames > memory.frames) return null;
      memory.claim(first, frames, HOST_TENANT);
      memory.setStanding(first, frames, STANDING.pool);
    } else first = memory.allocate(frames, HOST_TENANT);
    if (first === NO_FRAME) return null;
    this.bouncePool = new BouncePool(this, first, poolBytes / SLOT_BYTES, areas === 'one' ? 1 : spec.machine.cpus);
    const pool = this.bouncePool;
    // An operation that fails says so itself; in a run it is the workload that lives with it.
    pool.onFull = () => {
      if (this.run === null || this.run.ended) return;
      this.log.add('bounce-pool-full', this.clock.toNs(this.work.now()), { detail: pool.complaint });
    };
    return pool;
  }

  /** The pool that copies are in; null until there is one. */
  bouncePool: BouncePool | null = null;

  /** Makes ready for a device that is not to see a byte beside its buffers. @returns false without frames for the copies */
  readyForUntrusted(): boolean {
    if (!this.modeEntry.translates || this.dma.partial !== null) return true;
    const pool = this.modeParts.bouncePool(false);
    if (pool === null) return false;
    this.costReplies.also([...bounce.steps, 'zeroByte']);
    this.dma.partial = new PartialPages({ ...this.modeParts, ...this.dmaParts, dma: this.dma }, pool);
    return true;
  }

  /** A domain, made for a device or by itself; null when there is no frame for its root table. */
  makeDomain(name: string | null, tenant: number, levels: number): Domain | null {
    const { hypervisor } = this;
    if (hypervisor !== null && !hypervisor.ready(tenant)) return null;
    const domain = new Domain(
      this.domains.length,
      name,
      tenant,
      levels,
      this.tables,
      this.allocatorEntry,
      {
        parameters: this.spec.policy.allocator,
        call: this.call,
        cpus: this.spec.machine.cpus,
        frames: this.memory.frames,
        arm: (domain, delayPs, token) =>
          this.queue.arm(
            this.work.now() + delayPs,
            EVENT.allocatorOnCpu + this.work.cpu,
            domain.index * TIMERS + token,
          ),
        flushes: this.policyEntry.needsCircular,
        exhausted: (domain) => this.dma.iova.exhausted(domain),
      },
      this.dma.mode?.standing ? [...this.reserved, this.dma.mode.standing] : this.reserved,
      this.policy,
      this.policyEntry,
      hypervisor?.secondStageOf(tenant) ?? null,
    );
    if (domain.root < 0) {
      hypervisor?.settle(tenant);
      return null;
    }
    if (hypervisor?.domainMade(domain) === false || this.dma.mode?.domainMade(domain) === false) {
      this.tables.destroy(domain.root, domain.levels);
      hypervisor?.settle(tenant);
      return null;
    }
    this.domains.push(domain);
    this.domainNames.add(domain);
    return domain;
  }

  /** A device by index, also one that was removed while mappings of it live on. */
  deviceAt(index: number): Device {
    return this.everyDevice[index]!;
  }

  apply(operation: Operation): Outcome | null {
    assert(this.pending === null, 'an operation is suspended: resume it first');
    if (this.run !== null && !this.run.ended)
      return refuse('run-active', 'a run is active: wait for its end or cancel it');
    return this.finish(operation, dispatch(this, operation));
  }

  resume(): Outcome | null {
    assert(this.pending !== null, 'nothing is suspended');
    this.resuming = true;
    return this.finish(this.pending, dispatch(this, this.pending));
  }

  private finish(operation: Operation, outcome: Applied): Outcome | null {
    if (outcome === null) {
      this.pending = operation;
      return null;
    }
    this.pending = null;
    if (outcome.status === 'refused') return outcome;
    this.operations++;
    this.version++;
    this.fireDue(this.clock.now);
    this.rebaseWhenFar();
    if (outcome.status === 'failed') this.log.add('failure', this.timeNs, { op: operation.op, ...outcome.problem });
    else if (LOGGED.has(operation.op)) this.log.add(operation.op, this.timeNs, { id: outcome.result.id });
    return outcome;
  }

  /** Starts an interactive operation's work on a CPU, at session time. */
  begin(cpu: number): void {
    if (this.resuming) {
      this.resuming = false;
      return;
    }
    this.work.contended = false;
    this.exposure.workload = -1;
    this.work.begin(cpu, this.clock.now);
  }

  /** Ends it: session time becomes its end. */
  end(): void {
    const { work } = this;
    const end = work.now();
    this.cpuBusyPs[work.cpu]! += end - this.clock.now;
    this.clock.now = end;
    this.cpuAt[work.cpu] = end;
  }

  /** Fires what is due up to `limit`, in due order, then arming order. Workloads' events exist only in runs. */
  fireDue(limit: number): void {
    const { queue } = this;
    while (queue.nextTime() <= limit) {
      queue.take();
      this.fire(queue.takenTime, queue.takenKind, queue.takenArgument);
    }
  }

  /** One timer or hardware event. */
  fire(time: number, kind: number, argument: number): void {
    const { work, policy } = this;
    this.exposure.workload = -1;
    if (kind === EVENT.hardware) {
      work.begin(0, time);
      policy.timer(argument);
      return;
    }
    const ofAllocator = kind >= EVENT.allocatorOnCpu;
    const cpu = kind - (ofAllocator ? EVENT.allocatorOnCpu : EVENT.timerOnCpu);
    const start = Math.max(time, this.cpuAt[cpu]!);
    work.begin(cpu, start);
    const acted = ofAllocator
      ? this.dma.allocatorTimer(this.domains[Math.floor(argument / TIMERS)]!, argument % TIMERS)
      : policy.timer(argument);
    if (!acted) return;
    this.fired++;
    this.counters.timersFired++;
    const end = work.now();
    this.cpuBusyPs[cpu]! += end - start;
    this.cpuAt[cpu] = end;
    this.run?.bookTimer(work.rows);
  }

  /** What a CPU has worked since the session began, ps; what its last operation has still to do is not done. */
  workedPs(cpu: number): number {
    return this.cpuBusyPs[cpu]! - Math.max(0, this.cpuAt[cpu]! - this.clock.now);
  }

  /** Whether a workload may start work on a CPU now; if not, it tries again at `cpuAt[cpu]`. */
  mayRun(cpu: number, workload: number, now: number): boolean {
    const holder = this.cpuHolder[cpu]!;
    return this.cpuAt[cpu]! <= now && (holder < 0 || holder === workload);
  }

  /** Tells subscribers of a verdict that is not `ok`. */
  noteVerdict(
    workload: Workload,
    page: number,
    offset: number,
    lengthBytes: number,
    write: boolean,
    verdict: number,
    now: number,
  ): void {
    if (this.log.full) return;
    const timeNs = this.clock.toNs(now);
    this.log.notice({
      topic: 'verdicts',
      timeNs,
      data: {
        workload: workload.id,
        device: workload.target.id,
        iova: formatAddress(page, offset),
        lengthBytes,
        access: write ? 'write' : 'read',
        verdict: verdictNames[verdict],
      },
    });
  }

  rebaseWhenFar(): void {
    if (this.clock.now < REBASE_PS) return;
    const ps = this.clock.moveBase();
    this.queue.rebase(ps);
    for (let cpu = 0; cpu < this.cpuAt.length; cpu++) this.cpuAt[cpu]! -= ps;
    this.exposure.rebase(ps);
    this.policy.rebase(ps);
    this.oracle.residual.rebase(ps);
    for (const lock of this.locks()) lock.rebase(ps);
    for (const queue of this.unit.queues) queue.rebase(ps);
    for (const domain of this.domains) domain.inFlightUntil -= ps;
    for (const device of this.devices.all()) {
      device.lastEndPs -= ps;
      device.history?.rebase(ps);
    }
    for (const workload of this.workloads.all()) workload.moveBase(ps);
    this.run?.rebase(ps);
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

  /** Assumed steps of the profile that invalidations, device TLBs and lock hand-offs have taken so far. */
  hardwareAssumptions(): StepName[] {
    const { counters, flush } = this;
    const used: Partial<Record<StepName, boolean>> = {
      invalidationSubmit: flush.met,
      invalidationHardware: flush.met,
      invalidationDescriptor: flush.batched,
      deviceTlbInvalidation: counters.deviceTlbInvalidations > 0,
      translationRequest: counters.translationRequests > 0,
      lockHandoff: this.locks().some(({ waits }) => waits > 0),
    };
    return assumptionsOf(this.profile, this.spec.costs.overrides).filter((step) => used[step] === true);
  }

  read(reading: Reading): Outcome {
    return look(this, reading);
  }

  policyReport(): Record<string, unknown> {
    return sessionPolicy(this);
  }

  startRun(request: RunRequest): Outcome {
    if (this.run !== null && !this.run.ended)
      return refuse('run-active', 'a run is active: wait for its end or cancel it');
    const started = Run.start(this, request);
    if (started instanceof Run) {
      this.run = started;
      this.log.add('run', this.timeNs, { ...request });
      this.operations++;
      this.version++;
      return { status: 'ok', result: {} };
    }
    return started;
  }

  stepRun(events: number): boolean {
    assert(this.run !== null && !this.run.ended, 'no run is active');
    this.version++;
    return this.run.step(events);
  }

  cancelRun(): void {
    if (this.run === null || this.run.ended) return;
    this.version++;
    this.run.cancel();
  }

  runProgress(): number | null {
    return this.run?.progress() ?? null;
  }

  runResult(): Record<string, unknown> {
    assert(this.run !== null, 'there was no run');
    return this.run.result();
  }

  runWireSeconds(): number {
    return this.run?.wireSeconds() ?? 0;
  }

  drainNotices(limit: number): { notices: Notice[]; dropped: number } {
    return this.log.drain(limit);
  }

  digest(): string {
    const sink = new Digest();
    // Tenants, domains, devices and workloads are digested as they are now, by number: their names do not act. Nor does it matter how
    // the policy in force came about: by members, by a command line, or in the place of another.
    const {
      name: _name,
      title: _title,
      kernelCommandLine: _line,
      iommu: { deferredFlush: _deferredFlush, ...iommu },
      tenants: _tenants,
      domains: _domains,
      devices: _devices,
      workloads: _workloads,
      ...spec
    } = this.spec;
    sink.text(coreVersion);
    sink.text(JSON.stringify(sorted({ ...spec, iommu, policy: actingPolicy(this.effective) })));
    sink.number(this.clock.baseNs + Math.floor(this.clock.now / 1000));
    sink.number(this.clock.now % 1000);
    this.queue.digest(sink, this.clock.baseNs);
    this.random.digest(sink);
    this.counters.digest(sink);
    this.memory.digest(sink);
    this.tables.digest(sink);
    this.iotlb.digest(sink);
    for (const level of this.walkCaches) level.digest(sink);
    this.notPresent?.digest(sink);
    this.nested?.digest(sink);
    this.hypervisor?.digest(sink);
    this.faults.digest(sink);
    this.exposure.digest(sink);
    this.oracle.digest(sink);
    this.mappings.digest(sink);
    this.flush.digest(sink);
    this.policy.digest(sink);
    this.dma.mode?.digest(sink);
    this.dma.partial?.digest(sink);
    for (const lock of this.dma.mode?.locks ?? []) lock.digest(sink);
    for (const lock of this.dma.partial?.pool.locks ?? []) lock.digest(sink);
    for (const domain of this.domains) domain.digest(sink);
    for (const device of this.devices.all()) device.digest(sink);
    for (const tenant of this.tenants.all()) {
      sink.number(tenant.index);
      sink.text(tenant.kind);
      sink.number(tenant.memoryBytes ?? -1);
    }
    for (const buffer of this.buffers.all()) {
      sink.number(buffer.index);
      sink.number(buffer.tenant);
      sink.number(buffer.frame);
      sink.number(buffer.frames);
    }
    for (const workload of this.workloads.all()) workload.digest(sink);
    sink.column(this.cpuAt, this.cpuAt.length);
    sink.column(this.cpuBusyPs, this.cpuBusyPs.length);
    return sink.hex();
  }
}

/** The lowest frame on a 2 MiB boundary, 0 excepted, from which on so many frames meet no reserved region. */
function placeOfPool(frames: number, reserved: readonly { first: number; last: number }[]): number {
  let first = 512;
  for (;;) {
    const last = first + frames - 1;
    const way = reserved.find((region) => region.first <= last && region.last >= first);
    if (way === undefined) return first;
    first = Math.ceil((way.last + 1) / 512) * 512;
  }
}

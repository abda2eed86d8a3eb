/** A protection domain: one page table, one IOVA space, any number of devices. */
import type { PageTables } from '../hardware/page-table.ts';
import type { SecondStage } from '../hardware/watcher.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import { Lock } from '../sim/lock.ts';
import { TruthPages } from '../truth/pages.ts';
import type { Device } from './device.ts';
import type { PolicyFunctions } from './invalidation/functions.ts';
import type { InvalidationPolicy, PolicyEntry } from './invalidation/policy.ts';
import type { AllocatorEntry, IovaAllocator } from './iova/allocator.ts';
import type { AllocatorCall } from './iova/call.ts';
import { AllocatorFunctions } from './iova/functions.ts';

/** Address width in bits of a table of n levels: 39, 48, 57. */
export function widthOf(levels: number): number {
  return 12 + 9 * levels;
}

/** What the allocators of all domains are given; whether they tell the policy when they wrap. */
export interface SpaceSetup {
  parameters: Record<string, unknown>;
  call: AllocatorCall;
  cpus: number;
  frames: number;
  /** Arms a timer of a domain's allocator on the CPU at work. */
  arm(domain: Domain, delayPs: number, token: number): void;
  flushes: boolean;
  /** A search has failed and its platform frees what unmaps hold back before it gives up. */
  exhausted(domain: Domain): void;
}

export class Domain {
  declare readonly index: number;
  declare name: string | null;
  /** Tenant that it was made for; it owns nothing by that. */
  declare readonly tenant: number;
  declare readonly levels: number;
  /** Highest IOVA page, inclusive. */
  declare readonly lastPage: number;
  declare readonly root: number;
  /** A hypervisor's tables below its own; null none. */
  declare readonly secondStage: SecondStage | null;
  pages = new TruthPages();
  /** [lock of the allocator]: one, as `iova_rbtree_lock`, or one a pool. */
  readonly locks: Lock[] = [];
  /** `mapping_lock`, where the machine has it; see `page-mapper.ts`. */
  readonly tableLock = new Lock('page-table');
  devices = 0;
  /** Its devices with a TLB of their own, in the order in which they came. */
  readonly deviceTlbs: Device[] = [];
  /** Device that it was made for and goes away with; -1 none. */
  ownedBy = -1;
  removed = false;
  /** ps after the clock's base at which the last DMA in flight lands. */
  inFlightUntil = Number.NEGATIVE_INFINITY;
  allocator: IovaAllocator | null = null;
  /** Of the allocator. */
  iova: AllocatorFunctions | null = null;
  /** The session's, or the one for untrusted devices once there was one in it. */
  declare policyFunctions: PolicyFunctions;
  declare policyEntry: PolicyEntry;
  /** Of `policyEntry`, beside it for the sake of unmap. */
  declare deferred: boolean;
  declare gathers: boolean;
  /** Whether the policy leaves PTEs standing. */
  declare keepsPte: boolean;
  declare private readonly entry: AllocatorEntry;
  declare private readonly setup: SpaceSetup;
  declare private readonly reserved: { first: number; last: number }[];

  constructor(
    index: number,
    name: string | null,
    tenant: number,
    levels: number,
    tables: PageTables,
    entry: AllocatorEntry,
    setup: SpaceSetup,
    reserved: { first: number; last: number }[],
    policyFunctions: PolicyFunctions,
    policyEntry: PolicyEntry,
    secondStage: SecondStage | null,
  ) {
    this.index = index;
    this.name = name;
    this.tenant = tenant;
    this.levels = levels;
    this.secondStage = secondStage;
    this.lastPage = 2 ** (this.addressBits - 12) - 1;
    if (secondStage !== null) tables.liesWith(index, tenant);
    this.root = tables.create(levels, index, 0);
    this.entry = entry;
    this.setup = setup;
    this.reserved = reserved;
    this.govern(policyFunctions, policyEntry);
    this.locks.push(new Lock('iova-allocator'));
  }

  get policy(): InvalidationPolicy {
    return this.policyFunctions.policy;
  }

  /** Addresses of a first stage must be canonical: the upper half of them is out of bounds. */
  get addressBits(): number {
    return widthOf(this.levels) - (this.secondStage === null ? 0 : 1);
  }

  get id(): string {
    return `dom_${this.index}`;
  }

  /**
   * The allocator, made when the first device is attached or the first range is mapped.
   * @param maskLastPfn highest page that this device can address: `bitmap` sizes itself by the first one
   */
  space(maskLastPfn: number): IovaAllocator {
    if (this.allocator) return this.allocator;
    const { parameters, flushes, call, cpus, frames, arm, exhausted } = this.setup;
    const all = this.entry.wrapFlush === 'global';
    const allocator = this.entry.create({
      parameters,
      call,
      cpus,
      frames,
      arm: (delayPs, token) => arm(this, delayPs, token),
      lastPfn: this.lastPage,
      maskLastPfn,
      onWrap: flushes ? () => this.policy.wrapped(this, all) : null,
      onFreedAhead: flushes ? (pfn, pages) => this.policy.freedAhead(this, pfn, pages) : null,
      onExhausted: () => exhausted(this),
    });
    for (const { first, last } of this.reserved) {
      if (first > this.lastPage) continue;
      allocator.reserve(first, Math.min(last, this.lastPage));
    }
    for (const name of allocator.lockNames.slice(this.locks.length)) this.locks.push(new Lock(name));
    this.allocator = allocator;
    this.iova = new AllocatorFunctions(allocator);
    return allocator;
  }

  /** As if its allocator had not been made, by somebody who has used nothing of it. */
  withdrawSpace(): void {
    this.dropSpace();
    // The first lock is there from the beginning.
    this.locks.length = 1;
  }

  private dropSpace(): void {
    this.setup.call.counters.cacheHits += this.allocator?.ownHits ?? 0;
    this.allocator = null;
    this.iova = null;
  }

  /** Another policy from now on; what the one before held back was drained. */
  govern(functions: PolicyFunctions, entry: PolicyEntry): void {
    const { policy } = functions;
    this.policyFunctions = functions;
    this.policyEntry = entry;
    this.deferred = entry.deferred;
    this.gathers = policy.unmappedTogether !== undefined;
    this.keepsPte = policy.keepsPte === true;
  }

  /** Forgets what it held, so that a domain that is gone costs nothing. */
  retire(): void {
    this.removed = true;
    this.name = null;
    this.dropSpace();
    this.pages = new TruthPages();
  }

  digest(sink: DigestSink): void {
    sink.number(this.index);
    sink.number(this.removed ? 1 : 0);
    sink.number(this.levels);
    sink.number(this.tenant);
    sink.number(this.ownedBy);
    sink.number(this.root);
    sink.text(this.policyEntry.kind);
    sink.number(this.devices);
    sink.number(this.inFlightUntil === Number.NEGATIVE_INFINITY ? -1 : this.inFlightUntil);
    for (const lock of this.locks) lock.digest(sink);
    this.tableLock.digest(sink);
    this.pages.digest(sink);
    this.allocator?.digest(sink);
  }
}

/** The insides: cached entries, the walk of one address, queues, allocators, the IOVA space. Nothing here counts or ages anything. */
import { QUEUE_DESCRIPTORS } from '../hardware/invalidation-queue.ts';
import type { Iotlb } from '../hardware/iotlb.ts';
import { READ, SPAN, WRITE } from '../hardware/page-table.ts';
import type { WalkCacheLevel } from '../hardware/walk-cache.ts';
import type { Outcome } from '../operations.ts';
import type { Domain } from '../os/domain.ts';
import { RANGE, rangeNames } from '../os/iova/allocator.ts';
import { ok, refuse } from '../outcome.ts';
import type { Page } from '../reading.ts';
import { formatAddress, parseAddress, parsed } from '../sim/address.ts';
import type { Simulator } from '../simulator.ts';
import type { Address } from '../spec.ts';

const pageSizes = ['4KiB', '2MiB', '1GiB'];
const accessText = (permission: number) => `${permission & READ ? 'r' : ''}${permission & WRITE ? 'w' : ''}`;

export function iotlbEntries(simulator: Simulator): Record<string, unknown> {
  const devices = [];
  for (const { id, deviceTlb } of simulator.devices.all())
    if (deviceTlb !== null) devices.push({ device: id, ...cacheEntries(deviceTlb) });
  return { ...cacheEntries(simulator.iotlb), ...(devices.length > 0 && { devices }) };
}

function cacheEntries(iotlb: Iotlb): Record<string, unknown> {
  const entries = [];
  for (let entry = 0; entry < iotlb.entries; entry++) {
    if (!iotlb.valid(entry)) continue;
    entries.push({
      set: Math.floor(entry / iotlb.ways),
      way: entry % iotlb.ways,
      domain: `dom_${iotlb.domain[entry]}`,
      iova: formatAddress(iotlb.page[entry]!, 0),
      pageSize: pageSizes[iotlb.size[entry]!],
      physicalAddress: formatAddress(iotlb.frame[entry]!, 0),
      access: accessText(iotlb.permission[entry]!),
      stale: iotlb.window[entry] !== -1,
    });
  }
  return { sets: iotlb.sets, ways: iotlb.ways, capacity: iotlb.entries, entries };
}

export function walkCacheEntries(simulator: Simulator): Record<string, unknown> {
  const { walkCaches, tables } = simulator;
  const entries = [];
  // Root first, as in the spec.
  for (const cache of [...walkCaches].reverse())
    for (let slot = 0; slot < cache.capacity; slot++) {
      if (!cache.used(slot)) continue;
      entries.push({
        tableLevel: cache.tableLevel,
        domain: `dom_${cache.domain[slot]}`,
        iova: formatAddress(cache.prefix[slot]!, 0),
        spanBytes: cache.span * 4096,
        table: formatAddress(cache.frame[slot]!, 0),
        stale: tables.generationOf(cache.table[slot]!) !== cache.generation[slot],
      });
    }
  return {
    levels: [...walkCaches].reverse().map(({ tableLevel, capacity }) => ({ tableLevel, capacity })),
    entries,
    ...(simulator.nested !== null && { secondStage: secondStageEntries(simulator.nested.secondCaches) }),
  };
}

function secondStageEntries(caches: readonly WalkCacheLevel[]): Record<string, unknown>[] {
  const entries = [];
  for (const cache of [...caches].reverse())
    for (let slot = 0; slot < cache.capacity; slot++)
      if (cache.used(slot))
        entries.push({
          tableLevel: cache.tableLevel,
          tenant: `ten_${cache.domain[slot]}`,
          guestPhysicalAddress: formatAddress(cache.prefix[slot]!, 0),
          spanBytes: cache.span * 4096,
          table: formatAddress(cache.frame[slot]!, 0),
        });
  return entries;
}

export function queuesInside(simulator: Simulator): Record<string, unknown> {
  const { unit, policy, counters, spec } = simulator;
  return {
    invalidation: {
      interface: spec.iommu.invalidation.interface,
      // Every submission is waited for before the call returns, so queues are empty whenever somebody looks.
      ...(spec.iommu.invalidation.interface === 'queued' && { head: unit.queues[0]!.tail, tail: unit.queues[0]!.tail }),
      ...(unit.perCpu && { queues: unit.queues.map(({ tail }, cpu) => ({ cpu, head: tail, tail })) }),
      ...(!unit.register && {
        descriptors: QUEUE_DESCRIPTORS,
        pending: 0,
        submitted: counters.descriptors,
        waits: counters.waitDescriptors,
        backlogWaits: counters.invalidationBacklogWaits,
        roomWaits: counters.invalidationRoomWaits,
        backlogNs: counters.invalidationBacklogPs / 1000,
      }),
      ...(spec.iommu.invalidation.interface === 'register' && { commands: counters.registerCommands }),
    },
    flush: {
      policy: simulator.policyEntry.kind,
      entries: policy.queued,
      capacity: policy.capacity,
      items: policy.queue(1000).map(({ domain, pfn, pages }) => ({
        domain: domain.id,
        iova: formatAddress(pfn, 0),
        lengthBytes: pages * 4096,
      })),
    },
    ...simulator.flush.inspect(),
  };
}

/** The domain that is asked for, or the only one. */
export function domainOf(simulator: Simulator, reference: string | undefined): Domain | Outcome {
  if (reference !== undefined)
    return simulator.domainNames.find(reference) ?? refuse('unknown-domain', `no domain "${reference}"`, '/domain');
  const first = simulator.domainNames.all().next();
  return first.done ? refuse('unknown-domain', 'the session has no domain yet', '/domain') : first.value;
}

export const isOutcome = (value: Domain | Outcome): value is Outcome => 'status' in value;

export function spaceInside(simulator: Simulator, reading: Page & { domain?: string }): Outcome {
  const domain = domainOf(simulator, reading.domain);
  if (isOutcome(domain)) return domain;
  const limit = reading.limit ?? 100;
  const cursor = reading.cursor === undefined ? -1 : Number(/^c(\d{1,16})$/.exec(reading.cursor)?.[1] ?? Number.NaN);
  if (Number.isNaN(cursor)) return refuse('invalid-cursor', `"${reading.cursor}" is no cursor of this list`, '/cursor');
  const items: Record<string, unknown>[] = [];
  let ranges = 0;
  let usedPages = 0;
  let cachedPages = 0;
  let largestFree = 0;
  let previousLast = 0;
  let lastShown = -1;
  let more = false;
  domain.allocator?.forEachRange((first, last, state) => {
    ranges++;
    usedPages += last - first + 1;
    if (state === RANGE.cached) cachedPages += last - first + 1;
    largestFree = Math.max(largestFree, first - previousLast - 1);
    previousLast = last;
    if (first <= cursor) return;
    if (items.length === limit) {
      more = true;
      return;
    }
    items.push({
      iova: formatAddress(first, 0),
      lengthBytes: (last - first + 1) * 4096,
      state: rangeNames[state],
    });
    lastShown = first;
  }, Number.POSITIVE_INFINITY);
  largestFree = Math.max(largestFree, domain.lastPage - previousLast);
  const waiting: Record<string, unknown>[] = [];
  simulator.exposure.forEachOpen(domain.index, (page, cached) => {
    if (waiting.length < 1000) waiting.push({ iova: formatAddress(page, 0), cached });
  });
  return ok({
    domain: domain.id,
    lastIova: formatAddress(domain.lastPage, 4095),
    ranges,
    usedBytes: usedPages * 4096,
    cachedBytes: cachedPages * 4096,
    largestFreeBytes: largestFree * 4096,
    exposedPages: waiting,
    ...simulator.dma.mode?.inspect(domain),
    ...(simulator.dma.partial !== null && { bounce: simulator.dma.partial.pool.inspect() }),
    items,
    ...(more ? { nextCursor: `c${lastShown}` } : {}),
  });
}

export function allocatorInside(simulator: Simulator, reference: string | undefined): Outcome {
  const domain = domainOf(simulator, reference);
  if (isOutcome(domain)) return domain;
  const { kind } = simulator.spec.policy.allocator;
  const inside: Record<string, unknown> = {};
  // Page numbers become addresses at the edge.
  for (const [member, value] of Object.entries(domain.allocator?.inspect() ?? {})) {
    if (member.endsWith('Pfn'))
      inside[`${member.slice(0, -3)}Iova`] = typeof value === 'number' ? formatAddress(value, 0) : value;
    else inside[member] = value;
  }
  return ok({ ...inside, kind, domain: domain.id });
}

export function pageTableWalk(simulator: Simulator, reference: string, iova: Address): Outcome {
  const domain = simulator.domainNames.find(reference);
  if (!domain) return refuse('unknown-domain', `no domain "${reference}"`, '/domain');
  if (!parseAddress(iova)) return refuse('invalid-address', 'is no address', '/iova');
  const { page, offset } = parsed;
  const asked = formatAddress(page, offset);
  if (page > domain.lastPage)
    return ok({ domain: domain.id, iova: asked, present: false, reason: 'beyond the address width', entries: [] });
  const { tables } = simulator;
  const entries: Record<string, unknown>[] = [];
  let table = domain.root;
  for (let level = domain.levels; level >= 1; level--) {
    const index = tables.indexAt(page, level);
    const entry = tables.entryAt(table, index);
    const leaf = (entry & 3) !== 0;
    entries.push({
      level,
      table: formatAddress(tables.frameOf(table), 0),
      index,
      present: entry !== 0,
      ...(entry !== 0 &&
        (leaf ? { access: accessText(entry & 3) } : { next: formatAddress(tables.frameOf(entry / 8 - 1), 0) })),
    });
    if (entry === 0) return ok({ domain: domain.id, iova: asked, present: false, entries });
    if (leaf) {
      const inside = page % SPAN[level]!;
      return ok({
        domain: domain.id,
        iova: asked,
        present: true,
        physicalAddress: formatAddress(Math.floor(entry / 8) + inside, offset),
        pageSize: pageSizes[level - 1],
        access: accessText(entry & 3),
        entries,
      });
    }
    table = entry / 8 - 1;
  }
  return ok({ domain: domain.id, iova: asked, present: false, entries });
}

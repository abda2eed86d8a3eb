/** One IOVA page of a domain: its state, who mapped it when, and what translates it now. Leaves no trace. */
import type { Iotlb } from '../hardware/iotlb.ts';
import type { Outcome } from '../operations.ts';
import type { Domain } from '../os/domain.ts';
import { directions } from '../os/mappings.ts';
import { ok, refuse } from '../outcome.ts';
import type { Reading } from '../reading.ts';
import { formatAddress, parseAddress, parsed } from '../sim/address.ts';
import type { Simulator } from '../simulator.ts';
import { NEVER } from '../truth/pages.ts';
import { mappingDocument } from './documents.ts';
import { domainOf, isOutcome, pageTableWalk } from './inside.ts';
import { heldIn, STATE, Steps, spaceStates, stateOf, stateOfRange } from './space-states.ts';

/** Windows of the page that are looked at. */
const MOST_WINDOWS = 2 ** 16;

export function spacePage(simulator: Simulator, reading: Reading & { read: 'space-page' }): Outcome {
  const domain = domainOf(simulator, reading.domain);
  if (isOutcome(domain)) return domain;
  if (!parseAddress(reading.iova)) return refuse('invalid-address', 'is no address', '/iova');
  const { page } = parsed;
  if (page > domain.lastPage) return refuse('invalid-address', 'is beyond the last address of the domain', '/iova');
  const { clock, exposure, mappings } = simulator;
  const chunk = domain.pages.peek(page);
  const at = page & 511;
  const held = heldIn(domain, page, page).count > 0;
  const steps = new Steps(MOST_WINDOWS);
  const state = stateOf(simulator, baseOf(domain, page), chunk, at, held, steps);

  let windows = 0;
  let oldest = Number.POSITIVE_INFINITY;
  if (chunk !== undefined)
    exposure.forEachOnPage(chunk.window[at]!, (opened) => {
      oldest = Math.min(oldest, opened);
      return ++windows < MOST_WINDOWS;
    });
  const touch = domain.pages.lastTouch(page);
  const slot = chunk === undefined ? -1 : chunk.live[at]! - 1;
  const range = domain.pages.rangeAt(page);
  const walk = pageTableWalk(simulator, domain.id, formatAddress(page, 0));
  const table = walk.status === 'ok' ? walk.result : {};
  return ok({
    domain: domain.id,
    iova: formatAddress(page, 0),
    timeNs: clock.timeNs,
    state: spaceStates[state],
    ...(slot >= 0 && mappings.live[slot] === 1 && { mapping: mappingDocument(simulator, slot) }),
    ...(range !== null && {
      iommuRange: {
        iova: formatAddress(range.first, 0),
        lengthBytes: (range.last - range.first + 1) * 4096,
        mappedNs: range.mappedNs,
        freed: range.freed,
      },
    }),
    ...(touch.mappedNs !== NEVER && {
      lastMapNs: touch.mappedNs,
      direction: touch.direction < 0 ? null : directions[touch.direction],
    }),
    ...(touch.unmappedNs !== NEVER && { lastUnmapNs: touch.unmappedNs }),
    held,
    openWindows: windows,
    ...(windows > 0 && { exposedSinceNs: Math.max(0, clock.toNs(oldest)) }),
    present: table.present === true,
    ...(table.present === true && { physicalAddress: table.physicalAddress, pageSize: table.pageSize }),
    cachedIn: cachedIn(simulator, domain, page),
  });
}

/** As the allocator and `iommu-map` have it. */
function baseOf(domain: Domain, page: number): number {
  const mapped = domain.pages.rangeAt(page);
  if (mapped !== null) return mapped.freed ? STATE.dangling : STATE.live;
  let base: number = STATE.free;
  domain.allocator?.forEachRange(
    (first, last, state) => {
      if (first <= page && last >= page) base = stateOfRange[state]!;
      return last < page;
    },
    Number.POSITIVE_INFINITY,
    page,
  );
  return base;
}

/** Every cached entry that translates the page or, of a walk cache, leads there; an IOTLB's with set and way. */
function cachedIn(simulator: Simulator, domain: Domain, page: number): Record<string, unknown>[] {
  const found: Record<string, unknown>[] = [];
  const inTlb = (tlb: Iotlb, where: Record<string, unknown>) => {
    const entry = tlb.probe(domain.index, page);
    if (entry < 0) return;
    found.push({
      ...where,
      set: Math.floor(entry / tlb.ways),
      way: entry % tlb.ways,
      physicalAddress: formatAddress(tlb.frame[entry]! + (page - tlb.page[entry]!), 0),
      stale: tlb.window[entry] !== -1,
    });
  };
  inTlb(simulator.iotlb, { cache: 'iotlb' });
  for (const { id, deviceTlb } of domain.deviceTlbs)
    if (deviceTlb !== null) inTlb(deviceTlb, { cache: 'device-tlb', device: id });
  for (const cache of [...simulator.walkCaches].reverse())
    for (let slot = 0; slot < cache.capacity; slot++)
      if (cache.used(slot) && cache.domain[slot] === domain.index && cache.prefix[slot] === cache.prefixOf(page))
        found.push({
          cache: 'walk-cache',
          tableLevel: cache.tableLevel,
          table: formatAddress(cache.frame[slot]!, 0),
          stale: simulator.tables.generationOf(cache.table[slot]!) !== cache.generation[slot],
        });
  return found;
}

/** Explicit IOVAs: `iommu-map`, `iommu-unmap`, `invalidate` on a domain, as VFIO or iommufd would. */
import { READ, WRITE } from '../hardware/page-table.ts';
import type { Outcome } from '../operations.ts';
import type { Domain } from '../os/domain.ts';
import { fail, ok, refuse } from '../outcome.ts';
import { formatAddress, PAGE_BYTES, PHYSICAL_PAGES, parseAddress, parsed } from '../sim/address.ts';
import type { Simulator } from '../simulator.ts';
import { assumptions, costOf, invalidationSteps } from './cost.ts';
import type { Of } from './index.ts';
import { MAX_PAGES } from './mappings.ts';

/** First page and number of pages of the last range that was checked. */
const range = { first: 0, pages: 0 };

/** Checks a page-aligned IOVA range within a domain's width, into `range`. */
function checkRange(domain: Domain, iova: string | number, lengthBytes: number): Outcome | null {
  if (!parseAddress(iova)) return refuse('invalid-address', 'is no address', '/iova');
  if (parsed.offset !== 0) return refuse('misaligned', 'must be a multiple of 4096', '/iova');
  if (lengthBytes % PAGE_BYTES !== 0) return refuse('misaligned', 'must be a multiple of 4096', '/lengthBytes');
  range.first = parsed.page;
  range.pages = lengthBytes / PAGE_BYTES;
  if (range.pages > MAX_PAGES) return refuse('too-many-pages', `${MAX_PAGES} pages are the most`, '/lengthBytes');
  if (range.first + range.pages - 1 > domain.lastPage)
    return refuse(
      'address-width',
      `${domain.id} has ${domain.levels} levels: its last byte is ${formatAddress(domain.lastPage, 4095)}`,
      '/iova',
    );
  return null;
}

const leafLevels = { '4KiB': 1, '2MiB': 2, '1GiB': 3 } as const;
const leafPages = { '4KiB': 1, '2MiB': 512, '1GiB': 262_144 } as const;

export function mapRange(simulator: Simulator, operation: Of<'iommu-map'>): Outcome {
  const domain = simulator.domainNames.find(operation.domain);
  if (!domain) return refuse('unknown-domain', `no domain "${operation.domain}"`, '/domain');
  if (simulator.modeEntry.direct)
    return refuse(
      'policy-conflict',
      `in the mode "${simulator.modeEntry.kind}" a domain has no tables of its own to write`,
      '/domain',
    );
  const refused = checkRange(domain, operation.iova, operation.lengthBytes);
  if (refused) return refused;
  const { first, pages } = range;
  if (!parseAddress(operation.physicalAddress)) return refuse('invalid-address', 'is no address', '/physicalAddress');
  if (parsed.offset !== 0) return refuse('misaligned', 'must be a multiple of 4096', '/physicalAddress');
  const frame = parsed.page;
  if (frame + pages > PHYSICAL_PAGES)
    return refuse('invalid-address', 'physical addresses end at 2^52', '/physicalAddress');
  const size = operation.pageSize;
  if (size !== undefined && size !== '4KiB' && !simulator.spec.iommu.superpages.includes(size))
    return refuse('invalid-operation', `the IOMMU has no ${size} pages`, '/pageSize');
  if (size !== undefined)
    for (const [member, value] of [
      ['iova', first],
      ['physicalAddress', frame],
      ['lengthBytes', pages],
    ] as const)
      if (value % leafPages[size] !== 0) return refuse('misaligned', `must be a multiple of ${size}`, `/${member}`);
  const last = first + pages - 1;
  for (const { first: from, last: to } of simulator.reserved)
    if (first <= to && last >= from)
      return refuse(
        'reserved-region',
        `overlaps the reserved region from ${formatAddress(from, 0)} to ${formatAddress(to, 4095)}`,
        '/iova',
      );
  const isNew = domain.allocator === null;
  const allocator = domain.space(domain.lastPage);
  if (allocator.overlaps(first, last) || domain.policy.holds(domain, first, last) || meetsRange(domain, first, last)) {
    // What is refused changes nothing. There are modes in which a space that nobody has used has something in the way.
    if (isNew) domain.withdrawSpace();
    return refuse(
      'overlap',
      `overlaps a mapping that is live or waits for its flush${(allocator.cachedRanges ?? 0) > 0 ? ', or an address that the allocator’s cache keeps' : ''}`,
      '/iova',
    );
  }
  const permission = (operation.access.includes('r') ? READ : 0) | (operation.access.includes('w') ? WRITE : 0);
  const before = simulator.counters.ptesWritten;
  simulator.begin(0);
  const largest = size === undefined ? 3 : leafLevels[size];
  const done = simulator.iommuApi.map(domain, first, frame, pages, permission, largest);
  const cost = costOf(simulator);
  simulator.end();
  if (!done) return fail('no-frame', 'no page frame is left for a page table');
  const [small, medium, large] = simulator.mapper.leaves as [number, number, number];
  return ok({
    ptesWritten: simulator.counters.ptesWritten - before,
    pageSizes: {
      ...(small > 0 && { '4KiB': small }),
      ...(medium > 0 && { '2MiB': medium }),
      ...(large > 0 && { '1GiB': large }),
    },
    ...cost,
    timeNs: simulator.timeNs,
    ...simulator.costReplies.among('mapFirstPte', 'mapFurtherPte', 'coherentWalkSaving', 'invalidation'),
  });
}

function meetsRange(domain: Domain, first: number, last: number): boolean {
  const next = domain.pages.ranges[domain.pages.rangeIndex(first)];
  return next !== undefined && next.first <= last;
}

export function unmapRange(simulator: Simulator, operation: Of<'iommu-unmap'>): Outcome {
  const domain = simulator.domainNames.find(operation.domain);
  if (!domain) return refuse('unknown-domain', `no domain "${operation.domain}"`, '/domain');
  const refused = checkRange(domain, operation.iova, operation.lengthBytes);
  if (refused) return refused;
  const { first, pages } = range;
  const last = first + pages - 1;
  for (let page = first; page <= last; page++) {
    const chunk = domain.pages.peek(page);
    if (!chunk) page += 511 - (page % 512);
    else if (chunk.live[page & 511] !== 0)
      return refuse(
        'overlap',
        `${formatAddress(page, 0)} belongs to a mapping of the DMA API: unmap it there`,
        '/iova',
      );
  }
  if (simulator.dma.stands(domain, first, last))
    return refuse('overlap', 'overlaps a mapping of the DMA API that was unmapped and whose PTEs still stand', '/iova');
  if (simulator.iommuApi.cutsSuperpage(domain, first, last))
    return refuse('superpage-cut', 'the range begins or ends inside a superpage', '/iova');
  simulator.begin(0);
  const unmapped = simulator.iommuApi.unmap(domain, first, pages, operation.invalidate ?? true);
  const cost = costOf(simulator);
  simulator.end();
  const assumed = assumptions(simulator, simulator.mapper.clearedPtes > 1);
  return ok({
    unmappedBytes: unmapped * PAGE_BYTES,
    ...cost,
    timeNs: simulator.timeNs,
    ...(assumed.length > 0 && { assumptions: assumed }),
  });
}

export function invalidate(simulator: Simulator, operation: Of<'invalidate'>): Outcome {
  const { scope } = operation;
  let domain: Domain | undefined;
  if (scope === 'global') {
    for (const member of ['domain', 'iova', 'lengthBytes'] as const)
      if (operation[member] !== undefined)
        return refuse('invalid-operation', 'scope "global" covers all', `/${member}`);
  } else {
    if (operation.domain === undefined)
      return refuse('invalid-operation', `scope "${scope}" needs a domain`, '/domain');
    domain = simulator.domainNames.find(operation.domain);
    if (!domain) return refuse('unknown-domain', `no domain "${operation.domain}"`, '/domain');
  }
  if (scope === 'range') {
    for (const member of ['iova', 'lengthBytes'] as const)
      if (operation[member] === undefined) return refuse('invalid-operation', 'scope "range" needs it', `/${member}`);
    if (!parseAddress(operation.iova!)) return refuse('invalid-address', 'is no address', '/iova');
    const first = parsed.page;
    const pages = Math.ceil((parsed.offset + operation.lengthBytes!) / PAGE_BYTES);
    if (first + pages - 1 > domain!.lastPage)
      return refuse('address-width', `${domain!.id} ends at ${formatAddress(domain!.lastPage, 4095)}`, '/iova');
    range.first = first;
    range.pages = pages;
  } else if (scope === 'domain')
    for (const member of ['iova', 'lengthBytes'] as const)
      if (operation[member] !== undefined)
        return refuse('invalid-operation', 'scope "domain" covers all of it', `/${member}`);
  const { counters, flush } = simulator;
  const before = counters.descriptors;
  simulator.begin(0);
  if (scope === 'global') flush.global(simulator.domains);
  else if (scope === 'domain') flush.domain(domain!);
  else flush.range(domain!, range.first, range.pages, operation.leafOnly ?? false);
  const cost = costOf(simulator);
  simulator.end();
  const { effective } = flush;
  return ok({
    descriptors: counters.descriptors - before,
    effectiveRange:
      effective.scope === 'range'
        ? { scope: 'range', iova: formatAddress(effective.first, 0), lengthBytes: effective.pages * PAGE_BYTES }
        : { scope: effective.scope },
    ...cost,
    timeNs: simulator.timeNs,
    ...simulator.costReplies.among('invalidation', ...invalidationSteps(simulator.work)),
  });
}

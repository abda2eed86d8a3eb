/**
 * delayed: a small batch of unmapped ranges is held back, flushed, then freed; no timer. Two forms, of which `delayed-ia64.ts` has the
 * other.
 *
 * The parisc form: unmap clears the valid bits and posts the purge at once; the range waits in a small batch; at the 16th
 * one read-back forces all purges to complete and the batch is freed. An idle device leaves the batch where it is.
 *
 * Source: Linux 3.6 `drivers/parisc/sba_iommu.c` (`DELAYED_RESOURCE_CNT` 16). A posted purge lands by itself 44 ns later: the time
 * that vIOMMU (ATC 2011) measured for an asynchronous invalidation to take effect; no figure for the sba chip was found.
 */

import { ROW } from '../../meter/work.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import type { Lock } from '../../sim/lock.ts';
import type { Domain } from '../domain.ts';
import { DelayedIa64 } from './delayed-ia64.ts';
import type { InvalidationPolicy, PolicyEntry, PolicyParts } from './policy.ts';

const POSTED_PURGE_PS = 44_000;

class Delayed implements InvalidationPolicy {
  private readonly parts: PolicyParts;
  readonly capacity: number;
  private readonly domain: Int32Array;
  private readonly pfn: Float64Array;
  private readonly pages: Int32Array;
  queued = 0;
  readonly locks: readonly Lock[] = [];
  /** [entry]: 1 once its purge has landed. CPUs post at times of their own, so purges land in no order. */
  private readonly landed: Uint8Array;
  /** [entry]: ps after the clock's base at which its purge lands by itself. */
  private readonly landsAt: Float64Array;
  /** Number of the first range of the batch; a purge's token is its range's number. */
  private batchStart = 0;

  constructor(parts: PolicyParts) {
    this.parts = parts;
    this.capacity = parts.parameters.entries as number;
    this.domain = new Int32Array(this.capacity);
    this.pfn = new Float64Array(this.capacity);
    this.pages = new Int32Array(this.capacity);
    this.landed = new Uint8Array(this.capacity);
    this.landsAt = new Float64Array(this.capacity);
  }

  unmapped(domain: Domain, pfn: number, pages: number): void {
    const { work, costs, counters } = this.parts;
    const at = this.queued++;
    this.domain[at] = domain.index;
    this.pfn[at] = pfn;
    this.pages[at] = pages;
    this.landed[at] = 0;
    work.add(ROW.invalidation, costs.unmapQueue);
    const landsAt = work.now() + POSTED_PURGE_PS;
    this.landsAt[at] = landsAt;
    this.parts.armHardware(landsAt, this.batchStart + at);
    if (this.queued === this.capacity) {
      counters.flushesBatch++;
      this.complete();
    }
  }

  private purge(at: number, now: number): void {
    const { unit, work } = this.parts;
    unit.submit(work.cpu, 1);
    unit.range(this.domain[at]!, this.pfn[at]!, this.pages[at]!, false, now);
    this.landed[at] = 1;
  }

  /** The read-back: every posted purge is complete when it returns; then the batch is freed. */
  private complete(): void {
    const { work, costs, domains, freeIova, tables, counters, flush } = this.parts;
    if (this.queued === 0) return;
    work.add(ROW.invalidation, costs.invalidation);
    const now = work.now();
    for (let at = 0; at < this.queued; at++)
      if (this.landed[at] === 0) this.purge(at, Math.min(now, this.landsAt[at]!));
    // No such platform had device TLBs; where there are some, theirs come with the read-back.
    for (let at = 0; at < this.queued; at++)
      flush.deviceRange(domains[this.domain[at]!]!, this.pfn[at]!, this.pages[at]!);
    tables.releaseUnlinked();
    for (let at = 0; at < this.queued; at++) freeIova(domains[this.domain[at]!]!, this.pfn[at]!, this.pages[at]!);
    counters.entriesFlushed += this.queued;
    this.batchStart += this.queued;
    this.queued = 0;
  }

  timer(token: number): boolean {
    const at = token - this.batchStart;
    // A read-back may have forced it already, and its batch may be long freed.
    if (at < 0 || at >= this.queued || this.landed[at] === 1) return false;
    this.purge(at, this.parts.work.now());
    return true;
  }

  unmappedTogether(): void {}
  wrapped(): void {}
  freedAhead(): void {}

  drain(_domain: Domain): void {
    if (this.queued > 0) this.parts.counters.flushesExplicit++;
    this.complete();
  }

  holds(domain: Domain, first: number, last: number): boolean {
    for (let at = 0; at < this.queued; at++)
      if (this.domain[at] === domain.index && this.pfn[at]! <= last && this.pfn[at]! + this.pages[at]! - 1 >= first)
        return true;
    return false;
  }

  queue(limit: number): { domain: Domain; pfn: number; pages: number }[] {
    const out = [];
    for (let at = 0; at < Math.min(limit, this.queued); at++)
      out.push({ domain: this.parts.domains[this.domain[at]!]!, pfn: this.pfn[at]!, pages: this.pages[at]! });
    return out;
  }

  rebase(ps: number): void {
    for (let at = 0; at < this.queued; at++) this.landsAt[at]! -= ps;
  }

  digest(sink: DigestSink): void {
    sink.number(this.queued);
    sink.column(this.domain, this.queued);
    sink.column(this.pfn, this.queued);
    sink.column(this.pages, this.queued);
    sink.number(this.batchStart);
    sink.column(this.landed, this.queued);
  }
}

export const delayed: PolicyEntry = {
  kind: 'delayed',
  schema: {
    type: 'object',
    additionalProperties: false,
    required: ['kind'],
    properties: {
      kind: { const: 'delayed' },
      form: {
        enum: ['parisc', 'ia64'],
        description: 'whose trick: parisc posts the purge at unmap, ia64 does nothing at all until the batch is full',
      },
      entries: {
        type: 'integer',
        minimum: 1,
        maximum: 4096,
        description: 'size of the batch; 16 in the parisc form, 64 in the ia64 form',
      },
    },
  },
  defaults: { kind: 'delayed', form: 'parisc' },
  furtherDefaults: ({ form }) => ({ entries: form === 'ia64' ? 64 : 16 }),
  source: 'Linux 3.6 drivers/parisc/sba_iommu.c, arch/ia64/hp/common/sba_iommu.c',
  reuse: {
    pteCleared: 'at unmap',
    cachedTranslation: 'purge posted at unmap, forced at the 16th',
    iova: 'at the 16th',
    tablePages: 'at the 16th',
    window: 'until the posted purge lands, tens of ns',
  },
  forms: [
    {
      parameters: { form: 'ia64' },
      reuse: {
        pteCleared: 'at the 64th',
        cachedTranslation: 'purged at the 64th',
        iova: 'at the 64th',
        tablePages: 'at the 64th',
        window: 'always, by a page walk if need be, until the 64th: no bound in time',
      },
    },
  ],
  lazy: true,
  downgrades: {
    'caching-mode': {
      to: null,
      why: 'a trick of platforms whose kernel code has no word for it',
      source: 'Linux 3.6, the platforms’ own DMA operations',
    },
    'no-deferred-flush': {
      to: null,
      why: 'a trick of platforms whose kernel code has no word for it',
      source: 'Linux 3.6, the platforms’ own DMA operations',
    },
    untrusted: {
      to: null,
      why: 'a trick of platforms whose kernel code has no word for it',
      source: 'Linux 3.6, the platforms’ own DMA operations',
    },
  },
  deferred: false,
  needsCircular: false,
  create: (parts) => (parts.parameters.form === 'ia64' ? new DelayedIa64(parts) : new Delayed(parts)),
};

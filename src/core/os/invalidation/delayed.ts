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

import * as workConstants from '../../meter/work.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import type { Lock } from '../../sim/lock.ts';
import type { Domain } from '../domain.ts';
import { DelayedIa64 } from './delayed-ia64.ts';
import { HeldRanges } from './held-ranges.ts';
import type { InvalidationPolicy, PolicyEntry, PolicyParts } from './policy.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { ROW } = workConstants;

const POSTED_PURGE_PS = 44_000;

class Delayed implements InvalidationPolicy {
  declare private readonly parts: PolicyParts;
  declare private readonly held: HeldRanges;
  readonly locks: readonly Lock[] = [];
  /** [entry]: 1 once its purge has landed. CPUs post at times of their own, so purges land in no order. */
  declare private readonly landed: Uint8Array;
  /** [entry]: ps after the clock's base at which its purge lands by itself. */
  declare private readonly landsAt: Float64Array;
  /** Number of the first range of the batch; a purge's token is its range's number. */
  private batchStart = 0;

  constructor(parts: PolicyParts) {
    this.parts = parts;
    this.held = new HeldRanges(parts.parameters.entries as number);
    this.landed = new Uint8Array(this.capacity);
    this.landsAt = new Float64Array(this.capacity);
  }

  unmapped(domain: Domain, pfn: number, pages: number): void {
    const { work, costs, counters } = this.parts;
    const at = this.held.add(domain.index, pfn, pages);
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
    const { held } = this;
    unit.submit(work.cpu, 1);
    unit.range(held.domain[at]!, held.pfn[at]!, held.pages[at]!, false, now);
    this.landed[at] = 1;
  }

  /** The read-back: every posted purge is complete when it returns; then the batch is freed. */
  private complete(): void {
    const { work, costs, domains, freeIova, tables, counters, flush } = this.parts;
    const { held, queued } = this;
    if (queued === 0) return;
    work.add(ROW.invalidation, costs.invalidation);
    const now = work.now();
    for (let at = 0; at < queued; at++) if (this.landed[at] === 0) this.purge(at, Math.min(now, this.landsAt[at]!));
    // No such platform had device TLBs; where there are some, theirs come with the read-back.
    held.tellDevices(flush, domains);
    tables.releaseUnlinked();
    for (let at = 0; at < queued; at++) freeIova(domains[held.domain[at]!]!, held.pfn[at]!, held.pages[at]!);
    counters.entriesFlushed += queued;
    this.batchStart += queued;
    held.count = 0;
  }

  timer(token: number): boolean {
    const at = token - this.batchStart;
    // A read-back may have forced it already, and its batch may be long freed.
    if (at < 0 || at >= this.queued || this.landed[at] === 1) return false;
    this.purge(at, this.parts.work.now());
    return true;
  }

  wrapped(): void {}
  freedAhead(): void {}

  drain(_domain: Domain): void {
    if (this.queued > 0) this.parts.counters.flushesExplicit++;
    this.complete();
  }

  holds(domain: Domain, first: number, last: number): boolean {
    return this.held.holds(domain, first, last);
  }

  queue(limit: number): { domain: Domain; pfn: number; pages: number }[] {
    return this.held.oldest(this.parts.domains, limit);
  }

  get queued(): number {
    return this.held.count;
  }

  get capacity(): number {
    return this.held.capacity;
  }

  rebase(ps: number): void {
    for (let at = 0; at < this.queued; at++) this.landsAt[at]! -= ps;
  }

  digest(sink: DigestSink): void {
    this.held.digest(sink);
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

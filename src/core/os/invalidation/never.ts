/**
 * never: clears the PTEs and frees everything at once, and never invalidates. No kernel does this: it is the control that shows what
 * goes wrong, and that the oracle notices.
 */
import type { Domain } from '../domain.ts';
import { ImmediatePolicy } from './immediate.ts';
import type { PolicyEntry } from './policy.ts';

class Never extends ImmediatePolicy {
  unmapped(domain: Domain, pfn: number, pages: number): void {
    this.parts.tables.releaseUnlinked();
    this.parts.freeIova(domain, pfn, pages);
  }
}

export const never: PolicyEntry = {
  kind: 'never',
  schema: { type: 'object', additionalProperties: false, required: ['kind'], properties: { kind: { const: 'never' } } },
  defaults: { kind: 'never' },
  source: 'a control of this project: no system does this',
  reuse: {
    pteCleared: 'at unmap',
    cachedTranslation: 'never invalidated',
    iova: 'at unmap',
    tablePages: 'at unmap',
    window: 'until the entry is evicted by chance, or an explicit invalidation',
  },
  lazy: true,
  downgrades: {
    'caching-mode': {
      to: null,
      why: 'a control: it stays what it is, whatever the circumstances',
      source: 'a control of this project',
    },
    'no-deferred-flush': {
      to: null,
      why: 'a control: it stays what it is, whatever the circumstances',
      source: 'a control of this project',
    },
    untrusted: {
      to: null,
      why: 'a control: it stays what it is, whatever the circumstances',
      source: 'a control of this project',
    },
  },
  reusesBeforeFlush: true,
  deferred: false,
  needsCircular: false,
  create: (parts) => new Never(parts),
};

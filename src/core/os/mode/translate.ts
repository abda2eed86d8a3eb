/** translate: every mapping gets an address of its own and page-table entries, and loses them at its unmap. */
import { type ModeEntry, noParameters } from './mode.ts';

export const translate: ModeEntry = {
  kind: 'translate',
  description: 'every mapping is translated and checked',
  source: 'Linux DMA domains: every mapping gets an IOVA and PTEs',
  departs: 'what the allocator and the invalidation policy say',
  pathology:
    'a page is the least that is mapped: bytes beside a buffer are in reach while it is; and what the invalidation policy leaves open',
  schema: noParameters,
  defaults: {},
  virtual: false,
  translates: true,
  direct: false,
  taxed: true,
  cachingMode: false,
  steps: [],
  spares: [],
  allocates: true,
  unused: [],
  create: () => null,
};

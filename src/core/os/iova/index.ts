/** The IOVA allocators by kind. A new one is a file in this folder and a line here. */
import type { AllocatorEntry } from './allocator.ts';
import { alpha } from './alpha.ts';
import { amd2008 } from './amd-2008.ts';
import { bitmap } from './bitmap.ts';
import { contiguous } from './contiguous.ts';
import { eiovar } from './eiovar.ts';
import { gart } from './gart.ts';
import { identity } from './identity.ts';
import { maple } from './maple.ts';
import { persistent } from './persistent.ts';
import { powerpcPools } from './powerpc-pools.ts';
import { rbtree } from './rbtree.ts';
import { rbtree2008 } from './rbtree-2008.ts';
import { rcache } from './rcache.ts';
import { sbaIa64 } from './sba-ia64.ts';
import { sbaParisc } from './sba-parisc.ts';
import { sparcPools } from './sparc-pools.ts';

export const allocators: Record<string, AllocatorEntry> = {
  'rbtree-2008': rbtree2008,
  rbtree,
  maple,
  rcache,
  bitmap,
  gart,
  'amd-2008': amd2008,
  alpha,
  'sparc-pools': sparcPools,
  'powerpc-pools': powerpcPools,
  'sba-parisc': sbaParisc,
  'sba-ia64': sbaIa64,
  eiovar,
  identity,
  persistent,
  contiguous,
};

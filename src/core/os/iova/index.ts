/** The IOVA allocators by kind. A new one is a file in this folder and a line here. */
import type { AllocatorEntry } from './allocator.ts';
import { bitmap } from './bitmap.ts';
import { rbtree } from './rbtree.ts';
import { rbtree2008 } from './rbtree-2008.ts';

export const allocators: Record<string, AllocatorEntry> = {
  'rbtree-2008': rbtree2008,
  rbtree,
  bitmap,
};

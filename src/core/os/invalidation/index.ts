/** The invalidation policies: a new one is a file in this folder and a line here. */
import { batched } from './batched.ts';
import { deferred2008 } from './deferred-2008.ts';
import { delayed } from './delayed.ts';
import { flushQueue } from './flush-queue.ts';
import { never } from './never.ts';
import type { PolicyEntry } from './policy.ts';
import { strict } from './strict.ts';
import { wrap } from './wrap.ts';

export const policies: Record<string, PolicyEntry> = Object.fromEntries(
  [strict, deferred2008, flushQueue, wrap, delayed, batched, never].map((entry) => [entry.kind, entry]),
);

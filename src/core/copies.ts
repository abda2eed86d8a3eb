/**
 * The pool that copies are in, as the mode `bounce` has it from the start, and other modes from their first untrusted device on: its
 * place in memory, and what a machine says when it is full.
 */
import { HOST_TENANT, NO_FRAME, STANDING } from './hardware/memory.ts';
import type { Machine } from './machine.ts';
import { bounce, poolDefaults } from './os/mode/bounce.ts';
import { BouncePool, SLOT_BYTES } from './os/mode/bounce-pool.ts';
import { PartialPages } from './os/mode/partial-pages.ts';

/** @param aligned on 2 MiB, where nothing of the machine lies yet: the pool stays mapped, in large pages */
export function makeBouncePool(machine: Machine, aligned: boolean): BouncePool | null {
  const { memory, spec } = machine;
  const { poolBytes } = { ...poolDefaults, ...spec.policy.bounce };
  const frames = poolBytes / 4096;
  let first = NO_FRAME;
  if (aligned) {
    first = placeOfPool(frames, machine.reserved);
    if (first + frames > memory.frames) return null;
    memory.claim(first, frames, HOST_TENANT);
    memory.setStanding(first, frames, STANDING.pool);
  } else first = memory.allocate(frames, HOST_TENANT);
  return first === NO_FRAME ? null : poolAt(machine, first);
}

/** The pool of the spec's size, from a frame on. */
export function poolAt(machine: Machine, first: number): BouncePool {
  const { spec, log, clock, work } = machine;
  const { poolBytes, areas } = { ...poolDefaults, ...spec.policy.bounce };
  const pool = new BouncePool(machine, first, poolBytes / SLOT_BYTES, areas === 'one' ? 1 : spec.machine.cpus);
  machine.bouncePool = pool;
  // An operation that fails says so itself; in a run it is the workload that lives with it.
  pool.onFull = () => {
    if (machine.run === null || machine.run.ended) return;
    log.add('bounce-pool-full', clock.toNs(work.now()), { detail: pool.complaint });
  };
  return pool;
}

/** Makes ready for a device that is not to see a byte beside its buffers. @returns false without frames for the copies */
export function readyForUntrusted(machine: Machine): boolean {
  const { modeEntry, dma, modeParts, costReplies } = machine;
  if (!modeEntry.translates || dma.partial !== null) return true;
  const pool = modeParts.bouncePool(false);
  if (pool === null) return false;
  costReplies.also([...bounce.steps, 'zeroByte']);
  copyPartialPages(machine, pool);
  return true;
}

export function copyPartialPages({ dma, modeParts, dmaParts }: Machine, pool: BouncePool): void {
  dma.partial = new PartialPages({ ...modeParts, ...dmaParts, dma }, pool);
}

/** The lowest frame on a 2 MiB boundary, 0 excepted, from which on so many frames meet no reserved region. */
function placeOfPool(frames: number, reserved: readonly { first: number; last: number }[]): number {
  let first = 512;
  for (;;) {
    const last = first + frames - 1;
    const way = reserved.find((region) => region.first <= last && region.last >= first);
    if (way === undefined) return first;
    first = Math.ceil((way.last + 1) / 512) * 512;
  }
}

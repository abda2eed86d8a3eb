/**
 * Where the memory of a replay lies: at the recorded physical addresses, as far as the machine has them and nobody else does.
 *
 * A recording says which frames were mapped and not when they changed hands. What is stated here in its place: a frame is the replay's
 * from its first mapping on and stays so; each time it is mapped while nothing else of the replay has it mapped, it is another buffer
 * than before. So an access by way of an earlier mapping finds memory that has been given to another buffer exactly when the recorded
 * driver had it mapped again. An address beyond the machine's memory is folded into it; a frame that somebody else has (a table page,
 * a buffer) gives way to one of its own, for as long as the mapping lives.
 */
import { type Memory, NO_FRAME } from '../../hardware/memory.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import { SparseBits } from '../../sim/sparse-bits.ts';

export class ReplayMemory {
  private readonly memory: Memory;
  private readonly tenant: number;
  /** Frames that the replay has at their recorded addresses. */
  private readonly claimed = new SparseBits();
  /** [frame of these]: live mappings of the replay that reach it. */
  private readonly users = new Map<number, number>();
  /** Ranges that lay beyond the machine's memory; ranges that somebody else was in. */
  folded = 0;
  moved = 0;
  /** Whether the last `take` is a block of its own. */
  own = false;

  constructor(memory: Memory, tenant: number) {
    this.memory = memory;
    this.tenant = tenant;
  }

  /** @param recorded page number, ABSENT (below 0) where the recording has none. @returns first of `count` frames, NO_FRAME without memory */
  take(recorded: number, count: number): number {
    const { memory } = this;
    this.own = false;
    if (recorded >= 0) {
      let first = recorded;
      if (first + count > memory.frames) {
        first %= memory.frames;
        this.folded++;
      }
      if (first + count <= memory.frames && this.mayTake(first, count) && this.claim(first, count)) {
        for (let frame = first; frame < first + count; frame++) {
          const users = this.users.get(frame) ?? 0;
          if (users === 0) memory.useAnew(frame);
          this.users.set(frame, users + 1);
        }
        return first;
      }
      this.moved++;
    }
    this.own = true;
    return memory.allocate(count, this.tenant);
  }

  private mayTake(first: number, count: number): boolean {
    const end = first + count;
    for (let frame = first; frame < end; ) {
      const free = this.claimed.nextZero(frame, end);
      const next = this.claimed.nextSet(free, end);
      if (free < end && !this.memory.available(free, next - free)) return false;
      frame = next;
    }
    return true;
  }

  private claim(first: number, count: number): boolean {
    const end = first + count;
    for (let frame = this.claimed.nextZero(first, end); frame < end; frame = this.claimed.nextZero(frame, end)) {
      const next = this.claimed.nextSet(frame, end);
      if (!this.memory.claim(frame, next - frame, this.tenant)) return false;
      this.claimed.set(frame, next - frame);
    }
    return true;
  }

  /** A mapping has ended. */
  leave(first: number, count: number, own: boolean): void {
    if (first === NO_FRAME) return;
    if (own) {
      this.memory.giveBack(first, count);
      return;
    }
    for (let frame = first; frame < first + count; frame++) {
      const users = this.users.get(frame)! - 1;
      if (users === 0) this.users.delete(frame);
      else this.users.set(frame, users);
    }
  }

  /** Of a list: its stretches as triples, first frame, frames, 1 for a block of its own. */
  leaveAll(holds: readonly number[]): void {
    for (let at = 0; at < holds.length; at += 3) this.leave(holds[at]!, holds[at + 1]!, holds[at + 2] === 1);
  }

  /** All of it goes back; nothing is mapped any more. */
  tearDown(): void {
    const { frames } = this.memory;
    for (let frame = this.claimed.nextSet(0, frames); frame < frames; frame = this.claimed.nextSet(frame, frames)) {
      this.memory.giveBack(frame, 1);
      this.claimed.clear(frame, 1);
    }
    this.users.clear();
  }

  digest(sink: DigestSink): void {
    sink.number(this.folded);
    sink.number(this.moved);
    this.claimed.digest(sink);
    sink.number(this.users.size);
    let sum = 0;
    // Order of entries does not act, so it is no part of the digest.
    for (const [frame, users] of this.users) sum = (sum + frame * 31 + users * 7) % 2 ** 45;
    sink.number(sum);
  }
}

/** Physical memory as lists: frames with an owner, free blocks in the order of their return. */
import type { RandomStream } from '../../src/core/sim/random.ts';

interface Block {
  first: number;
  length: number;
}

export interface Frame {
  owner: number;
  /** Number of the hand-out that gave it away last; 0 never. */
  handedOut: number;
  inUse: boolean;
}

export class NaiveMemory {
  /** Oldest first. */
  private free: Block[] = [];
  private readonly frames = new Map<number, Frame>();
  private readonly count: number;
  private readonly reuse: string;
  private readonly random: RandomStream | null;
  private cursor = 256;
  handOuts = 0;

  constructor(memoryBytes: number, reuse: string, random: RandomStream | null = null) {
    this.count = memoryBytes / 4096;
    this.reuse = reuse;
    this.random = random;
  }

  frame(number: number): Frame {
    let frame = this.frames.get(number);
    if (!frame) this.frames.set(number, (frame = { owner: 0, handedOut: 0, inUse: false }));
    return frame;
  }

  get inUse(): number {
    return [...this.frames.values()].filter((frame) => frame.inUse).length;
  }

  /** @returns the first frame, null when there is no block of that length and the rising cursor has no room */
  allocate(length: number, owner: number): number | null {
    const fitting = this.free.filter((block) => block.length === length);
    if (fitting.length > 0) {
      const at =
        this.reuse === 'fifo' ? 0 : this.reuse === 'lifo' ? fitting.length - 1 : this.random!.below(fitting.length);
      const block = fitting[at]!;
      if (this.reuse === 'random' && at < fitting.length - 1) {
        // The last one takes the place of the one that was taken.
        const last = fitting.at(-1)!;
        this.free = this.free.filter((each) => each !== last);
        this.free[this.free.indexOf(block)] = last;
      } else this.free = this.free.filter((each) => each !== block);
      return this.take(block.first, length, owner);
    }
    let first = this.cursor;
    for (let at = first; at < first + length; at++) {
      if (at >= this.count) return null;
      const known = this.frames.get(at);
      if (known && (known.inUse || known.handedOut > 0)) first = at + 1;
    }
    this.cursor = first + length;
    return this.take(first, length, owner);
  }

  private take(first: number, length: number, owner: number): number {
    this.handOuts++;
    for (let at = first; at < first + length; at++)
      this.frames.set(at, { owner, handedOut: this.handOuts, inUse: true });
    return first;
  }

  isFree(first: number, length: number): boolean {
    for (let at = first; at < first + length; at++) if (at >= this.count || this.frames.get(at)?.inUse) return false;
    return true;
  }

  /** Takes frames at an address of the caller's choice; what remains of free blocks that they cut is free still. */
  claim(first: number, length: number, owner: number): void {
    const last = first + length - 1;
    const cut = this.free.filter((block) => block.first <= last && block.first + block.length > first);
    this.free = this.free.filter((block) => !cut.includes(block));
    for (const block of cut) {
      const end = block.first + block.length - 1;
      if (block.first < first) this.free.push({ first: block.first, length: first - block.first });
      if (end > last) this.free.push({ first: last + 1, length: end - last });
    }
    this.take(first, length, owner);
  }

  giveBack(first: number, length: number): void {
    for (let at = first; at < first + length; at++) this.frame(at).inUse = false;
    this.free.push({ first, length });
  }
}

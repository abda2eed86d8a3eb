/**
 * Physical memory: who owns each 4 KiB frame, and the page allocator that hands frames out and takes them back.
 *
 * Kept sparsely, a chunk of 1,024 frames at its first touch, so that a 1 TiB machine costs what is touched. A block is physically
 * contiguous; a freed block is handed out again to the next request of exactly its length, in the order that `reuse` says, else
 * fresh frames come from a cursor that rises from 1 MiB. Contents are not simulated, but for page-table pages, which have frames
 * like everyone else: what a stale walk finds in one that was freed is what the frame holds now.
 */
import type { DigestSink } from '../sim/digest-sink.ts';
import { growFloat64 } from '../sim/growable.ts';
import type { RandomStream } from '../sim/random.ts';
import type { FrameReuse } from '../spec.ts';

const CHUNK = 1024;
/** Chunks that there are places for from the start: an array that grows from nothing is of two kinds for V8, which it tells apart at each use. */
const NEAR_CHUNKS = 64;
/** The host kernel, owner of all frames that were never handed out. */
export const HOST_TENANT = 0;
const NONE = -1;
export const NO_FRAME = NONE;
const FIRST_FRAME = 256;

const STATE = { untouched: 0, inUse: 1, freed: 2 } as const;
export const FRAME_STATE = STATE;

export class FrameChunk {
  readonly state = new Uint8Array(CHUNK);
  /** Tenant that has the frame, or had it last. */
  readonly owner = new Int32Array(CHUNK);
  /** Value of `Memory.handOuts` when it was handed out last; 0: never. */
  readonly handedOut = new Float64Array(CHUNK);
  /** Table that the frame holds, plus one; 0 none. */
  readonly table = new Int32Array(CHUNK);
  // The oracle's columns, beside the others so that one look-up serves both.
  /** Live mappings that reach the frame, of any device. */
  readonly mapped = new Int32Array(CHUNK);
  /** Bytes of unmapped buffers that a neighbour's live mapping still reaches. */
  readonly residual = new Int32Array(CHUNK);
  /** One of STANDING: whether devices reach the frame without anybody having asked for it. */
  readonly standing = new Uint8Array(CHUNK);
}

/**
 * What a protection mode keeps mapped for devices: nothing of this frame; the memory of a whole guest; a pool that holds nothing but
 * copies, of which no byte belongs to anybody but who has a live mapping of it; the memory of a guest in a second stage, which
 * nobody reaches but through the guest's own tables.
 */
export const STANDING = { none: 0, guest: 1, pool: 2, secondStage: 3 } as const;

/** Whether devices reach a frame that stands mapped like this without any table entry of a driver's. */
export function isOpen(standing: number): boolean {
  return standing === STANDING.guest || standing === STANDING.pool;
}

/** Told of frames that change hands: the hypervisor of a guest that is mapped whole. */
export interface FrameWatcher {
  /** Before frames go to a tenant; `frame`s keep their last owner until then. */
  leaving(first: number, count: number, tenant: number): void;
  /** @returns false when the tenant cannot be given them: there is no frame for a page table */
  handedOut(first: number, count: number, tenant: number): boolean;
}

/** Freed blocks of one length. */
export class FreeBlocks {
  private first = new Float64Array(16);
  private head = 0;
  count = 0;

  push(frame: number): void {
    if (this.count === this.first.length) {
      const old = this.first;
      const unrolled = new Float64Array(old.length * 2);
      for (let i = 0; i < this.count; i++) unrolled[i] = old[(this.head + i) & (old.length - 1)]!;
      this.first = unrolled;
      this.head = 0;
    }
    this.first[(this.head + this.count++) & (this.first.length - 1)] = frame;
  }

  /** The newest: the default. */
  takeLast(): number {
    return this.first[(this.head + --this.count) & (this.first.length - 1)]!;
  }

  takeFirst(): number {
    const frame = this.first[this.head]!;
    this.head = (this.head + 1) & (this.first.length - 1);
    this.count--;
    return frame;
  }

  /** Any of them; the newest takes its place. */
  takeAny(random: RandomStream): number {
    const { first } = this;
    const mask = first.length - 1;
    const at = (this.head + random.below(this.count)) & mask;
    const frame = first[at]!;
    first[at] = this.takeLast();
    return frame;
  }

  /** Removes the blocks that meet [first, last] and returns their first frames. */
  removeMeeting(first: number, last: number, length: number): number[] {
    const removed: number[] = [];
    const kept: number[] = [];
    for (let i = 0; i < this.count; i++) {
      const frame = this.first[(this.head + i) & (this.first.length - 1)]!;
      (frame <= last && frame + length - 1 >= first ? removed : kept).push(frame);
    }
    if (removed.length > 0) {
      this.head = 0;
      this.count = 0;
      for (const frame of kept) this.push(frame);
    }
    return removed;
  }

  digest(sink: DigestSink): void {
    sink.number(this.count);
    for (let i = 0; i < this.count; i++) sink.number(this.first[(this.head + i) & (this.first.length - 1)]!);
  }
}

/** Owners of a physical range as they were at one moment, in runs: what a superpage over several tenants came from. */
export class TenantRuns {
  private readonly starts: number[] = [];
  private readonly tenants: number[] = [];

  add(frame: number, tenant: number): void {
    if (this.tenants.at(-1) === tenant) return;
    this.starts.push(frame);
    this.tenants.push(tenant);
  }

  /** The one tenant, or -1 when there are several. */
  get only(): number {
    return this.tenants.length === 1 ? this.tenants[0]! : -1;
  }

  tenantOf(frame: number): number {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle]! <= frame) low = middle;
      else high = middle - 1;
    }
    return this.tenants[low]!;
  }
}

export class Memory {
  declare readonly frames: number;
  declare private readonly reuse: FrameReuse;
  declare private readonly reusesLast: boolean;
  declare private readonly random: RandomStream;
  /** [frame >> 10] for frames below 2^31. */
  private readonly near: (FrameChunk | undefined)[] = new Array<FrameChunk | undefined>(NEAR_CHUNKS).fill(undefined);
  /** Beyond 8 TiB: `iommu-map` takes any address below 2^52. */
  private readonly far = new Map<number, FrameChunk>();
  private readonly free = new Map<number, FreeBlocks>();
  private readonly singles = new FreeBlocks();
  private cursor = FIRST_FRAME;
  /** Counts hand-outs; the age of a mapping is this count at the time it was made. */
  handOuts = 0;
  framesInUse = 0;
  framesInUsePeak = 0;
  watcher: FrameWatcher | null = null;
  /** [tenant]: frames that it has now. */
  tenantFrames = new Float64Array(16);

  constructor(memoryBytes: number, reuse: FrameReuse, random: RandomStream) {
    this.frames = Math.floor(memoryBytes / 4096);
    this.reuse = reuse;
    this.reusesLast = reuse === 'lifo';
    this.random = random;
    this.free.set(1, this.singles);
  }

  /** The chunk that was asked for last, and its number: a frame is asked for several times in a row, as it is handed out and mapped. */
  private lastAt = NONE;
  private lastChunk: FrameChunk | null = null;

  chunk(frame: number): FrameChunk {
    if (frame < 0x80000000) {
      const at = frame >>> 10;
      return at === this.lastAt ? this.lastChunk! : this.nearChunk(at);
    }
    const at = Math.floor(frame / CHUNK);
    let chunk = this.far.get(at);
    if (!chunk) this.far.set(at, (chunk = new FrameChunk()));
    return chunk;
  }

  private nearChunk(at: number): FrameChunk {
    const chunk = (this.near[at] ??= new FrameChunk());
    this.lastAt = at;
    this.lastChunk = chunk;
    return chunk;
  }

  /** The chunk of a frame if anything was ever written there; looking leaves no trace. */
  peek(frame: number): FrameChunk | undefined {
    return frame < 0x80000000 ? this.near[frame >>> 10] : this.far.get(Math.floor(frame / CHUNK));
  }

  ownerOf(frame: number): number {
    return this.peek(frame)?.owner[frame % CHUNK] ?? HOST_TENANT;
  }

  handedOutAt(frame: number): number {
    return this.peek(frame)?.handedOut[frame % CHUNK] ?? 0;
  }

  /** Owners of frames [first, last] now. */
  ownersOf(first: number, last: number): TenantRuns {
    const runs = new TenantRuns();
    for (let frame = first; frame <= last; ) {
      const chunk = this.peek(frame);
      const end = Math.min(last, frame - (frame % CHUNK) + CHUNK - 1);
      if (!chunk) runs.add(frame, HOST_TENANT);
      else for (let at = frame; at <= end; at++) runs.add(at, chunk.owner[at % CHUNK]!);
      frame = end + 1;
    }
    return runs;
  }

  tableIn(frame: number): number {
    return (this.peek(frame)?.table[frame % CHUNK] ?? 0) - 1;
  }

  /**
   * Hands out `count` contiguous frames.
   * @returns the first, or NONE when no freed block of that length exists and the cursor has reached the end of memory
   */
  allocate(count: number, tenant: number): number {
    if (count === 1 && this.reusesLast && this.watcher === null && this.singles.count > 0)
      return this.takeOne(this.singles.takeLast(), tenant);
    const blocks = count === 1 ? this.singles : this.free.get(count);
    let first: number;
    if (blocks !== undefined && blocks.count > 0) {
      if (this.reusesLast) first = blocks.takeLast();
      else first = this.reuse === 'fifo' ? blocks.takeFirst() : blocks.takeAny(this.random);
    } else {
      first = this.fresh(count);
      if (first === NONE) return NONE;
    }
    return this.take(first, count, tenant) ? first : NONE;
  }

  /** As `take` of one frame, by which nobody is told. */
  private takeOne(frame: number, tenant: number): number {
    const chunk = this.chunk(frame);
    const at = frame & (CHUNK - 1);
    chunk.state[at] = STATE.inUse;
    chunk.owner[at] = tenant;
    chunk.handedOut[at] = ++this.handOuts;
    if (++this.framesInUse > this.framesInUsePeak) this.framesInUsePeak = this.framesInUse;
    if (tenant >= this.tenantFrames.length) this.tenantFrames = growFloat64(this.tenantFrames, tenant * 2);
    this.tenantFrames[tenant]!++;
    return frame;
  }

  private fresh(count: number): number {
    let first = this.cursor;
    // Frames claimed at an address of the caller's choice may lie in the way.
    for (let frame = first; frame < first + count; frame++) {
      if (frame >= this.frames) return NONE;
      const chunk = this.peek(frame);
      if (chunk && chunk.state[frame % CHUNK] !== STATE.untouched) first = frame + 1;
    }
    this.cursor = first + count;
    return first;
  }

  /** @returns false when the watcher could not go along: the block is free again */
  private take(first: number, count: number, tenant: number): boolean {
    const { watcher } = this;
    if (watcher !== null) watcher.leaving(first, count, tenant);
    const sequence = ++this.handOuts;
    for (let frame = first; frame < first + count; frame++) {
      const chunk = this.chunk(frame);
      const at = frame & (CHUNK - 1);
      chunk.state[at] = STATE.inUse;
      chunk.owner[at] = tenant;
      chunk.handedOut[at] = sequence;
    }
    this.framesInUse += count;
    if (this.framesInUse > this.framesInUsePeak) this.framesInUsePeak = this.framesInUse;
    if (tenant >= this.tenantFrames.length) this.tenantFrames = growFloat64(this.tenantFrames, tenant * 2);
    this.tenantFrames[tenant]! += count;
    if (watcher === null || watcher.handedOut(first, count, tenant)) return true;
    this.giveBack(first, count);
    return false;
  }

  /** Whether all frames of the range exist and nobody has them. */
  available(first: number, count: number): boolean {
    if (first + count > this.frames) return false;
    for (let frame = first; frame < first + count; frame++)
      if (this.peek(frame)?.state[frame % CHUNK] === STATE.inUse) return false;
    return true;
  }

  /**
   * Hands out frames at an address of the caller's choice; they must be `available`.
   * @returns false when the watcher could not go along
   */
  claim(first: number, count: number, tenant: number): boolean {
    const last = first + count - 1;
    for (const [length, blocks] of [...this.free]) {
      for (const block of blocks.removeMeeting(first, last, length)) {
        if (block < first) this.release(block, first - block);
        if (block + length - 1 > last) this.release(last + 1, block + length - 1 - last);
      }
    }
    return this.take(first, count, tenant);
  }

  /** A frame in use stays with who has it, for another buffer: what was mapped of it before is stale from now on, whoever reaches it. */
  useAnew(frame: number): void {
    this.chunk(frame).handedOut[frame % CHUNK] = ++this.handOuts;
  }

  /** Marks frames as what a protection mode keeps mapped; one of STANDING. */
  setStanding(first: number, count: number, standing: number): void {
    for (let frame = first; frame < first + count; frame++) this.chunk(frame).standing[frame & (CHUNK - 1)] = standing;
  }

  standingOf(frame: number): number {
    return this.peek(frame)?.standing[frame % CHUNK] ?? STANDING.none;
  }

  /** Whether somebody has the frame, and it is this tenant. */
  isHeldBy(frame: number, tenant: number): boolean {
    const chunk = this.peek(frame);
    const at = frame % CHUNK;
    return chunk !== undefined && chunk.state[at] === STATE.inUse && chunk.owner[at] === tenant;
  }

  /** Runs of frames that stand mapped for the guest of a tenant; `standing` is how. */
  forEachOfGuest(tenant: number, standing: number, visit: (first: number, count: number) => void): void {
    let first = NONE;
    let end = NONE;
    const scan = (base: number, chunk: FrameChunk) => {
      for (let at = 0; at < CHUNK; at++) {
        if (chunk.standing[at] !== standing || chunk.owner[at] !== tenant) continue;
        if (base + at !== end) {
          if (first !== NONE) visit(first, end - first);
          first = base + at;
        }
        end = base + at + 1;
      }
    };
    this.near.forEach((chunk, at) => {
      if (chunk) scan(at * CHUNK, chunk);
    });
    for (const at of [...this.far.keys()].sort((a, b) => a - b)) scan(at * CHUNK, this.far.get(at)!);
    if (first !== NONE) visit(first, end - first);
  }

  private release(first: number, count: number): void {
    let blocks = this.free.get(count);
    if (!blocks) this.free.set(count, (blocks = new FreeBlocks()));
    blocks.push(first);
  }

  /** Takes back a block as it was handed out. Its frames keep their last owner until they are handed out again. */
  giveBack(first: number, count: number): void {
    const chunk = this.chunk(first);
    const at = first & (CHUNK - 1);
    this.framesInUse -= count;
    this.tenantFrames[chunk.owner[at]!]! -= count;
    if (count === 1) {
      chunk.state[at] = STATE.freed;
      this.singles.push(first);
      return;
    }
    for (let frame = first; frame < first + count; frame++) this.chunk(frame).state[frame & (CHUNK - 1)] = STATE.freed;
    this.release(first, count);
  }

  digest(sink: DigestSink): void {
    sink.number(this.cursor);
    sink.number(this.handOuts);
    sink.number(this.framesInUsePeak);
    const hash = (at: number, chunk: FrameChunk) => {
      sink.number(at);
      sink.column(chunk.state, CHUNK);
      sink.column(chunk.owner, CHUNK);
      sink.column(chunk.handedOut, CHUNK);
      sink.column(chunk.table, CHUNK);
      sink.column(chunk.mapped, CHUNK);
      sink.column(chunk.residual, CHUNK);
      sink.column(chunk.standing, CHUNK);
    };
    this.near.forEach((chunk, at) => {
      if (chunk) hash(at, chunk);
    });
    for (const at of [...this.far.keys()].sort((a, b) => a - b)) hash(at, this.far.get(at)!);
    for (const length of [...this.free.keys()].sort((a, b) => a - b)) {
      sink.number(length);
      this.free.get(length)!.digest(sink);
    }
  }
}

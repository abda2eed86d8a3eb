/**
 * The memory behind a receive ring: blocks of frames, cut into buffers, mapped whole or each by itself, kept in a pool or given back.
 *
 * - Without a pool a block of one page is cut into buffers one after the other, each mapped by itself: two IOVAs reach one page, and it
 *   goes back when all its buffers do, as the kernel's page fragments.
 * - With a pool blocks are mapped whole, once. A block whose buffers are all back is cut again, to the end of the free list; `shuffle` is
 *   the share of buffers taken from a random place in it and not from its head.
 * - A descriptor of pages has blocks of one page, mapped whole, and gives them back together.
 *
 * Source: Linux `net/core/page_pool.c`; Farshin et al., PeerJ CS 2023; Rubin et al., F&S, SOSP 2024.
 * Departs: the pool is one list, without the stack of the kernel's pool in front of it, and never gives pages back.
 */
import { NO_FRAME } from '../hardware/memory.ts';
import { MAP_SUSPENDED } from '../os/dma-api.ts';
import { MAP_KIND } from '../os/mappings.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import type { RandomStream } from '../sim/random.ts';
import type { Simulator } from '../simulator.ts';
import { NicWorkload } from './nic.ts';
import type { WorkloadSetup } from './workload.ts';

const PAGE_BYTES = 4096;
const FROM_DEVICE = 1;
const NONE = -1;
/** Of a buffer that is there; that could not be had, for want of memory or of an address. */
export const FILLED = 0;
export const NOT_FILLED = -1;
/** The share of shuffled buffers is drawn in millionths. */
const SHUFFLE_PARTS = 1_000_000;

/** States of a descriptor: without buffers, with the device, used up by it. */
export const EMPTY = 0;
export const POSTED = 1;
export const USED = 2;

export abstract class ReceiveMemory extends NicWorkload {
  /** Buffers of a descriptor; of those, the ones a packet takes. */
  protected readonly perDescriptor: number;
  protected readonly taken: number;
  /** Buffers in a queue's ring: the most packets that it holds. */
  protected readonly inRing: number;
  protected readonly poolPages: number;
  /** Buffers of a block of memory, bytes of a buffer; 0 when each is as long as its part of a packet. */
  private readonly perBlock: number;
  private readonly bufferBytes: number;
  /** [buffer of a descriptor, or 0]: frames of the block that is behind it. */
  private readonly framesBehind: Uint8Array;
  /** Whether a block is mapped as a whole, and not each of its buffers. */
  private readonly wholeBlocks: boolean;
  private readonly pooled: boolean;
  private readonly together: boolean;
  private readonly shuffle: number;
  private readonly random: RandomStream | null;

  /** [queue * ringSize + descriptor] */
  protected readonly state: Uint8Array;
  // Buffers in the ring: [descriptor * perDescriptor + buffer]. Block of memory, place in it, own mapping.
  private readonly block: Int32Array;
  private readonly place: Uint8Array;
  private readonly ownSlot: Int32Array;
  // Blocks of memory: first frame, mapping of the whole, buffers of it that are not back, frames. Free ids on a stack.
  private readonly blockFrame: Float64Array;
  private readonly blockSlot: Int32Array;
  private readonly blockOut: Int32Array;
  private readonly blockFrames: Uint8Array;
  private readonly freeBlocks: Int32Array;
  private freeBlockCount: number;
  /** [queue]: block that is being cut, and its next buffer. */
  private readonly cutBlock: Int32Array;
  private readonly cutNext: Int32Array;
  /** [queue * listLength + n]: free list of a pool, `block * perBlock + place`; its first element and how many there are. */
  private readonly list: Int32Array;
  private readonly listLength: number;
  private readonly listFirst: Int32Array;
  private readonly listCount: Int32Array;
  /** [queue]: descriptor that is refilled next, how many wait for that, and buffers that this one has already. */
  protected readonly refillNext: Int32Array;
  protected readonly toRefill: Int32Array;
  private readonly partial: Int32Array;
  /** Mappings that are given back together. */
  private readonly gathered: Int32Array;

  constructor(simulator: Simulator, setup: WorkloadSetup) {
    super(simulator, setup);
    const { spec } = setup;
    this.pooled = spec.recycle === 'page-pool';
    const pages = spec.pagesPerDescriptor as number | undefined;
    this.together = pages !== undefined;
    this.wholeBlocks = this.pooled || this.together;
    this.bufferBytes = (spec.bufferBytes as number | undefined) ?? 0;
    if (this.bufferBytes > 0) {
      this.perBlock = Math.max(1, Math.floor(PAGE_BYTES / this.bufferBytes));
      this.perDescriptor = (pages ?? 1) * (this.together ? this.perBlock : 1);
      this.taken = Math.ceil(this.frameBytes / this.bufferBytes);
      this.framesBehind = new Uint8Array([Math.ceil(this.bufferBytes / PAGE_BYTES)]);
    } else {
      this.perBlock = 1;
      this.perDescriptor = this.perPacket;
      this.taken = this.perPacket;
      this.framesBehind = Uint8Array.from(this.partFrames);
    }
    this.poolPages = this.pooled ? (spec.poolPages as number) : 0;
    this.shuffle = this.pooled ? (spec.shuffle as number) : 0;
    this.random = this.shuffle > 0 ? simulator.random.stream(`nic-rx-${setup.index}`) : null;
    const { queues, ringSize, perDescriptor } = this;
    const descriptors = queues * ringSize;
    const buffers = descriptors * perDescriptor;
    this.inRing = ringSize * perDescriptor;
    this.state = new Uint8Array(descriptors);
    this.block = new Int32Array(buffers).fill(NONE);
    this.place = new Uint8Array(buffers);
    this.ownSlot = new Int32Array(buffers).fill(NONE);
    // Each buffer may keep a whole block from going back.
    const blocks = buffers + queues * (this.poolPages + 2);
    this.blockFrame = new Float64Array(blocks).fill(NO_FRAME);
    this.blockSlot = new Int32Array(blocks).fill(NONE);
    this.blockOut = new Int32Array(blocks);
    this.blockFrames = new Uint8Array(blocks);
    this.freeBlocks = Int32Array.from({ length: blocks }, (_, i) => blocks - 1 - i);
    this.freeBlockCount = blocks;
    this.cutBlock = new Int32Array(queues).fill(NONE);
    this.cutNext = new Int32Array(queues);
    this.listLength = this.pooled ? (ringSize + this.poolPages + 2) * this.perBlock : 0;
    this.list = new Int32Array(queues * this.listLength);
    this.listFirst = new Int32Array(queues);
    this.listCount = new Int32Array(queues);
    this.refillNext = new Int32Array(queues);
    this.toRefill = new Int32Array(queues).fill(ringSize);
    this.partial = new Int32Array(queues);
    this.gathered = new Int32Array(this.together ? perDescriptor : 0);
  }

  /** @returns a block with memory behind it, or NOT_FILLED */
  private newBlock(frames: number): number {
    const frame = this.simulator.memory.allocate(frames, this.tenant);
    if (frame === NO_FRAME) {
      this.mapFailures++;
      return NOT_FILLED;
    }
    const block = this.freeBlocks[--this.freeBlockCount]!;
    this.blockFrame[block] = frame;
    this.blockFrames[block] = frames;
    this.blockOut[block] = 0;
    return block;
  }

  private dropBlock(block: number): void {
    this.simulator.memory.giveBack(this.blockFrame[block]!, this.blockFrames[block]!);
    this.blockFrame[block] = NO_FRAME;
    this.blockSlot[block] = NONE;
    this.freeBlocks[this.freeBlockCount++] = block;
  }

  /** Maps a block as a whole; it is dropped when that fails. @returns FILLED, NOT_FILLED or MAP_SUSPENDED */
  private mapBlock(block: number): number {
    const bytes = this.blockFrames[block]! * PAGE_BYTES;
    const slot = this.map(MAP_KIND.page, FROM_DEVICE, this.blockFrame[block]!, bytes);
    if (slot === MAP_SUSPENDED) return slot;
    if (slot < 0) {
      this.dropBlock(block);
      return NOT_FILLED;
    }
    this.blockSlot[block] = slot;
    return FILLED;
  }

  /** Puts memory behind a buffer of the ring. @returns FILLED, NOT_FILLED, or MAP_SUSPENDED: it is called again then */
  private fillBuffer(queue: number, at: number): number {
    if (this.pooled) return this.fillFromPool(queue, at);
    if (this.together) return this.fillFromPage(at);
    return this.fillByItself(queue, at);
  }

  private fillByItself(queue: number, at: number): number {
    const cuts = this.bufferBytes > 0;
    const part = cuts ? 0 : at % this.perDescriptor;
    if (this.block[at] === NONE) {
      let block = this.cutBlock[queue]!;
      if (block === NONE) {
        block = this.newBlock(this.framesBehind[part]!);
        if (block === NOT_FILLED) return NOT_FILLED;
        this.cutBlock[queue] = block;
        this.cutNext[queue] = 0;
      }
      this.block[at] = block;
      this.place[at] = this.cutNext[queue]!++;
      this.blockOut[block]!++;
      if (this.cutNext[queue] === this.perBlock) this.cutBlock[queue] = NONE;
    }
    const slot = this.mapAt(
      MAP_KIND.page,
      FROM_DEVICE,
      this.blockFrame[this.block[at]!]!,
      this.place[at]! * this.bufferBytes,
      cuts ? this.bufferBytes : this.partBytes[part]!,
    );
    if (slot === MAP_SUSPENDED) return slot;
    if (slot < 0) {
      this.releasePiece(queue, at);
      return NOT_FILLED;
    }
    this.ownSlot[at] = slot;
    return FILLED;
  }

  /** A buffer that was cut from a block is over; the block goes back when all of them are. */
  private releasePiece(queue: number, at: number): void {
    const block = this.block[at]!;
    this.block[at] = NONE;
    if (--this.blockOut[block]! > 0) return;
    if (this.cutBlock[queue] === block) this.cutBlock[queue] = NONE;
    this.dropBlock(block);
  }

  /** The first buffer of a page brings it along, the others share it. */
  private fillFromPage(at: number): number {
    const place = at % this.perBlock;
    this.place[at] = place;
    if (place > 0) {
      this.block[at] = this.block[at - place]!;
      return FILLED;
    }
    if (this.block[at] === NONE) {
      const block = this.newBlock(1);
      if (block === NOT_FILLED) return NOT_FILLED;
      this.block[at] = block;
    }
    const mapped = this.mapBlock(this.block[at]!);
    if (mapped === NOT_FILLED) this.block[at] = NONE;
    return mapped;
  }

  private fillFromPool(queue: number, at: number): number {
    if (this.listCount[queue] === 0) {
      const grown = this.growPool(queue);
      if (grown !== FILLED) return grown;
    }
    const { list, random } = this;
    const base = queue * this.listLength;
    const first = this.listFirst[queue]!;
    const count = this.listCount[queue]!;
    const code = list[base + first]!;
    let taken = code;
    if (random !== null && random.below(SHUFFLE_PARTS) < this.shuffle * SHUFFLE_PARTS) {
      const other = base + ((first + random.below(count)) % this.listLength);
      taken = list[other]!;
      list[other] = code;
    }
    this.listFirst[queue] = first + 1 === this.listLength ? 0 : first + 1;
    this.listCount[queue] = count - 1;
    this.block[at] = Math.floor(taken / this.perBlock);
    this.place[at] = taken % this.perBlock;
    return FILLED;
  }

  /** One more mapped page for a pool; `cutBlock` keeps it while the search for its address yields. */
  protected growPool(queue: number): number {
    let block = this.cutBlock[queue]!;
    if (block === NONE) {
      block = this.newBlock(this.framesBehind[0]!);
      if (block === NOT_FILLED) return NOT_FILLED;
      this.cutBlock[queue] = block;
    }
    const mapped = this.mapBlock(block);
    if (mapped === MAP_SUSPENDED) return mapped;
    this.cutBlock[queue] = NONE;
    if (mapped === FILLED) this.cut(queue, block);
    return mapped;
  }

  /** All buffers of a page go to the end of the free list. */
  private cut(queue: number, block: number): void {
    const base = queue * this.listLength;
    let end = this.listFirst[queue]! + this.listCount[queue]!;
    for (let place = 0; place < this.perBlock; place++, end++)
      this.list[base + (end % this.listLength)] = block * this.perBlock + place;
    this.listCount[queue]! += this.perBlock;
    this.blockOut[block] = this.perBlock;
  }

  /** Takes the buffers of a descriptor back. */
  protected giveBack(queue: number, descriptor: number): void {
    const base = descriptor * this.perDescriptor;
    const end = base + this.perDescriptor;
    this.state[descriptor] = EMPTY;
    this.toRefill[queue]!++;
    if (this.together) {
      let count = 0;
      for (let at = base; at < end; at += this.perBlock) this.gathered[count++] = this.blockSlot[this.block[at]!]!;
      this.unmapTogether(this.gathered, count);
      for (let at = base; at < end; at++) {
        if (at % this.perBlock === 0) this.dropBlock(this.block[at]!);
        this.block[at] = NONE;
      }
    } else if (this.pooled)
      for (let at = base; at < end; at++) {
        const block = this.block[at]!;
        this.block[at] = NONE;
        if (--this.blockOut[block]! === 0) this.cut(queue, block);
      }
    else
      for (let at = base; at < end; at++) {
        this.unmap(this.ownSlot[at]!);
        this.ownSlot[at] = NONE;
        this.releasePiece(queue, at);
      }
  }

  /**
   * Fills the descriptor whose turn it is.
   * @returns FILLED: it is posted; NOT_FILLED: it keeps what it has and is tried again later; MAP_SUSPENDED
   */
  protected fillNext(queue: number): number {
    const descriptor = queue * this.ringSize + this.refillNext[queue]!;
    while (this.partial[queue]! < this.perDescriptor) {
      const filled = this.fillBuffer(queue, descriptor * this.perDescriptor + this.partial[queue]!);
      if (filled !== FILLED) return filled;
      this.partial[queue]!++;
    }
    this.partial[queue] = 0;
    this.state[descriptor] = POSTED;
    this.refillNext[queue] = this.refillNext[queue]! + 1 === this.ringSize ? 0 : this.refillNext[queue]! + 1;
    this.toRefill[queue]!--;
    return FILLED;
  }

  protected partPage = 0;
  protected partOffset = 0;

  /** Where the n-th buffer of a packet lies for the device. @returns bytes that go there */
  protected locate(queue: number, at: number, n: number, left: number): number {
    const { mappings } = this.simulator;
    const inQueue = this.perDescriptor === 1 ? (at + n) % this.ringSize : at + n;
    const buffer = queue * this.inRing + inQueue;
    if (this.wholeBlocks) {
      const slot = this.blockSlot[this.block[buffer]!]!;
      this.partPage = mappings.page[slot]!;
      this.partOffset = this.place[buffer]! * this.bufferBytes;
    } else {
      const slot = this.ownSlot[buffer]!;
      this.partPage = mappings.page[slot]!;
      this.partOffset = mappings.offset[slot]!;
    }
    const room = this.bufferBytes > 0 ? this.bufferBytes : this.partBytes[n]!;
    return left < room ? left : room;
  }

  /** Unmaps and frees it all. */
  protected dropAll(): void {
    const { dma } = this.simulator;
    for (let at = 0; at < this.ownSlot.length; at++)
      if (this.ownSlot[at]! >= 0) dma.unmap(this.ownSlot[at]!, this.device);
    for (let block = 0; block < this.blockFrame.length; block++) {
      if (this.blockFrame[block] === NO_FRAME) continue;
      if (this.blockSlot[block]! >= 0) dma.unmap(this.blockSlot[block]!, this.device);
      this.dropBlock(block);
    }
  }

  protected digestMemory(sink: DigestSink): void {
    const { queues } = this;
    sink.column(this.state, this.state.length);
    sink.column(this.block, this.block.length);
    sink.column(this.place, this.place.length);
    sink.column(this.ownSlot, this.ownSlot.length);
    sink.column(this.blockFrame, this.blockFrame.length);
    sink.column(this.blockSlot, this.blockSlot.length);
    sink.column(this.blockOut, this.blockOut.length);
    sink.column(this.freeBlocks, this.freeBlockCount);
    sink.column(this.cutBlock, queues);
    sink.column(this.cutNext, queues);
    for (let queue = 0; queue < queues; queue++) {
      const first = this.listFirst[queue]!;
      sink.number(this.listCount[queue]!);
      for (let n = 0; n < this.listCount[queue]!; n++)
        sink.number(this.list[queue * this.listLength + ((first + n) % this.listLength)]!);
    }
    sink.column(this.refillNext, queues);
    sink.column(this.toRefill, queues);
    sink.column(this.partial, queues);
  }
}

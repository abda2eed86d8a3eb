/**
 * nic-rx beyond the plain ring: buffers smaller or larger than a packet, pages that stay mapped, descriptors of many pages, a device
 * with limits, completion on other CPUs, acknowledgements. One class for all, beside the plain one, which stays as fast as it is.
 *
 *     arrival -> [the NIC's buffer -> engine] -> buffers of the ring -> poll: driver, give back -> refill -> posted
 *
 * - `bufferBytes`: a packet takes as many buffers as it needs. Up to 4096 bytes a page is cut into several, one after the other, each
 *   mapped by itself: two IOVAs reach one page, and it goes back when both halves do.
 * - `recycle: "page-pool"`: pages are mapped whole, once, and stay mapped; a page whose buffers are all back is cut again. `poolPages`
 *   wait in a free list, first in, first out; `shuffle` is the share of buffers taken from a random place in it.
 * - `pagesPerDescriptor`: so many pages, mapped page by page, cut into buffers that packets use up in turn; the descriptor is complete
 *   when the next packet does not fit any more, and its pages are given back together (`DmaApi.unmapTogether`).
 * - A device with limits holds frames in `nicBufferBytes` until they have landed, and drops what does not fit.
 *
 * Source: Farshin et al., PeerJ CS 2023 (two buffers a page at MTU 1500, a pool of 128 pages, drops that shuffle buffers); Rubin et
 * al., F&S, SOSP 2024 (descriptors of 64 pages, 0.045 to 0.12 acknowledgements a page); Linux `net/core/page_pool.c`.
 * Departs: the pool is one list, without the stack of the kernel's pool in front of it; an acknowledgement is read by the device
 * beside its other accesses, through the IOMMU but not through the limits; packets of one queue land in order.
 */
import { NO_FRAME } from '../hardware/memory.ts';
import { MAP_SUSPENDED } from '../os/dma-api.ts';
import { MAP_KIND } from '../os/mappings.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import type { RandomStream } from '../sim/random.ts';
import type { Simulator } from '../simulator.ts';
import type { WorkloadSpec } from '../spec.ts';
import { DmaEngine, engineDefaults, engineParameters, hasEngine } from './dma-engine.ts';
import { NicWorkload, nicDefaults } from './nic.ts';
import { DONE, type Misfit, numberOf, phaseOf, SUSPENDED, type WorkloadSetup } from './workload.ts';

const PHASE = { setup: 0, arrival: 1, poll: 2, landed: 3, refill: 4, acknowledge: 5 } as const;
const SETUP_BATCH = 64;
const FROM_DEVICE = 1;
const TO_DEVICE = 0;
const PAGE_BYTES = 4096;
/** A segment without data: Ethernet, IP and TCP headers, time stamps. */
const ACK_BYTES = 66;
/** Of a buffer that is there; that could not be had, for want of memory or of an address. */
const FILLED = 0;
const NOT_FILLED = -1;
/** The share of shuffled buffers is drawn in millionths. */
const SHUFFLE_PARTS = 1_000_000;
const NONE = -1;

/** States of a descriptor: without buffers, with the device, used up by it. */
const EMPTY = 0;
const POSTED = 1;
const USED = 2;

/** States of a queue's acknowledgement. */
const NO_ACK = 0;
const ACK_MADE = 1;
const ACK_GIVEN = 2;
const ACK_READ = 3;

/** Where an operation goes on whose search yielded. */
const STAGE = { setup: 0, refill: 1, acknowledge: 2, refillOnly: 3 } as const;

export const receiveParameters = {
  bufferBytes: { type: 'integer', minimum: 512, maximum: 65536, description: 'of a receive buffer; 2048: two a page' },
  recycle: { enum: ['none', 'page-pool'], description: 'page-pool: pages stay mapped' },
  poolPages: { type: 'integer', minimum: 1, maximum: 1048576, description: 'a queue, beside those in its ring' },
  shuffle: {
    type: 'number',
    minimum: 0,
    maximum: 1,
    description: 'share of buffers from a random place in the free list',
  },
  pagesPerDescriptor: { type: 'integer', minimum: 1, maximum: 512, description: 'given back together' },
  acksPerPage: { type: 'number', minimum: 0, maximum: 1, description: 'acknowledgements for 4 KiB received' },
  nicBufferBytes: {
    type: 'integer',
    minimum: 65536,
    maximum: 1073741824,
    description: 'of a device with limits. Assumption: 1 MiB (256 KiB to 4 MiB)',
  },
  completionCpus: {
    type: 'array',
    items: { type: 'integer', minimum: 0, maximum: 63 },
    description: 'CPUs that poll, unmap and free; `cpus` allocate and map',
  },
  ...engineParameters,
};

const poolDefaults = { poolPages: 128, shuffle: 0 };

/** Whether a workload needs more than the plain ring. */
export function needsBuffers(spec: Record<string, unknown>): boolean {
  return Object.keys(receiveParameters).some((member) => spec[member] !== undefined);
}

const laysOut = (spec: Record<string, unknown>) =>
  spec.bufferBytes !== undefined || spec.recycle === 'page-pool' || spec.pagesPerDescriptor !== undefined;

export function receiveDefaults(simulator: Simulator, given: Record<string, unknown>): Record<string, unknown> {
  return {
    ...nicDefaults(simulator),
    ...(laysOut(given) && { mappingsPerPacket: 1, bufferBytes: PAGE_BYTES, recycle: 'none' }),
    ...(given.recycle === 'page-pool' && poolDefaults),
    ...(hasEngine(given) && { ...engineDefaults, nicBufferBytes: 1_048_576 }),
  };
}

/** What does not go together. */
export function checkReceive(_simulator: Simulator, spec: WorkloadSpec): Misfit | null {
  const { bufferBytes, frameBytes, ringSize, pagesPerDescriptor, recycle } = spec as unknown as {
    bufferBytes: number;
    frameBytes: number;
    ringSize: number;
    pagesPerDescriptor?: number;
    recycle?: string;
  };
  if (laysOut(spec)) {
    if (spec.mappingsPerPacket === 2)
      return { path: '/mappingsPerPacket', message: 'buffers are cut by bufferBytes: header and data are not apart' };
    if (pagesPerDescriptor !== undefined) {
      if (recycle === 'page-pool')
        return { path: '/recycle', message: 'pages of a descriptor are given back together, they do not stay mapped' };
      if (bufferBytes > PAGE_BYTES)
        return { path: '/bufferBytes', message: 'buffers of a descriptor of pages lie within a page: at most 4096' };
      const buffers = pagesPerDescriptor * Math.floor(PAGE_BYTES / bufferBytes);
      if (Math.ceil(frameBytes / bufferBytes) > buffers)
        return { path: '/frameBytes', message: `a frame does not fit a descriptor of ${buffers} buffers` };
    } else if (Math.ceil(frameBytes / bufferBytes) > ringSize)
      return { path: '/frameBytes', message: `a frame takes more buffers than a ring of ${ringSize} has` };
  }
  if (recycle !== 'page-pool')
    for (const member of ['poolPages', 'shuffle'])
      if (spec[member] !== undefined)
        return { path: `/${member}`, message: 'there is a free list only with recycle "page-pool"' };
  if (spec.nicBufferBytes !== undefined && !hasEngine(spec))
    return {
      path: '/nicBufferBytes',
      message: 'frames wait only where the device has limits: name one, as outstanding',
    };
  return null;
}

export class NicRxBuffers extends NicWorkload {
  private readonly engine: DmaEngine | null;
  /** Buffers of a descriptor; of those, the ones a packet takes. */
  private readonly perDescriptor: number;
  private readonly taken: number;
  /** Buffers of a block of memory, frames of it by the buffer's place in its descriptor, bytes of a buffer. */
  private readonly perBlock: number;
  private readonly bufferBytes: number;
  /** Whether a block is mapped as a whole, and not each of its buffers. */
  private readonly wholeBlocks: boolean;
  private readonly pooled: boolean;
  private readonly poolPages: number;
  private readonly shuffle: number;
  private readonly random: RandomStream | null;
  private readonly together: boolean;
  private readonly elsewhere: boolean;
  private readonly acksPerPage: number;

  // Descriptors: [queue * ringSize + descriptor].
  private readonly state: Uint8Array;
  private readonly readyAt: Float64Array;
  // Buffers in the ring: [descriptor * perDescriptor + buffer]. Block of memory, place in it, own mapping.
  private readonly block: Int32Array;
  private readonly place: Uint8Array;
  private readonly ownSlot: Int32Array;
  // Blocks of memory: first frame, mapping of the whole, buffers of it that are not back, frames. Free ids on a stack.
  private readonly blockFrame: Float64Array;
  private readonly blockSlot: Int32Array;
  private readonly blockOut: Int32Array;
  private readonly blockFrames: Uint8Array;
  /** [buffer of a descriptor, or 0]: frames of the block that is behind it. */
  private readonly framesBehind: Uint8Array;
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

  // [queue]: buffer that the device fills next, that the driver looks at next; packets that have landed and wait.
  private readonly deviceNext: Int32Array;
  private readonly driverNext: Int32Array;
  private readonly waiting: Int32Array;
  /** [queue]: descriptor that is refilled next, and how many wait for that. */
  private readonly refillNext: Int32Array;
  private readonly toRefill: Int32Array;
  /** [queue]: buffers that the descriptor in refill has already. */
  private readonly partial: Int32Array;
  private readonly polling: Uint8Array;
  private readonly refilling: Uint8Array;
  private readonly inPoll: Int32Array;
  /** [queue]: ps at which its last packet lands. */
  private readonly lastLanding: Float64Array;
  /** [queue * packets + n]: when the packets arrived that the ring holds, first in, first out. */
  private readonly arrivedAt: Float64Array;
  private readonly packets: number;
  private readonly arrivedFirst: Int32Array;
  private readonly arrivedCount: Int32Array;

  /** Frames in the NIC, first in, first out: queue, arrival. Those on their way through the engine count as well. */
  private readonly heldQueue: Int32Array;
  private readonly heldAt: Float64Array;
  private heldFirst = 0;
  private heldCount = 0;

  // [queue]: acknowledgements due, state of the one in the making, its frame and mapping.
  private readonly ackCredit: Float64Array;
  private readonly ackState: Uint8Array;
  private readonly ackFrame: Float64Array;
  private readonly ackSlot: Int32Array;

  private prepared = 0;
  private nextQueue = 0;
  private droppedNoBuffer = 0;
  private droppedInDevice = 0;
  private acks = 0;

  // The operation in progress, for a search that yields.
  private stage: number = STAGE.setup;
  private atQueue = 0;
  private filledFirst = 0;
  private filledCount = 0;
  private setUpNow = 0;
  /** Mappings that are given back together. */
  private readonly gathered: Int32Array;

  constructor(simulator: Simulator, setup: WorkloadSetup) {
    super(simulator, setup);
    const { spec } = setup;
    this.engine = hasEngine(spec) ? new DmaEngine(simulator, spec) : null;
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
    this.elsewhere = spec.completionCpus !== undefined;
    this.acksPerPage = (spec.acksPerPage as number | undefined) ?? 0;

    const { queues, ringSize, perDescriptor } = this;
    const descriptors = queues * ringSize;
    const buffers = descriptors * perDescriptor;
    this.state = new Uint8Array(descriptors);
    this.readyAt = new Float64Array(descriptors);
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
    this.deviceNext = new Int32Array(queues);
    this.driverNext = new Int32Array(queues);
    this.waiting = new Int32Array(queues);
    this.refillNext = new Int32Array(queues);
    this.toRefill = new Int32Array(queues).fill(ringSize);
    this.partial = new Int32Array(queues);
    this.polling = new Uint8Array(queues);
    this.refilling = new Uint8Array(queues);
    this.inPoll = new Int32Array(queues);
    this.lastLanding = new Float64Array(queues);
    this.packets = ringSize * perDescriptor;
    this.arrivedAt = new Float64Array(queues * this.packets);
    this.arrivedFirst = new Int32Array(queues);
    this.arrivedCount = new Int32Array(queues);
    const held = this.engine === null ? 0 : Math.max(1, Math.floor((spec.nicBufferBytes as number) / this.frameBytes));
    this.heldQueue = new Int32Array(held);
    this.heldAt = new Float64Array(held);
    this.ackCredit = new Float64Array(queues);
    this.ackState = new Uint8Array(queues);
    this.ackFrame = new Float64Array(queues).fill(NO_FRAME);
    this.ackSlot = new Int32Array(queues).fill(NONE);
    this.gathered = new Int32Array(this.together ? perDescriptor : 0);
  }

  protected start(now: number): void {
    this.polling.fill(0);
    this.refilling.fill(0);
    this.inPoll.fill(0);
    this.droppedNoBuffer = 0;
    this.droppedInDevice = 0;
    this.acks = 0;
    this.engine?.startRun(now);
    if (this.prepared < this.queues * (this.ringSize + this.poolPages)) {
      this.armNumbered(now, PHASE.setup, 0);
      return;
    }
    this.flow(now);
  }

  private flow(now: number): void {
    const { engine } = this;
    for (let queue = 0; queue < this.queues; queue++) {
      if (this.waiting[queue]! > 0) this.wake(queue, now);
      if (this.toRefill[queue]! > 0) this.wakeRefill(queue, now);
      if (this.ackState[queue] === ACK_GIVEN) this.armNumbered(now, PHASE.acknowledge, queue);
    }
    if (engine !== null) {
      for (let slot = 0; slot < engine.outstanding; slot++)
        if (engine.onItsWay(slot)) this.armNumbered(engine.at[slot]!, PHASE.landed, slot);
      this.issueHeld(now);
    }
    this.armNumbered(now + this.wirePs, PHASE.arrival, 0);
  }

  private wake(queue: number, at: number): void {
    if (this.polling[queue] === 1) return;
    this.polling[queue] = 1;
    this.inPoll[queue] = 0;
    this.armNumbered(at, PHASE.poll, queue);
  }

  private wakeRefill(queue: number, at: number): void {
    if (this.refilling[queue] === 1) return;
    this.refilling[queue] = 1;
    this.armNumbered(at, PHASE.refill, queue);
  }

  event(phase: number, low: number, now: number): boolean {
    const number = numberOf(phase, low);
    switch (phaseOf(phase)) {
      case PHASE.arrival:
        this.arrive(now);
        return DONE;
      case PHASE.poll:
        return this.poll(number, now);
      case PHASE.landed:
        this.land(number, now);
        return DONE;
      case PHASE.refill:
        return this.refillLater(number, now);
      case PHASE.acknowledge:
        this.readAck(number, now);
        return DONE;
      default:
        return this.setUp(now);
    }
  }

  // ------------------------------------------------------------------------------------------------ memory and mappings

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
  private growPool(queue: number): number {
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
  private giveBack(queue: number, descriptor: number): void {
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
  private fillNext(queue: number): number {
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

  /** Fills the rings and the pools before traffic starts: in advance, so it takes no time of the run. */
  private setUp(now: number): boolean {
    const { simulator, ringSize, queues, poolPages } = this;
    const { work } = simulator;
    const inRings = queues * ringSize;
    const total = inRings + queues * poolPages;
    this.setUpNow = now;
    this.stage = STAGE.setup;
    work.begin(this.cpuOf(0), now);
    // It takes no time of the run, so it keeps nobody from a lock either.
    work.contended = false;
    simulator.exposure.workload = this.index;
    for (let done = 0; this.prepared < total && done < SETUP_BATCH; done += this.perDescriptor) {
      let filled: number;
      if (this.prepared < inRings) {
        const queue = Math.floor(this.prepared / ringSize);
        const descriptor = queue * ringSize + this.refillNext[queue]!;
        filled = this.fillNext(queue);
        if (filled === FILLED) this.readyAt[descriptor] = now;
      } else filled = this.growPool(Math.floor((this.prepared - inRings) / poolPages));
      if (filled === MAP_SUSPENDED) {
        work.contended = simulator.cpuAt.length > 1;
        return SUSPENDED;
      }
      this.prepared++;
    }
    work.contended = simulator.cpuAt.length > 1;
    this.mapRows.fill(0);
    this.mapCalls = 0;
    if (this.prepared < total) this.armNumbered(now, PHASE.setup, 0);
    else this.flow(now);
    return DONE;
  }

  // ------------------------------------------------------------------------------------------------ the device

  /** The buffer after a packet's: packets lie within a descriptor of several buffers. */
  private after(at: number): number {
    const { perDescriptor, taken } = this;
    const end = at + taken;
    if (perDescriptor === 1) return end % this.ringSize;
    const used = end % perDescriptor;
    const start = used === 0 ? end : used + taken > perDescriptor ? end - used + perDescriptor : end;
    return start === this.packets ? 0 : start;
  }

  /** Descriptors that a packet at a buffer of a queue's ring uses up: `leftCount` from `leftFirst` on. */
  private leftFirst = 0;
  private leftCount = 0;
  private leave(at: number, next: number): void {
    if (this.perDescriptor === 1) {
      this.leftFirst = at;
      this.leftCount = this.taken;
      return;
    }
    this.leftFirst = Math.floor(at / this.perDescriptor);
    this.leftCount = next % this.perDescriptor === 0 ? 1 : 0;
  }

  private canReceive(queue: number, now: number): boolean {
    const at = this.deviceNext[queue]!;
    const several = this.perDescriptor === 1 ? this.taken : 1;
    const first = this.perDescriptor === 1 ? at : Math.floor(at / this.perDescriptor);
    for (let n = 0; n < several; n++) {
      const descriptor = queue * this.ringSize + ((first + n) % this.ringSize);
      if (this.state[descriptor] !== POSTED || this.readyAt[descriptor]! > now) return false;
    }
    return true;
  }

  private arrive(now: number): void {
    const { engine } = this;
    const { counters } = this.simulator;
    const queue = this.nextQueue;
    this.nextQueue = queue + 1 === this.queues ? 0 : queue + 1;
    this.armNumbered(now + this.wirePs, PHASE.arrival, 0);
    this.offered++;
    counters.packetsOffered++;
    if (engine === null) {
      if (this.canReceive(queue, now)) this.receive(queue, now);
      else this.dropWithoutBuffer(queue, now);
      return;
    }
    const room = this.heldQueue.length;
    if (this.heldCount + engine.inFlight >= room) {
      this.drop();
      this.droppedInDevice++;
      return;
    }
    const end = (this.heldFirst + this.heldCount++) % room;
    this.heldQueue[end] = queue;
    this.heldAt[end] = now;
    this.issueHeld(now);
  }

  private drop(): void {
    this.dropped++;
    this.simulator.counters.packetsDropped++;
  }

  private dropWithoutBuffer(queue: number, now: number): void {
    this.drop();
    this.droppedNoBuffer++;
    // A driver that got no memory tries again.
    if (this.toRefill[queue]! > 0) this.wakeRefill(queue, now);
  }

  /** A packet without limits of the device: it lands when its walks are over. */
  private receive(queue: number, now: number): void {
    let landed = now;
    let left = this.frameBytes;
    const at = this.deviceNext[queue]!;
    for (let n = 0; n < this.taken; n++) {
      const bytes = this.locate(queue, at, n, left);
      landed += this.access(this.device, this.partPage, this.partOffset, bytes, true, now);
      left -= bytes;
    }
    this.taking(queue, now);
    this.waiting[queue]!++;
    this.wake(queue, landed);
  }

  /** Frames that wait in the NIC go on their way while there are slots. */
  private issueHeld(now: number): void {
    const engine = this.engine!;
    while (this.heldCount > 0 && !engine.full) {
      const queue = this.heldQueue[this.heldFirst]!;
      const arrived = this.heldAt[this.heldFirst]!;
      this.heldFirst = this.heldFirst + 1 === this.heldQueue.length ? 0 : this.heldFirst + 1;
      this.heldCount--;
      if (!this.canReceive(queue, now)) {
        this.dropWithoutBuffer(queue, now);
        continue;
      }
      let left = this.frameBytes;
      const at = this.deviceNext[queue]!;
      for (let n = 0; n < this.taken; n++) {
        const bytes = this.locate(queue, at, n, left);
        this.touch(this.partPage, this.partOffset, bytes, true, now);
        left -= bytes;
      }
      const slot = this.issue(engine, true, queue, this.frameBytes, now);
      // A queue's packets are delivered in order.
      if (engine.at[slot]! < this.lastLanding[queue]!) engine.at[slot] = this.lastLanding[queue]!;
      this.lastLanding[queue] = engine.at[slot]!;
      this.taking(queue, arrived);
      this.armNumbered(engine.at[slot]!, PHASE.landed, slot);
    }
  }

  private land(slot: number, now: number): void {
    const engine = this.engine!;
    engine.arrive(slot);
    const queue = engine.owner[slot]!;
    this.waiting[queue]!++;
    this.wake(queue, now);
    this.issueHeld(now);
  }

  private partPage = 0;
  private partOffset = 0;

  /** Where the n-th buffer of a packet lies for the device. @returns bytes that go there */
  private locate(queue: number, at: number, n: number, left: number): number {
    const { mappings } = this.simulator;
    const inRing = this.perDescriptor === 1 ? (at + n) % this.ringSize : at + n;
    const buffer = queue * this.packets + inRing;
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

  /** The device has used a packet's buffers. */
  private taking(queue: number, arrived: number): void {
    const at = this.deviceNext[queue]!;
    const next = this.after(at);
    this.leave(at, next);
    for (let n = 0; n < this.leftCount; n++)
      this.state[queue * this.ringSize + ((this.leftFirst + n) % this.ringSize)] = USED;
    this.deviceNext[queue] = next;
    const end = (this.arrivedFirst[queue]! + this.arrivedCount[queue]!++) % this.packets;
    this.arrivedAt[queue * this.packets + end] = arrived;
  }

  // ------------------------------------------------------------------------------------------------ the driver

  private poll(queue: number, now: number): boolean {
    const { simulator } = this;
    const cpu = this.completionCpuOf(queue);
    if (!simulator.mayRun(cpu, this.index, now)) {
      this.armNumbered(simulator.cpuAt[cpu]!, PHASE.poll, queue);
      return DONE;
    }
    simulator.cpuHolder[cpu] = this.index;
    this.atQueue = queue;
    this.begin(cpu, now);
    simulator.work.addDriver(this.packetCost);
    const at = this.driverNext[queue]!;
    const next = this.after(at);
    this.leave(at, next);
    const { leftFirst, leftCount, ringSize } = this;
    for (let n = 0; n < leftCount; n++) this.giveBack(queue, queue * ringSize + ((leftFirst + n) % ringSize));
    this.driverNext[queue] = next;
    this.ackCredit[queue]! += (this.frameBytes / PAGE_BYTES) * this.acksPerPage;
    this.filledFirst = this.refillNext[queue]!;
    this.filledCount = 0;
    this.stage = this.elsewhere ? STAGE.acknowledge : STAGE.refill;
    return this.goOn();
  }

  /** Refills on the CPU that maps, when packets are completed on another one, or when there was no memory before. */
  private refillLater(queue: number, now: number): boolean {
    const { simulator } = this;
    const cpu = this.cpuOf(queue);
    if (!simulator.mayRun(cpu, this.index, now)) {
      this.armNumbered(simulator.cpuAt[cpu]!, PHASE.refill, queue);
      return DONE;
    }
    this.atQueue = queue;
    this.begin(cpu, now);
    this.filledFirst = this.refillNext[queue]!;
    this.filledCount = 0;
    this.stage = STAGE.refillOnly;
    return this.goOn();
  }

  /** The part of a poll or refill that may be suspended. */
  private goOn(): boolean {
    const queue = this.atQueue;
    if (this.stage === STAGE.refill || this.stage === STAGE.refillOnly) {
      while (this.toRefill[queue]! > 0 && this.filledCount < this.napiBudget) {
        const filled = this.fillNext(queue);
        if (filled === MAP_SUSPENDED) return SUSPENDED;
        if (filled === NOT_FILLED) break;
        this.filledCount++;
      }
      if (this.stage === STAGE.refillOnly) {
        this.endRefill(queue);
        return DONE;
      }
      this.stage = STAGE.acknowledge;
    }
    if (this.acknowledge(queue) === MAP_SUSPENDED) return SUSPENDED;
    this.endPoll(queue);
    return DONE;
  }

  /** What was filled belongs to the device from the end of the work on. */
  private post(queue: number, end: number): void {
    for (let n = 0; n < this.filledCount; n++)
      this.readyAt[queue * this.ringSize + ((this.filledFirst + n) % this.ringSize)] = end;
  }

  private endRefill(queue: number): void {
    const end = this.finish();
    this.post(queue, end);
    this.refilling[queue] = 0;
    if (this.toRefill[queue]! > 0 && this.filledCount === this.napiBudget) this.wakeRefill(queue, end);
  }

  private endPoll(queue: number): void {
    const cpu = this.completionCpuOf(queue);
    const end = this.finish();
    this.post(queue, end);
    if (this.elsewhere && this.toRefill[queue]! > 0) this.wakeRefill(queue, end);
    if (this.ackState[queue] === ACK_MADE) {
      this.ackState[queue] = ACK_GIVEN;
      this.armNumbered(end, PHASE.acknowledge, queue);
    }
    const first = this.arrivedFirst[queue]!;
    this.latency.record(Math.floor((end - this.arrivedAt[queue * this.packets + first]!) / 1000));
    this.arrivedFirst[queue] = first + 1 === this.packets ? 0 : first + 1;
    this.arrivedCount[queue]!--;
    this.operations++;
    this.bytes += this.frameBytes;
    this.waiting[queue]!--;
    if (this.waiting[queue]! > 0) {
      if (++this.inPoll[queue]! >= this.napiBudget) {
        this.inPoll[queue] = 0;
        this.simulator.cpuHolder[cpu] = -1;
      }
      this.armNumbered(end, PHASE.poll, queue);
    } else {
      this.polling[queue] = 0;
      this.simulator.cpuHolder[cpu] = -1;
    }
  }

  /** Sends an acknowledgement when one is due and the last one has been read. @returns FILLED, NOT_FILLED or MAP_SUSPENDED */
  private acknowledge(queue: number): number {
    if (this.ackCredit[queue]! < 1 || this.ackState[queue] === ACK_GIVEN) return FILLED;
    const { memory } = this.simulator;
    if (this.ackState[queue] === ACK_READ) this.cleanAck(queue);
    if (this.ackFrame[queue] === NO_FRAME) {
      const frame = memory.allocate(1, this.tenant);
      if (frame === NO_FRAME) {
        this.mapFailures++;
        return NOT_FILLED;
      }
      this.ackFrame[queue] = frame;
    }
    const slot = this.map(MAP_KIND.single, TO_DEVICE, this.ackFrame[queue]!, ACK_BYTES);
    if (slot < 0) return slot === MAP_SUSPENDED ? slot : NOT_FILLED;
    this.ackSlot[queue] = slot;
    this.ackState[queue] = ACK_MADE;
    this.ackCredit[queue]! -= 1;
    this.acks++;
    return FILLED;
  }

  private cleanAck(queue: number): void {
    this.unmap(this.ackSlot[queue]!);
    this.simulator.memory.giveBack(this.ackFrame[queue]!, 1);
    this.ackSlot[queue] = NONE;
    this.ackFrame[queue] = NO_FRAME;
    this.ackState[queue] = NO_ACK;
  }

  private readAck(queue: number, now: number): void {
    const { mappings } = this.simulator;
    const slot = this.ackSlot[queue]!;
    this.access(this.device, mappings.page[slot]!, mappings.offset[slot]!, ACK_BYTES, false, now);
    this.ackState[queue] = ACK_READ;
  }

  resume(): boolean {
    return this.stage === STAGE.setup ? this.setUp(this.setUpNow) : this.goOn();
  }

  override report(now: number, elapsedPs: number): Record<string, unknown> {
    return this.engine === null ? {} : { engine: this.engine.report(now, elapsedPs) };
  }

  override reportCounts(): Record<string, number> {
    return {
      droppedNoBuffer: this.droppedNoBuffer,
      ...(this.engine !== null && { droppedInDevice: this.droppedInDevice }),
      ...(this.acksPerPage > 0 && { acks: this.acks }),
    };
  }

  override tearDown(): void {
    const { simulator } = this;
    simulator.begin(this.cpuOf(0));
    for (let at = 0; at < this.ownSlot.length; at++)
      if (this.ownSlot[at]! >= 0) simulator.dma.unmap(this.ownSlot[at]!, this.device);
    for (let block = 0; block < this.blockFrame.length; block++) {
      if (this.blockFrame[block] === NO_FRAME) continue;
      if (this.blockSlot[block]! >= 0) simulator.dma.unmap(this.blockSlot[block]!, this.device);
      this.dropBlock(block);
    }
    for (let queue = 0; queue < this.queues; queue++) {
      if (this.ackSlot[queue]! >= 0) simulator.dma.unmap(this.ackSlot[queue]!, this.device);
      if (this.ackFrame[queue]! >= 0) simulator.memory.giveBack(this.ackFrame[queue]!, 1);
    }
    simulator.end();
  }

  protected rebase(ps: number): void {
    for (let i = 0; i < this.readyAt.length; i++) this.readyAt[i]! -= ps;
    for (let i = 0; i < this.arrivedAt.length; i++) this.arrivedAt[i]! -= ps;
    for (let i = 0; i < this.heldAt.length; i++) this.heldAt[i]! -= ps;
    for (let queue = 0; queue < this.queues; queue++) this.lastLanding[queue]! -= ps;
    this.engine?.rebase(ps);
  }

  protected digestState(sink: DigestSink): void {
    const { queues } = this;
    sink.column(this.state, this.state.length);
    sink.column(this.readyAt, this.readyAt.length);
    sink.column(this.lastLanding, queues);
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
    sink.column(this.deviceNext, queues);
    sink.column(this.driverNext, queues);
    sink.column(this.waiting, queues);
    sink.column(this.refillNext, queues);
    sink.column(this.toRefill, queues);
    sink.column(this.partial, queues);
    sink.column(this.arrivedCount, queues);
    sink.number(this.heldCount);
    for (let n = 0; n < this.heldCount; n++) sink.number(this.heldQueue[(this.heldFirst + n) % this.heldQueue.length]!);
    sink.column(this.ackCredit, queues);
    sink.column(this.ackState, queues);
    sink.column(this.ackFrame, queues);
    sink.column(this.ackSlot, queues);
    sink.number(this.prepared);
    sink.number(this.nextQueue);
    this.engine?.digest(sink);
  }
}

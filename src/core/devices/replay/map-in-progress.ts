/**
 * The one map that a replay is making: what it is of, the memory it has taken, and what becomes of it when the call returns. It stands
 * still while a search for its address is suspended.
 */
import { NO_FRAME } from '../../hardware/memory.ts';
import { MAP_SUSPENDED } from '../../os/dma-api.ts';
import type { InputSegment } from '../../os/scatterlist.ts';
import { DONE, SUSPENDED } from '../workload.ts';
import { NO_SLOT } from './live.ts';
import type { Replay } from './replay.ts';
import { ABSENT, type RecordedEvents } from './source.ts';

export const TO_DEVICE = 0;
export const FROM_DEVICE = 1;
export const BIDIRECTIONAL = 2;

/** Pages of one call of the DMA API; as for an operation. */
export const MOST_PAGES = 2 ** 20;

export class MapInProgress {
  readonly #source: RecordedEvents;
  private readonly replay: Replay;
  private kind = 0;
  private device = 0;
  private direction = 0;
  /** Memory in one stretch: first frame, frames, whether it is a block of its own. */
  private frame = NO_FRAME;
  private frames = 0;
  private own = false;
  offset = 0;
  bytes = 0;
  /** A scatter list and its memory as triples, as `LiveCalls.holds`; null for one stretch. */
  private list: InputSegment[] | null = null;
  private holds: number[] | null = null;
  /** Event that it belongs to, or a key of a receive buffer. */
  private key = 0;
  private recordedPage = ABSENT;
  private recordedOffset = 0;
  private intervalPs = 0;
  /** Whether it belongs to the event that is due, and not to the ring; whether it is a packet that is sent. */
  ofEvent = true;
  transmit = false;
  private startedPs = 0;

  constructor(replay: Replay, source: RecordedEvents) {
    this.replay = replay;
    this.#source = source;
  }

  /** A map of the loaded event, but for its memory; at no recorded address yet. @returns whether it can be made */
  prepare(kind: number, direction: number, bytes: number): boolean {
    const { replay } = this;
    const { tally, order, touches } = replay;
    const device = replay.deviceFor(this.#source.device);
    if (device.domain === null) return tally.skip('detached');
    if (!(bytes > 0) || bytes > MOST_PAGES * 4096) return tally.skip('tooLarge');
    this.about(kind, device.index, direction, bytes, order.position);
    this.ofEvent = true;
    this.intervalPs = touches.plansAhead ? order.intervalPs() : 0;
    return true;
  }

  /** A map of a receive buffer, which no event of the recording made. */
  prepareBuffer(kind: number, device: number, bytes: number, key: number): void {
    this.about(kind, device, FROM_DEVICE, bytes, key);
    this.ofEvent = false;
    this.intervalPs = 0;
  }

  private about(kind: number, device: number, direction: number, bytes: number, key: number): void {
    this.kind = kind;
    this.device = device;
    this.direction = direction;
    this.offset = 0;
    this.bytes = bytes;
    this.list = null;
    this.holds = null;
    this.key = key;
    this.recordedPage = ABSENT;
    this.recordedOffset = 0;
    this.transmit = false;
  }

  /** Where the recording had it. */
  recordedAt(page: number, offset: number): void {
    this.recordedPage = page;
    this.recordedOffset = offset;
  }

  /** It is a packet: it stays mapped until it is out, whatever the rules of accesses say. */
  sendPacket(): void {
    this.transmit = true;
    this.intervalPs = 0;
  }

  /** Memory in one stretch. @returns whether there is any */
  takeMemory(recorded: number, frames: number): boolean {
    const { memory, tally } = this.replay;
    const frame = memory.take(recorded, frames);
    this.frame = frame;
    this.frames = frames;
    this.own = memory.own;
    return frame !== NO_FRAME || tally.skip('withoutMemory');
  }

  /** None: the mode has coherent memory of its own. */
  takeNoMemory(): void {
    this.frame = 0;
    this.frames = 0;
    this.own = false;
  }

  beginList(): void {
    this.list = [];
    this.holds = [];
  }

  /** Memory of one entry of the list more. @returns whether there is any; otherwise the list's memory is given back */
  takeSegment(recorded: number, offset: number, lengthBytes: number): boolean {
    const { memory, tally } = this.replay;
    const frames = Math.ceil((offset + lengthBytes) / 4096);
    const frame = memory.take(recorded, frames);
    if (frame === NO_FRAME) {
      memory.leaveAll(this.holds!);
      return tally.skip('withoutMemory');
    }
    this.list!.push({ frame, offset, lengthBytes });
    this.holds!.push(frame, frames, memory.own ? 1 : 0);
    return true;
  }

  begin(cpu: number, now: number): boolean {
    const { replay } = this;
    replay.begin(cpu, now);
    this.startedPs = replay.simulator.work.now();
    return this.attempt();
  }

  /** @returns SUSPENDED when the search for an address yielded: to be called again */
  attempt(): boolean {
    const { replay, list } = this;
    const { simulator, tally } = replay;
    const { dma } = simulator;
    const device = simulator.deviceAt(this.device);
    const mapping =
      list !== null
        ? dma.mapSg(device, this.direction, list)
        : dma.map(device, this.kind, this.direction, this.frame, this.offset, this.bytes);
    if (mapping === MAP_SUSPENDED) return SUSPENDED;
    replay.mapCalls++;
    // What is offered to the ring are packets, not its buffers.
    if (this.ofEvent) replay.offered++;
    const end = replay.finish();
    replay.latency.record(Math.floor((end - this.startedPs) / 1000));
    let slot = NO_SLOT;
    if (mapping < 0) {
      replay.mapFailures++;
      if (this.ofEvent) replay.dropped++;
      tally.skip('withoutAddress');
      this.leaveMemory();
    } else slot = this.keep(mapping, end);
    if (!this.ofEvent) {
      if (slot !== NO_SLOT) replay.packets.buffered(slot, end);
      return DONE;
    }
    replay.operations++;
    tally.maps++;
    if (slot !== NO_SLOT) {
      if (this.transmit) replay.packets.sent(slot, end);
      else replay.touches.plan(slot, this.intervalPs, end);
    }
    return replay.order.goOn(simulator.clock.now);
  }

  private leaveMemory(): void {
    const { memory } = this.replay;
    if (this.holds !== null) memory.leaveAll(this.holds);
    else if (this.frames > 0) memory.leave(this.frame, this.frames, this.own);
  }

  private keep(mapping: number, end: number): number {
    const { calls, simulator, tally } = this.replay;
    const { mappings } = simulator;
    const slot = calls.add(this.key, this.recordedPage);
    calls.mapping[slot] = mapping;
    calls.device[slot] = this.device;
    calls.domain[slot] = mappings.domain[mapping]!;
    calls.write[slot] = this.direction === TO_DEVICE ? 0 : 1;
    calls.page[slot] = mappings.page[mapping]!;
    calls.offset[slot] = mappings.offset[mapping]!;
    calls.lengthBytes[slot] = mappings.lengthBytes[mapping]!;
    calls.pages[slot] = mappings.pages[mapping]!;
    calls.holds[slot] = this.holds;
    calls.holdFirst[slot] = this.holds === null && this.frames > 0 ? this.frame : NO_FRAME;
    calls.holdCount[slot] = this.frames;
    calls.holdOwn[slot] = this.own ? 1 : 0;
    calls.begin[slot] = end;
    calls.interval[slot] = 0;
    if (mappings.frame[mapping] === -1) {
      const stretches: number[] = [];
      for (const run of mappings.runs[mapping]!)
        for (let i = 0; i < run.pages; i++) {
          const from = i === 0 ? run.offset : 0;
          stretches.push(run.page + i, from, Math.min(4096, run.offset + run.lengthBytes - i * 4096));
        }
      calls.stretches[slot] = stretches;
    }
    if (calls.page[slot] === this.recordedPage && calls.offset[slot] === this.recordedOffset) tally.sameAddress++;
    return slot;
  }
}

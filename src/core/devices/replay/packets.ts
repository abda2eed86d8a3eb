/**
 * Packets of a capture as a network card has them: what is received lands in a ring of mapped buffers, each taken back and replaced
 * when it is filled; what is sent is mapped, read, and unmapped `transmitNs` later. Where the ring is empty a packet is lost.
 */
import { MAP_KIND } from '../../os/mappings.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import { DONE } from '../workload.ts';
import { type MapInProgress, MOST_PAGES, TO_DEVICE } from './map-in-progress.ts';
import type { Replay } from './replay.ts';
import { ABSENT, type RecordedEvents } from './source.ts';

/** Key of a receive buffer, which no event of the recording mapped: below all of those. */
const BUFFER_KEY = -2;
/** Bytes that are read of a packet that is sent. */
const MOST_BYTES = 2 ** 24;

export class ReplayPackets {
  readonly #source: RecordedEvents;
  private readonly replay: Replay;
  private readonly map: MapInProgress;
  private readonly bufferBytes: number;
  private readonly ringSize: number;
  private readonly transmitPs: number;

  /** Receive buffers, oldest first: slots in a ring. */
  private readonly ring: Int32Array;
  private ringHead = 0;
  private ringCount = 0;
  private buffersMade = 0;
  private bufferKeys = 0;
  /** Slots on their way out, in the order in which they complete, and when. */
  private readonly transmitting: number[] = [];
  private readonly transmitAt: number[] = [];

  constructor(replay: Replay, source: RecordedEvents, map: MapInProgress) {
    const { spec } = replay;
    this.replay = replay;
    this.#source = source;
    this.map = map;
    this.bufferBytes = spec.bufferBytes as number;
    this.ringSize = spec.ringSize as number;
    this.transmitPs = (spec.transmitNs as number) * 1000;
    this.ring = new Int32Array(this.ringSize);
  }

  /** Arms again what was on its way when the last run ended. */
  rearm(now: number): void {
    const { replay, transmitting } = this;
    for (let n = 0; n < transmitting.length; n++)
      replay.armTransmitted(Math.max(now, this.transmitAt[n]!), transmitting[n]!);
    if (this.buffersMade >= this.ringSize && this.ringCount < this.ringSize) replay.armRefill(now);
  }

  /** The loaded packet. */
  packet(cpu: number, now: number): boolean {
    const { replay, map } = this;
    const source = this.#source;
    const bytes = Math.min(Math.max(1, source.lengthBytes), MOST_PAGES * 4096);
    if (source.write === 1) {
      // The ring is filled before the first packet.
      if (this.ringCount < this.ringSize && this.buffersMade < this.ringSize) return this.fillRing(cpu, now);
      return this.receive(bytes, cpu, now);
    }
    if (!map.prepare(MAP_KIND.single, TO_DEVICE, bytes) || !map.takeMemory(ABSENT, Math.ceil(bytes / 4096)))
      return replay.order.goOn(now);
    map.sendPacket();
    return map.begin(cpu, now);
  }

  /** A packet goes out: when it is out the device has read it, and it is unmapped. */
  sent(slot: number, end: number): void {
    const at = end + this.transmitPs;
    this.transmitting.push(slot);
    this.transmitAt.push(at);
    this.replay.armTransmitted(at, slot);
  }

  transmitted(slot: number, now: number): boolean {
    const { replay } = this;
    const { simulator, calls, touches, tally } = replay;
    const cpu = replay.cpus[0]!;
    if (!simulator.mayRun(cpu, replay.index, now)) {
      replay.armTransmitted(simulator.cpuAt[cpu]!, slot);
      return DONE;
    }
    const at = this.transmitting.indexOf(slot);
    this.transmitting.splice(at, 1);
    this.transmitAt.splice(at, 1);
    touches.touchPacket(slot, Math.min(MOST_BYTES, calls.lengthBytes[slot]!), false, now);
    replay.dmaCalls.takeBack(slot, cpu, now);
    tally.unmaps++;
    return DONE;
  }

  /** Maps one buffer more; the event that is due waits until the ring is full. */
  private fillRing(cpu: number, now: number): boolean {
    const { replay } = this;
    const prepared = this.prepareBuffer();
    if (prepared) this.buffersMade++;
    else this.buffersMade = this.ringSize;
    replay.armMain(now);
    return prepared ? this.map.begin(cpu, now) : DONE;
  }

  private prepareBuffer(): boolean {
    const { replay, map } = this;
    if (replay.device.domain === null) return replay.tally.skip('detached');
    if (!map.takeMemory(ABSENT, Math.ceil(this.bufferBytes / 4096))) return false;
    map.prepareBuffer(MAP_KIND.page, replay.device.index, this.bufferBytes, BUFFER_KEY - this.bufferKeys++);
    return true;
  }

  /** A buffer of the ring is mapped. */
  buffered(slot: number, end: number): void {
    this.ring[(this.ringHead + this.ringCount) % this.ringSize] = slot;
    this.ringCount++;
    if (this.ringCount < this.ringSize && this.buffersMade >= this.ringSize) this.replay.armRefill(end);
  }

  private receive(bytes: number, cpu: number, now: number): boolean {
    const { replay } = this;
    replay.offered++;
    if (this.ringCount === 0) {
      replay.dropped++;
      return replay.order.goOn(now);
    }
    const slot = this.ring[this.ringHead]!;
    this.ringHead = (this.ringHead + 1) % this.ringSize;
    this.ringCount--;
    replay.touches.touchPacket(slot, bytes, true, now);
    const end = replay.dmaCalls.takeBack(slot, cpu, now);
    replay.operations++;
    replay.tally.unmaps++;
    replay.armRefill(end);
    return replay.order.goOn(now);
  }

  refill(now: number): boolean {
    if (this.ringCount >= this.ringSize) return DONE;
    const { replay } = this;
    const { simulator } = replay;
    const cpu = replay.cpus[0]!;
    if (!simulator.mayRun(cpu, replay.index, now)) {
      replay.armRefill(simulator.cpuAt[cpu]!);
      return DONE;
    }
    return this.prepareBuffer() ? this.map.begin(cpu, now) : DONE;
  }

  tearDown(): void {
    this.transmitting.length = 0;
    this.transmitAt.length = 0;
    this.ringCount = 0;
  }

  rebase(ps: number): void {
    for (let n = 0; n < this.transmitAt.length; n++) this.transmitAt[n]! -= ps;
  }

  digest(sink: DigestSink): void {
    sink.number(this.bufferKeys);
    sink.number(this.buffersMade);
    sink.number(this.ringHead);
    sink.number(this.ringCount);
    for (let n = 0; n < this.ringCount; n++) sink.number(this.ring[(this.ringHead + n) % this.ringSize]!);
    for (const slot of this.transmitting) sink.number(slot);
  }
}

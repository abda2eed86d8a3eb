/**
 * Recorded calls of the DMA API, made again: maps, unmaps, allocations, frees and syncs, and transfers of a block trace, which are maps
 * and unmaps of lists. The address is the session's; the recorded one is kept to find what later events are about.
 *
 * Pathology: where an excerpt begins in the middle, its first unmaps are of mappings that it does not have.
 */
import { PART } from '../../meter/work.ts';
import { MAP_KIND } from '../../os/mappings.ts';
import { NO_SLOT } from './live.ts';
import { BIDIRECTIONAL, FROM_DEVICE, type MapInProgress, TO_DEVICE } from './map-in-progress.ts';
import type { Replay } from './replay.ts';
import { ABSENT, KERNEL_DIRECTION, RECORDED, type RecordedEvents } from './source.ts';

export class ReplayDmaCalls {
  readonly #source: RecordedEvents;
  private readonly replay: Replay;
  private readonly map: MapInProgress;
  private readonly pagesPerEntry: number;

  constructor(replay: Replay, source: RecordedEvents, map: MapInProgress) {
    this.replay = replay;
    this.#source = source;
    this.map = map;
    this.pagesPerEntry = replay.spec.pagesPerEntry as number;
  }

  /** `map` and `alloc`. */
  mapOne(cpu: number, now: number): boolean {
    const { replay, map } = this;
    const source = this.#source;
    const coherent = source.kind === RECORDED.alloc;
    // Coherent memory is for both sides, whatever the line says.
    const direction = coherent ? BIDIRECTIONAL : directionOf(source.direction);
    const { physicalPage, lengthBytes, iovaPage, iovaOffset } = source;
    const offset = coherent || physicalPage < 0 ? 0 : Math.max(0, source.physicalOffset);
    // An offset within the page that the address shows and no physical address says.
    const within = coherent || physicalPage >= 0 || iovaOffset < 0 ? offset : iovaOffset;
    if (!map.prepare(coherent ? MAP_KIND.coherent : MAP_KIND.page, direction, lengthBytes))
      return replay.order.goOn(now);
    map.recordedAt(iovaPage, iovaOffset);
    const pages = Math.ceil((within + lengthBytes) / 4096);
    map.offset = within;
    if (coherent) map.bytes = pages * 4096;
    if (coherent && replay.simulator.dma.mode?.ownCoherent === true) map.takeNoMemory();
    else if (!map.takeMemory(physicalPage, pages)) return replay.order.goOn(now);
    return map.begin(cpu, now);
  }

  /**
   * The ranges behind the loaded `mapSg`. Where entries were merged the recording has fewer lengths than entries: each but the last
   * then goes to the end of its page, and the last has what is left.
   */
  mapList(cpu: number, now: number): boolean {
    const { replay, map } = this;
    const { order } = replay;
    const source = this.#source;
    const direction = directionOf(source.direction);
    const memory: { page: number; offset: number }[] = [];
    const lengths: number[] = [];
    let iovaPage = ABSENT;
    let iovaOffset = 0;
    for (let at = order.position + 1; at < source.count; at++) {
      source.load(at);
      if (source.kind !== RECORDED.segment) break;
      if (lengths.length === 0 && source.iovaPage >= 0) {
        iovaPage = source.iovaPage;
        iovaOffset = source.iovaOffset;
      }
      if (source.lengthBytes > 0) lengths.push(source.lengthBytes);
      if (source.physicalPage >= 0) memory.push({ page: source.physicalPage, offset: source.physicalOffset });
    }
    source.load(order.position);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    if (!map.prepare(MAP_KIND.sg, direction, total)) return order.goOn(now);
    map.recordedAt(iovaPage, iovaOffset);
    map.beginList();
    let taken = true;
    if (memory.length === 0) for (const length of lengths) taken &&= map.takeSegment(ABSENT, 0, length);
    else if (memory.length === lengths.length)
      for (const [i, { page, offset }] of memory.entries()) taken &&= map.takeSegment(page, offset, lengths[i]!);
    else {
      let left = total;
      for (const [i, { page, offset }] of memory.entries()) {
        const length = i === memory.length - 1 ? left : Math.min(left, 4096 - offset);
        if (length > 0) taken &&= map.takeSegment(page, offset, length);
        left -= length;
      }
    }
    return taken ? map.begin(cpu, now) : order.goOn(now);
  }

  /** A transfer of a block trace: pages of its own, `pagesPerEntry` in each entry of the list. */
  mapTransfer(cpu: number, now: number): boolean {
    const { replay, map } = this;
    const { lengthBytes, write } = this.#source;
    if (!map.prepare(MAP_KIND.sg, write === 1 ? FROM_DEVICE : TO_DEVICE, lengthBytes)) return replay.order.goOn(now);
    map.beginList();
    const entryBytes = this.pagesPerEntry * 4096;
    let taken = true;
    for (let left = lengthBytes; left > 0 && taken; left -= entryBytes)
      taken = map.takeSegment(ABSENT, 0, Math.min(left, entryBytes));
    return taken ? map.begin(cpu, now) : replay.order.goOn(now);
  }

  /** `unmap`, `unmapSg`, `free` and `ioEnd`: what its partner mapped. */
  unmapOne(cpu: number, now: number): boolean {
    const { replay } = this;
    const { partner } = this.#source;
    const slot = partner === ABSENT ? NO_SLOT : replay.calls.ofEvent(partner);
    if (slot === NO_SLOT) replay.tally.skip('unmatchedUnmaps');
    else {
      this.takeBack(slot, cpu, now);
      replay.operations++;
      replay.tally.unmaps++;
    }
    return replay.order.goOn(now);
  }

  /** @returns ps at which the unmap returned */
  takeBack(slot: number, cpu: number, now: number): number {
    const { replay } = this;
    const { calls, simulator, touches } = replay;
    touches.catchUp(slot, now);
    replay.begin(cpu, now);
    const { work } = simulator;
    const started = work.now();
    work.bookIn(replay.sums, PART.unmaps);
    simulator.dma.unmap(calls.mapping[slot]!, simulator.deviceAt(calls.device[slot]!));
    work.bookIn(replay.sums, PART.maps);
    replay.unmapCalls++;
    replay.bytes += calls.lengthBytes[slot]!;
    const end = replay.finish();
    replay.latency.record(Math.floor((end - started) / 1000));
    this.leaveMemory(slot);
    touches.planLate(slot, end);
    calls.end(slot);
    return end;
  }

  private leaveMemory(slot: number): void {
    const { calls, memory } = this.replay;
    const holds = calls.holds[slot]!;
    if (holds !== null) memory.leaveAll(holds);
    else memory.leave(calls.holdFirst[slot]!, calls.holdCount[slot]!, calls.holdOwn[slot] === 1);
  }

  sync(cpu: number, now: number): boolean {
    const { replay } = this;
    const { simulator, calls, order } = replay;
    const source = this.#source;
    const { kind, detail } = source;
    let { iovaPage, iovaOffset, lengthBytes } = source;
    const { domain } = replay.deviceFor(source.device);
    if (kind === RECORDED.syncSg && order.position + 1 < source.count) {
      source.load(order.position + 1);
      if (source.kind === RECORDED.segment) ({ iovaPage, iovaOffset, lengthBytes } = source);
      source.load(order.position);
    }
    const slot = iovaPage < 0 || domain === null ? NO_SLOT : calls.slotAt(domain.index, iovaPage);
    if (slot === NO_SLOT || calls.mapping[slot]! < 0) replay.tally.skip('unmatchedSyncs');
    else {
      const whole = calls.lengthBytes[slot]!;
      const offset = kind === RECORDED.syncSg ? 0 : Math.max(0, iovaOffset - calls.offset[slot]!);
      const bytes = kind === RECORDED.syncSg ? whole : Math.min(Math.max(0, lengthBytes), Math.max(0, whole - offset));
      replay.begin(cpu, now);
      simulator.counters.syncCalls++;
      simulator.dma.sync(calls.mapping[slot]!, detail === 1, offset, bytes);
      replay.finish();
    }
    return order.goOn(now);
  }

  tearDown(): void {
    const { calls, simulator } = this.replay;
    for (const slot of [...calls.live()]) {
      simulator.dma.unmap(calls.mapping[slot]!, simulator.deviceAt(calls.device[slot]!));
      this.leaveMemory(slot);
      calls.end(slot);
    }
  }
}

/** As the core's directions are numbered; what a line does not say or calls NONE is for both. */
function directionOf(recorded: number): number {
  if (recorded === KERNEL_DIRECTION.toDevice) return TO_DEVICE;
  if (recorded === KERNEL_DIRECTION.fromDevice) return FROM_DEVICE;
  return BIDIRECTIONAL;
}

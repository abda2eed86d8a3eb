/** Bytes that the kernel copies or clears: counted, and booked to the row `copy`. */
import type { Costs } from '../../meter/cost-profile.ts';
import type { Counters } from '../../meter/counters.ts';
import { ROW, type Work } from '../../meter/work.ts';
import type { Mappings } from '../mappings.ts';

const TO_DEVICE = 0;
const FROM_DEVICE = 1;

export class Copies {
  private readonly work: Work;
  private readonly costs: Costs;
  private readonly counters: Counters;
  private readonly mappings: Mappings;

  constructor(parts: { work: Work; costs: Costs; counters: Counters; mappings: Mappings }) {
    this.work = parts.work;
    this.costs = parts.costs;
    this.counters = parts.counters;
    this.mappings = parts.mappings;
  }

  copy(lengthBytes: number): void {
    this.counters.bytesCopied += lengthBytes;
    this.work.add(ROW.copy, this.costs.copyFixed + lengthBytes * this.costs.copyByte);
  }

  zero(lengthBytes: number): void {
    this.counters.bytesZeroed += lengthBytes;
    this.work.add(ROW.copy, lengthBytes * this.costs.zeroByte);
  }

  /** What a map copies for the device to find. */
  in(direction: number, lengthBytes: number): void {
    if (direction !== FROM_DEVICE) this.copy(lengthBytes);
  }

  /** What an unmap copies for the CPU to find. */
  out(direction: number, lengthBytes: number): void {
    if (direction !== TO_DEVICE) this.copy(lengthBytes);
  }

  /**
   * A sync of a mapping whose memory is copied, each way that its direction has; one copy for each segment that it meets. What lies
   * outside the mapped bytes is cut off, as the kernel does with a warning.
   */
  sync(slot: number, forDevice: boolean, offsetBytes: number, lengthBytes: number): void {
    const { mappings } = this;
    const direction = mappings.direction[slot]!;
    if (direction === (forDevice ? FROM_DEVICE : TO_DEVICE)) return;
    const end = offsetBytes + lengthBytes;
    const list = mappings.frame[slot] === -1 ? mappings.segments[slot] : null;
    if (!list) {
      const bytes = Math.min(end, mappings.lengthBytes[slot]!) - offsetBytes;
      if (bytes > 0) this.copy(bytes);
      return;
    }
    let start = 0;
    for (const segment of list) {
      const bytes = Math.min(end, start + segment.lengthBytes) - Math.max(offsetBytes, start);
      if (bytes > 0 && segment.held >= 0) this.copy(bytes);
      start += segment.lengthBytes;
    }
  }
}

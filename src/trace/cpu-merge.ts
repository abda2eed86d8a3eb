/**
 * Events of several CPUs, each with a clock of its own, in one order: those of each CPU by time, the CPUs merged by time, and what has
 * equal times in the order of the recording. That is a stable sort by time, and it is done within a window: so many events are held back,
 * and the earliest goes on its way when one more comes. An event that is later than that is passed on as it comes, and counted in `late`.
 *
 * It brings in order what was written out of order. Two clocks that differ it does not reconcile: nothing in a recording says by how
 * much. The order on one CPU, by which lines of one call are told, stays as it is unless that CPU's own clock stepped back.
 */
import type { RecordedEvent } from './event.ts';
import type { Joiner } from './join.ts';
import { RangeList } from './range-list.ts';

interface Held {
  event: RecordedEvent;
  /** Five numbers for each range, or null. */
  ranges: Float64Array | null;
  /** In the recording. */
  arrival: number;
}

export class CpuMerge {
  private readonly window: number;
  private readonly joiner: Joiner;
  /** A heap: the earliest first, then the one that came first. */
  private readonly heap: Held[] = [];
  private spare: Held | null = null;
  private readonly ranges = new RangeList();
  private arrivals = 0;
  private latestNs = Number.NEGATIVE_INFINITY;
  late = 0;

  /** @param window events that are held back */
  constructor(window: number, joiner: Joiner) {
    this.window = window;
    this.joiner = joiner;
  }

  event(event: RecordedEvent, ranges: RangeList): void {
    const { spare } = this;
    this.spare = null;
    const held = spare ?? { event: { ...event }, ranges: null, arrival: 0 };
    if (spare !== null) Object.assign(held.event, event);
    held.ranges = packed(ranges);
    held.arrival = this.arrivals++;
    this.push(held);
    if (this.heap.length > this.window) this.pass(this.pop());
  }

  end(): void {
    while (this.heap.length > 0) this.pass(this.pop());
  }

  private pass(held: Held): void {
    const { event, ranges } = held;
    if (event.timeNs < this.latestNs) this.late++;
    else this.latestNs = event.timeNs;
    unpack(ranges, this.ranges);
    this.joiner.event(event, this.ranges);
    this.spare = held;
  }

  private push(held: Held): void {
    const { heap } = this;
    let at = heap.length;
    heap.push(held);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (isBefore(heap[above]!, held)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = held;
  }

  private pop(): Held {
    const { heap } = this;
    const first = heap[0]!;
    const last = heap.pop()!;
    const size = heap.length;
    if (size === 0) return first;
    let at = 0;
    for (;;) {
      let below = at * 2 + 1;
      if (below >= size) break;
      if (below + 1 < size && isBefore(heap[below + 1]!, heap[below]!)) below++;
      if (isBefore(last, heap[below]!)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Held, b: Held): boolean {
  const ns = a.event.timeNs - b.event.timeNs;
  if (ns !== 0) return ns < 0;
  const ps = a.event.timePs - b.event.timePs;
  return ps === 0 ? a.arrival < b.arrival : ps < 0;
}

function packed({
  count,
  iovaPage,
  iovaOffset,
  lengthBytes,
  physicalPage,
  physicalOffset,
}: RangeList): Float64Array | null {
  if (count === 0) return null;
  const numbers = new Float64Array(count * 5);
  [iovaPage, iovaOffset, lengthBytes, physicalPage, physicalOffset].forEach((column, i) => {
    numbers.set(column.subarray(0, count), i * count);
  });
  return numbers;
}

function unpack(numbers: Float64Array | null, into: RangeList): void {
  const count = numbers === null ? 0 : numbers.length / 5;
  into.count = count;
  if (numbers === null) return;
  const { iovaPage, iovaOffset, lengthBytes, physicalPage, physicalOffset } = into;
  [iovaPage, iovaOffset, lengthBytes, physicalPage, physicalOffset].forEach((column, i) => {
    column.set(numbers.subarray(i * count, (i + 1) * count));
  });
}

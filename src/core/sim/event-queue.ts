/**
 * What is due, in order: by time, equal times in the order in which they were armed.
 *
 * The soonest few are kept sorted, the others in a binary heap. Traffic arms two events a packet that are due within a microsecond,
 * while superseded timers of a policy wait by the dozen: sifting past those is branches that nobody can predict.
 *
 *     near: latest ... soonest   <=   heap
 */
import type { DigestSink } from './digest-sink.ts';

/** Events kept sorted. */
const NEAR = 8;
// Columns of an event, interleaved.
const WIDTH = 4;
const TIME = 0;
const ORDER = 1;
const KIND = 2;
const ARGUMENT = 3;

export class EventQueue {
  /** [place * WIDTH + column]: the soonest, in falling order, the next one last. None is due after one of the heap. */
  private readonly near = new Float64Array(NEAR * WIDTH);
  private nearCount = 0;
  /** [node * WIDTH + column]: ps after the clock's base; number of the arming; what to do, `EVENT` of the simulator; its argument. */
  private heap = new Float64Array(64 * WIDTH);
  private heapCount = 0;
  private armed = 0;

  /** Of the event taken last. */
  takenTime = 0;
  takenKind = 0;
  takenArgument = 0;

  get size(): number {
    return this.nearCount + this.heapCount;
  }

  /** @param time ps after the clock's base */
  arm(time: number, kind: number, argument: number): void {
    const { near } = this;
    const order = this.armed++;
    if ((this.heapCount > 0 && time >= this.heap[TIME]!) || (this.nearCount === NEAR && !this.makeRoom(time))) {
      this.push(time, order, kind, argument);
      return;
    }
    let at = this.nearCount++ * WIDTH;
    // Equal times stay in front: they were armed earlier.
    for (; at > 0 && near[at - WIDTH + TIME]! <= time; at -= WIDTH)
      for (let column = at; column < at + WIDTH; column++) near[column] = near[column - WIDTH]!;
    near[at + TIME] = time;
    near[at + ORDER] = order;
    near[at + KIND] = kind;
    near[at + ARGUMENT] = argument;
  }

  /** @returns whether an event of that time belongs to the soonest, the latest of which has then gone to the heap */
  private makeRoom(time: number): boolean {
    const { near } = this;
    if (time >= near[TIME]!) return false;
    this.push(near[TIME]!, near[ORDER]!, near[KIND]!, near[ARGUMENT]!);
    near.copyWithin(0, WIDTH);
    this.nearCount--;
    return true;
  }

  /** Time of the next event, Infinity when there is none. */
  nextTime(): number {
    if (this.nearCount > 0) return this.near[(this.nearCount - 1) * WIDTH + TIME]!;
    return this.heapCount > 0 ? this.heap[TIME]! : Number.POSITIVE_INFINITY;
  }

  /** Removes the next event into `taken*`. There must be one. */
  take(): void {
    if (this.nearCount === 0) {
      this.pop();
      return;
    }
    const { near } = this;
    const at = --this.nearCount * WIDTH;
    this.takenTime = near[at + TIME]!;
    this.takenKind = near[at + KIND]!;
    this.takenArgument = near[at + ARGUMENT]!;
  }

  private push(time: number, order: number, kind: number, argument: number): void {
    if ((this.heapCount + 1) * WIDTH > this.heap.length) this.grow();
    const { heap } = this;
    let node = this.heapCount++;
    while (node > 0) {
      const parent = (node - 1) >> 1;
      const parentTime = heap[parent * WIDTH + TIME]!;
      if (parentTime < time || (parentTime === time && heap[parent * WIDTH + ORDER]! < order)) break;
      this.copy(parent, node);
      node = parent;
    }
    heap[node * WIDTH + TIME] = time;
    heap[node * WIDTH + ORDER] = order;
    heap[node * WIDTH + KIND] = kind;
    heap[node * WIDTH + ARGUMENT] = argument;
  }

  private pop(): void {
    const { heap } = this;
    this.takenTime = heap[TIME]!;
    this.takenKind = heap[KIND]!;
    this.takenArgument = heap[ARGUMENT]!;
    const last = --this.heapCount;
    if (last === 0) return;
    let node = 0;
    for (;;) {
      let child = 2 * node + 1;
      if (child >= last) break;
      if (child + 1 < last && this.before(child + 1, child)) child++;
      if (this.before(last, child)) break;
      this.copy(child, node);
      node = child;
    }
    this.copy(last, node);
  }

  private copy(from: number, to: number): void {
    const { heap } = this;
    for (let column = 0; column < WIDTH; column++) heap[to * WIDTH + column] = heap[from * WIDTH + column]!;
  }

  private before(a: number, b: number): boolean {
    const { heap } = this;
    const aTime = heap[a * WIDTH + TIME]!;
    const bTime = heap[b * WIDTH + TIME]!;
    return aTime < bTime || (aTime === bTime && heap[a * WIDTH + ORDER]! < heap[b * WIDTH + ORDER]!);
  }

  /** All events, the soonest first. */
  private sorted(): Float64Array[] {
    const { near, heap } = this;
    const events: Float64Array[] = [];
    for (let at = 0; at < this.nearCount; at++) events.push(near.slice(at * WIDTH, (at + 1) * WIDTH));
    for (let at = 0; at < this.heapCount; at++) events.push(heap.slice(at * WIDTH, (at + 1) * WIDTH));
    return events.sort((a, b) => a[TIME]! - b[TIME]! || a[ORDER]! - b[ORDER]!);
  }

  /** Drops every event for which `drop(kind, argument)` holds; the order of the others stays. */
  discard(drop: (kind: number, argument: number) => boolean): void {
    const kept = this.sorted().filter((event) => !drop(event[KIND]!, event[ARGUMENT]!));
    while (this.heap.length < kept.length * WIDTH) this.grow();
    // A sorted array is a heap.
    kept.forEach((event, at) => {
      this.heap.set(event, at * WIDTH);
    });
    this.heapCount = kept.length;
    this.nearCount = 0;
  }

  rebase(ps: number): void {
    for (let at = 0; at < this.nearCount; at++) this.near[at * WIDTH + TIME]! -= ps;
    for (let at = 0; at < this.heapCount; at++) this.heap[at * WIDTH + TIME]! -= ps;
  }

  /** What is due and when: where an event is kept does not show. */
  digest(sink: DigestSink, baseNs: number): void {
    sink.number(baseNs);
    sink.number(this.size);
    for (const event of this.sorted()) {
      sink.number(event[TIME]!);
      sink.number(event[KIND]!);
      sink.number(event[ARGUMENT]!);
    }
  }

  private grow(): void {
    const grown = new Float64Array(this.heap.length * 2);
    grown.set(this.heap);
    this.heap = grown;
  }
}

/**
 * What is due, in order: by time, equal times in the order in which they were armed.
 *
 * The soonest few are kept sorted, the others in a binary heap. Traffic arms two events a packet that are due within a microsecond,
 * while superseded timers of a policy wait by the dozen: sifting past those is branches that nobody can predict. When none of the soonest
 * is left, some move up from the heap, so that what is armed from then on goes past the timers again.
 *
 *     near: soonest ... latest   <=   heap
 *
 * Numbers in columns and no list of objects: those stay young, as a simulation makes no others, and each link to a young object is
 * written down for the collector.
 */
import type { DigestSink } from './digest-sink.ts';

/** Events kept sorted, a power of two, and how many of them move up from the heap when none is left. */
const NEAR = 8;
const REFILL = 4;
// Columns of an event, interleaved. Only the heap has ORDER: of equal times the sorted ones stand in order, and before all in the heap.
const WIDTH = 4;
const TIME = 0;
const KIND = 1;
const ARGUMENT = 2;
const ORDER = 3;
/** The last place of the sorted ones; the first one follows it. */
const LAST = (NEAR - 1) * WIDTH;

export class EventQueue {
  /** A ring of `nearCount` events from the place `soonest` on: ps after the clock's base; what to do, `EVENT` of the simulator; its argument. */
  private readonly near = new Float64Array(NEAR * WIDTH);
  private soonest = 0;
  private nearCount = 0;
  /** [node * WIDTH + column]: as the others, and which comes first of equal times. */
  private heap = new Float64Array(64 * WIDTH);
  private heapCount = 0;
  /** Time of the first one in the heap, Infinity without one. */
  private heapTime = Number.POSITIVE_INFINITY;
  /** Orders that were given to events which came to the heap behind all others of their time, and before all others. */
  private ordersBehind = 0;
  private ordersBefore = 0;

  /** Of the event taken last. */
  takenTime = 0;
  takenKind = 0;
  takenArgument = 0;

  get size(): number {
    return this.nearCount + this.heapCount;
  }

  /** @param time ps after the clock's base */
  arm(time: number, kind: number, argument: number): void {
    if (time >= this.heapTime || (this.nearCount === NEAR && !this.makeRoom(time))) {
      this.push(time, ++this.ordersBehind, kind, argument);
      return;
    }
    const { near } = this;
    let left = this.nearCount++;
    let at = (this.soonest + left * WIDTH) & (NEAR * WIDTH - 1);
    // Equal times stay in front: they were armed earlier.
    for (; left > 0; left--) {
      const sooner = at === 0 ? LAST : at - WIDTH;
      if (near[sooner + TIME]! <= time) break;
      near[at + TIME] = near[sooner + TIME]!;
      near[at + KIND] = near[sooner + KIND]!;
      near[at + ARGUMENT] = near[sooner + ARGUMENT]!;
      at = sooner;
    }
    near[at + TIME] = time;
    near[at + KIND] = kind;
    near[at + ARGUMENT] = argument;
  }

  /** @returns whether an event of that time belongs to the soonest, the latest of which has then gone to the heap */
  private makeRoom(time: number): boolean {
    const { near } = this;
    const at = this.placeOf(NEAR - 1);
    if (time >= near[at + TIME]!) return false;
    this.push(near[at + TIME]!, --this.ordersBefore, near[at + KIND]!, near[at + ARGUMENT]!);
    this.nearCount--;
    return true;
  }

  /** @param n counted from the soonest */
  private placeOf(n: number): number {
    return (this.soonest + n * WIDTH) & (NEAR * WIDTH - 1);
  }

  /** Time of the next event, Infinity when there is none. */
  nextTime(): number {
    if (this.nearCount === 0) {
      if (this.heapCount === 0) return Number.POSITIVE_INFINITY;
      this.refill();
    }
    return this.near[this.soonest + TIME]!;
  }

  /** Of the events of kinds below `kind`; looks at all of them, and leaves no trace. */
  nextTimeBelow(kind: number): number {
    const { near, heap } = this;
    let soonest = Number.POSITIVE_INFINITY;
    for (let n = 0; n < this.nearCount; n++) {
      const at = this.placeOf(n);
      if (near[at + KIND]! < kind && near[at + TIME]! < soonest) soonest = near[at + TIME]!;
    }
    for (let at = 0; at < this.heapCount * WIDTH; at += WIDTH)
      if (heap[at + KIND]! < kind && heap[at + TIME]! < soonest) soonest = heap[at + TIME]!;
    return soonest;
  }

  /** Removes the next event into `taken*`. There must be one. */
  take(): void {
    if (this.nearCount === 0) this.refill();
    const { near, soonest: at } = this;
    this.takenTime = near[at + TIME]!;
    this.takenKind = near[at + KIND]! | 0;
    this.takenArgument = near[at + ARGUMENT]!;
    this.soonest = at === LAST ? 0 : at + WIDTH;
    this.nearCount--;
  }

  /** The next few of the heap become the soonest, which there were none of. */
  private refill(): void {
    const count = this.heapCount < REFILL ? this.heapCount : REFILL;
    for (let n = 0; n < count; n++) this.pop(this.placeOf(n));
    this.nearCount = count;
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
    this.heapTime = heap[TIME]!;
  }

  /** Moves the next event of the heap to a place of `near`. */
  private pop(at: number): void {
    const { heap, near } = this;
    for (let column = 0; column < WIDTH; column++) near[at + column] = heap[column]!;
    this.sift();
    this.heapTime = this.heapCount === 0 ? Number.POSITIVE_INFINITY : heap[TIME]!;
  }

  /** Closes the gap that the first one leaves. */
  private sift(): void {
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
    const waiting: Float64Array[] = [];
    for (let at = 0; at < this.heapCount; at++) waiting.push(heap.slice(at * WIDTH, (at + 1) * WIDTH));
    waiting.sort((a, b) => a[TIME]! - b[TIME]! || a[ORDER]! - b[ORDER]!);
    const first = Array.from({ length: this.nearCount }, (_, n) =>
      near.slice(this.placeOf(n), this.placeOf(n) + WIDTH),
    );
    return [...first, ...waiting];
  }

  /** Drops every event for which `drop(kind, argument)` holds; the order of the others stays. */
  discard(drop: (kind: number, argument: number) => boolean): void {
    const kept = this.sorted().filter((event) => !drop(event[KIND]!, event[ARGUMENT]!));
    while (this.heap.length < kept.length * WIDTH) this.grow();
    // A sorted array is a heap.
    kept.forEach((event, at) => {
      event[ORDER] = ++this.ordersBehind;
      this.heap.set(event, at * WIDTH);
    });
    this.heapCount = kept.length;
    this.heapTime = kept[0]?.[TIME] ?? Number.POSITIVE_INFINITY;
    this.nearCount = 0;
  }

  rebase(ps: number): void {
    for (let n = 0; n < this.nearCount; n++) this.near[this.placeOf(n) + TIME]! -= ps;
    for (let at = 0; at < this.heapCount; at++) this.heap[at * WIDTH + TIME]! -= ps;
    this.heapTime -= ps;
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

/**
 * What is due, in order: by time, equal times in the order in which they were armed.
 *
 * The soonest few are kept sorted, the others in a binary heap. Traffic arms two events a packet that are due within a microsecond,
 * while superseded timers of a policy wait by the dozen: sifting past those is branches that nobody can predict. When none of the soonest
 * is left, some move up from the heap, so that what is armed from then on goes past the timers again.
 *
 *     near: latest ... soonest   <=   heap
 */
import type { DigestSink } from './digest-sink.ts';

/** Events kept sorted, and how many of them move up from the heap when none is left. */
const NEAR = 8;
const REFILL = 4;
// Columns of an event, interleaved.
const WIDTH = 4;
const TIME = 0;
const ORDER = 1;
const KIND = 2;
const ARGUMENT = 3;

export class EventQueue {
  /** [row * WIDTH + column]: the soonest. */
  private readonly near = new Float64Array(NEAR * WIDTH);
  /** [place]: rows, up to `nearCount` in falling order, the next event last; the others are free. None is due after one of the heap. */
  private readonly rows = Int32Array.from({ length: NEAR }, (_, row) => row);
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
    const order = this.armed++;
    if ((this.heapCount > 0 && time >= this.heap[TIME]!) || (this.nearCount === NEAR && !this.makeRoom(time))) {
      this.push(time, order, kind, argument);
      return;
    }
    const { near, rows } = this;
    let place = this.nearCount++;
    const row = rows[place]!;
    // Equal times stay in front: they were armed earlier.
    for (; place > 0; place--) {
      const sooner = rows[place - 1]!;
      if (near[sooner * WIDTH + TIME]! > time) break;
      rows[place] = sooner;
    }
    rows[place] = row;
    const at = row * WIDTH;
    near[at + TIME] = time;
    near[at + ORDER] = order;
    near[at + KIND] = kind;
    near[at + ARGUMENT] = argument;
  }

  /** @returns whether an event of that time belongs to the soonest, the latest of which has then gone to the heap */
  private makeRoom(time: number): boolean {
    const { near, rows } = this;
    const row = rows[0]!;
    const at = row * WIDTH;
    if (time >= near[at + TIME]!) return false;
    this.push(near[at + TIME]!, near[at + ORDER]!, near[at + KIND]!, near[at + ARGUMENT]!);
    rows.copyWithin(0, 1);
    rows[NEAR - 1] = row;
    this.nearCount--;
    return true;
  }

  /** Time of the next event, Infinity when there is none. */
  nextTime(): number {
    if (this.nearCount === 0) {
      if (this.heapCount === 0) return Number.POSITIVE_INFINITY;
      this.refill();
    }
    return this.near[this.rows[this.nearCount - 1]! * WIDTH + TIME]!;
  }

  /** Of the events of kinds below `kind`; looks at all of them, and leaves no trace. */
  nextTimeBelow(kind: number): number {
    const { near, rows, heap } = this;
    let soonest = Number.POSITIVE_INFINITY;
    for (let place = 0; place < this.nearCount; place++) {
      const at = rows[place]! * WIDTH;
      if (near[at + KIND]! < kind && near[at + TIME]! < soonest) soonest = near[at + TIME]!;
    }
    for (let at = 0; at < this.heapCount * WIDTH; at += WIDTH)
      if (heap[at + KIND]! < kind && heap[at + TIME]! < soonest) soonest = heap[at + TIME]!;
    return soonest;
  }

  /** Removes the next event into `taken*`. There must be one. */
  take(): void {
    if (this.nearCount === 0) this.refill();
    const { near } = this;
    const at = this.rows[--this.nearCount]! * WIDTH;
    this.takenTime = near[at + TIME]!;
    this.takenKind = near[at + KIND]! | 0;
    this.takenArgument = near[at + ARGUMENT]!;
  }

  /** The next few of the heap become the soonest, which there were none of. */
  private refill(): void {
    const { near, rows } = this;
    const count = this.heapCount < REFILL ? this.heapCount : REFILL;
    for (let place = count - 1; place >= 0; place--) this.pop(near, rows[place]! * WIDTH);
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
  }

  /** Moves the next event of the heap to a row of `near`. */
  private pop(near: Float64Array, at: number): void {
    const { heap } = this;
    for (let column = 0; column < WIDTH; column++) near[at + column] = heap[column]!;
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
    const { near, rows, heap } = this;
    const events: Float64Array[] = [];
    for (const row of rows.subarray(0, this.nearCount)) events.push(near.slice(row * WIDTH, (row + 1) * WIDTH));
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
    for (const row of this.rows.subarray(0, this.nearCount)) this.near[row * WIDTH + TIME]! -= ps;
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

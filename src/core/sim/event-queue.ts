/**
 * What is due, in order: by time, equal times in the order in which they were armed.
 *
 * The soonest few are a sorted list, the others a binary heap. Traffic arms two events a packet that are due within a microsecond,
 * while superseded timers of a policy wait by the dozen: sifting past those is branches that nobody can predict. When none of the soonest
 * is left, some move up from the heap, so that what is armed from then on goes past the timers again.
 *
 *     soonest -> ... -> latest   <=   heap
 *
 * The list is of objects, made once: a field is an instruction or two, an element of a column eight.
 */
import type { DigestSink } from './digest-sink.ts';

/** Events in the list, and how many of them move up from the heap when none is left. */
const NEAR = 8;
const REFILL = 4;
// Columns of an event in the heap, interleaved.
const WIDTH = 4;
const TIME = 0;
const ORDER = 1;
const KIND = 2;
const ARGUMENT = 3;

/** One of the soonest, or a spare one, of which only `later` counts: the next spare one. */
export class NearEvent {
  /** ps after the clock's base. */
  time = 0;
  /** Number of the arming. */
  order = 0;
  /** What to do, `EVENT` of the simulator; its argument. */
  kind = 0;
  argument = 0;
  sooner: NearEvent | null = null;
  later: NearEvent | null = null;
}

export class EventQueue {
  private soonest: NearEvent | null = null;
  private latest: NearEvent | null = null;
  private spare: NearEvent | null = null;
  private nearCount = 0;
  /** [node * WIDTH + column]: as in `NearEvent`. None is due before one of the soonest. */
  private heap = new Float64Array(64 * WIDTH);
  private heapCount = 0;
  /** Time of the first one in the heap, Infinity without one. */
  private heapTime = Number.POSITIVE_INFINITY;
  private armed = 0;

  /** Of the event taken last. */
  takenTime = 0;
  takenKind = 0;
  takenArgument = 0;

  constructor() {
    for (let i = 0; i < NEAR; i++) this.free(new NearEvent());
  }

  get size(): number {
    return this.nearCount + this.heapCount;
  }

  /** @param time ps after the clock's base */
  arm(time: number, kind: number, argument: number): void {
    const order = this.armed++;
    if (time >= this.heapTime || (this.nearCount === NEAR && !this.makeRoom(time))) {
      this.push(time, order, kind, argument);
      return;
    }
    const event = this.takeSpare();
    event.time = time;
    event.order = order;
    event.kind = kind;
    event.argument = argument;
    // Equal times stay in front: they were armed earlier.
    let sooner = this.latest;
    let later: NearEvent | null = null;
    while (sooner !== null && sooner.time > time) {
      later = sooner;
      sooner = sooner.sooner;
    }
    this.link(event, sooner, later);
  }

  private takeSpare(): NearEvent {
    const event = this.spare!;
    this.spare = event.later;
    this.nearCount++;
    return event;
  }

  private free(event: NearEvent): void {
    event.later = this.spare;
    this.spare = event;
  }

  private link(event: NearEvent, sooner: NearEvent | null, later: NearEvent | null): void {
    event.sooner = sooner;
    event.later = later;
    if (sooner === null) this.soonest = event;
    else sooner.later = event;
    if (later === null) this.latest = event;
    else later.sooner = event;
  }

  /** @returns whether an event of that time belongs to the soonest, the latest of which has then gone to the heap */
  private makeRoom(time: number): boolean {
    const event = this.latest!;
    if (time >= event.time) return false;
    this.push(event.time, event.order, event.kind, event.argument);
    this.latest = event.sooner;
    this.latest!.later = null;
    this.nearCount--;
    this.free(event);
    return true;
  }

  /** Time of the next event, Infinity when there is none. */
  nextTime(): number {
    if (this.soonest === null) {
      if (this.heapCount === 0) return Number.POSITIVE_INFINITY;
      this.refill();
    }
    return this.soonest!.time;
  }

  /** Of the events of kinds below `kind`; looks at all of them, and leaves no trace. */
  nextTimeBelow(kind: number): number {
    const { heap } = this;
    let soonest = Number.POSITIVE_INFINITY;
    for (let event = this.soonest; event !== null; event = event.later)
      if (event.kind < kind && event.time < soonest) soonest = event.time;
    for (let at = 0; at < this.heapCount * WIDTH; at += WIDTH)
      if (heap[at + KIND]! < kind && heap[at + TIME]! < soonest) soonest = heap[at + TIME]!;
    return soonest;
  }

  /** Removes the next event into `taken*`. There must be one. */
  take(): void {
    if (this.soonest === null) this.refill();
    const event = this.soonest!;
    const { later } = event;
    this.soonest = later;
    if (later === null) this.latest = null;
    else later.sooner = null;
    this.nearCount--;
    this.takenTime = event.time;
    this.takenKind = event.kind;
    this.takenArgument = event.argument;
    this.free(event);
  }

  /** The next few of the heap become the soonest, which there were none of. */
  private refill(): void {
    for (let left = this.heapCount < REFILL ? this.heapCount : REFILL; left > 0; left--) {
      const event = this.takeSpare();
      this.pop(event);
      this.link(event, this.latest, null);
    }
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

  /** Moves the next event of the heap. */
  private pop(event: NearEvent): void {
    const { heap } = this;
    event.time = heap[TIME]!;
    event.order = heap[ORDER]!;
    event.kind = heap[KIND]!;
    event.argument = heap[ARGUMENT]!;
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

  /** All events, the soonest first: columns as in the heap. */
  private sorted(): Float64Array[] {
    const { heap } = this;
    const events: Float64Array[] = [];
    for (let event = this.soonest; event !== null; event = event.later)
      events.push(Float64Array.of(event.time, event.order, event.kind, event.argument));
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
    this.heapTime = kept[0]?.[TIME] ?? Number.POSITIVE_INFINITY;
    while (this.soonest !== null) {
      const { later } = this.soonest;
      this.free(this.soonest);
      this.soonest = later;
    }
    this.latest = null;
    this.nearCount = 0;
  }

  rebase(ps: number): void {
    for (let event = this.soonest; event !== null; event = event.later) event.time -= ps;
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

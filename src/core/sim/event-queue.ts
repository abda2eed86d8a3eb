/**
 * What is due, in order: by time, equal times in the order in which they were armed. A binary heap in columns.
 */
import type { DigestSink } from './digest-sink.ts';

export class EventQueue {
  private time = new Float64Array(64);
  private order = new Float64Array(64);
  /** What to do, `EventKind` of the simulator. */
  private kind = new Int32Array(64);
  private argument = new Float64Array(64);
  private armed = 0;
  size = 0;

  /** Of the event taken last. */
  takenTime = 0;
  takenKind = 0;
  takenArgument = 0;

  /** @param time ps after the clock's base */
  arm(time: number, kind: number, argument: number): void {
    if (this.size === this.time.length) this.grow();
    const { time: times, order, kind: kinds, argument: argumentsOf } = this;
    const sequence = this.armed++;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      // Equal times keep the parent in front: it was armed earlier.
      if (times[parent]! <= time) break;
      times[at] = times[parent]!;
      order[at] = order[parent]!;
      kinds[at] = kinds[parent]!;
      argumentsOf[at] = argumentsOf[parent]!;
      at = parent;
    }
    times[at] = time;
    order[at] = sequence;
    kinds[at] = kind;
    argumentsOf[at] = argument;
  }

  /** Time of the next event, Infinity when there is none. */
  nextTime(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : this.time[0]!;
  }

  /** Removes the next event into `taken*`. There must be one. */
  take(): void {
    const { time, order, kind, argument } = this;
    this.takenTime = time[0]!;
    this.takenKind = kind[0]!;
    this.takenArgument = argument[0]!;
    const last = --this.size;
    if (last === 0) return;
    const lastTime = time[last]!;
    const lastOrder = order[last]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= last) break;
      const right = child + 1;
      if (
        right < last &&
        (time[right]! < time[child]! || (time[right]! === time[child]! && order[right]! < order[child]!))
      )
        child = right;
      if (time[child]! > lastTime || (time[child]! === lastTime && order[child]! > lastOrder)) break;
      time[at] = time[child]!;
      order[at] = order[child]!;
      kind[at] = kind[child]!;
      argument[at] = argument[child]!;
      at = child;
    }
    time[at] = lastTime;
    order[at] = lastOrder;
    kind[at] = kind[last]!;
    argument[at] = argument[last]!;
  }

  /** Drops every event for which `drop(kind, argument)` holds; the order of the others stays. */
  discard(drop: (kind: number, argument: number) => boolean): void {
    const kept: [number, number, number, number][] = [];
    for (let i = 0; i < this.size; i++)
      if (!drop(this.kind[i]!, this.argument[i]!))
        kept.push([this.time[i]!, this.order[i]!, this.kind[i]!, this.argument[i]!]);
    kept.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    // A sorted array is a heap.
    kept.forEach(([time, order, kind, argument], i) => {
      this.time[i] = time;
      this.order[i] = order;
      this.kind[i] = kind;
      this.argument[i] = argument;
    });
    this.size = kept.length;
  }

  rebase(ps: number): void {
    for (let i = 0; i < this.size; i++) this.time[i]! -= ps;
  }

  digest(sink: DigestSink, baseNs: number): void {
    sink.number(baseNs);
    sink.number(this.size);
    sink.column(this.time, this.size);
    sink.column(this.kind, this.size);
    sink.column(this.argument, this.size);
  }

  private grow(): void {
    const length = this.time.length * 2;
    const time = new Float64Array(length);
    time.set(this.time);
    this.time = time;
    const order = new Float64Array(length);
    order.set(this.order);
    this.order = order;
    const kind = new Int32Array(length);
    kind.set(this.kind);
    this.kind = kind;
    const argument = new Float64Array(length);
    argument.set(this.argument);
    this.argument = argument;
  }
}

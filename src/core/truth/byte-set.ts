/** A set of the bytes of one page, as disjoint stretches in rising order. */
import type { DigestSink } from '../sim/digest-sink.ts';

export class ByteSet {
  /** start, end, start, end, ...: ends exclusive, no two stretches touch. */
  private stretches: number[] = [];
  size = 0;

  /** Adds bytes [start, end), those that are in already but once. */
  add(start: number, end: number): void {
    if (start >= end) return;
    this.remove(start, end);
    const joined: number[] = [];
    let from = start;
    let to = end;
    for (let i = 0; i < this.stretches.length; i += 2) {
      const first = this.stretches[i]!;
      const last = this.stretches[i + 1]!;
      if (last === from) from = first;
      else if (first === to) to = last;
      else joined.push(first, last);
    }
    let at = 0;
    while (at < joined.length && joined[at]! < from) at += 2;
    joined.splice(at, 0, from, to);
    this.stretches = joined;
    this.size += end - start;
  }

  /** Takes bytes [start, end) out, as far as they are in. */
  remove(start: number, end: number): void {
    const left: number[] = [];
    let size = 0;
    for (let i = 0; i < this.stretches.length; i += 2) {
      const first = this.stretches[i]!;
      const last = this.stretches[i + 1]!;
      if (first < start) left.push(first, Math.min(last, start));
      if (last > end) left.push(Math.max(first, end), last);
    }
    for (let i = 0; i < left.length; i += 2) size += left[i + 1]! - left[i]!;
    this.stretches = left;
    this.size = size;
  }

  clear(): void {
    this.stretches = [];
    this.size = 0;
  }

  digest(sink: DigestSink): void {
    for (const edge of this.stretches) sink.number(edge);
  }
}

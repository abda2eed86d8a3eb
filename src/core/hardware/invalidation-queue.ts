/**
 * The ring of descriptors between driver and chip, and the hardware that works it off, one submission after the other.
 *
 * Source: Intel VT-d specification, queued invalidation; Linux `drivers/iommu/intel/dmar.c`, `qi_submit_sync`: 256 descriptors, room
 * asked for the commands, their wait descriptor and one to spare; a submitter's places are free when it has seen its wait complete.
 * Departs: places are free by submission, whether or not one before them is still waited for.
 */
import { BusyTimes } from '../sim/busy-times.ts';
import type { DigestSink } from '../sim/digest-sink.ts';

export const QUEUE_DESCRIPTORS = 256;
/** A submission takes two places at least. */
const MAX_SUBMISSIONS = QUEUE_DESCRIPTORS;

export class InvalidationQueue {
  /** Next descriptor to write, 0 to 255. */
  tail = 0;
  /** When the hardware works on it. */
  readonly hardware = new BusyTimes();

  /** Whether the ring can be full at all, with as many submitters as there are and what they submit at most. */
  declare private readonly canFill: boolean;
  /** [submission]: ps after the clock's base at which it was written and its places were free again; how many. A ring, newest last. */
  declare private readonly from: Float64Array;
  declare private readonly until: Float64Array;
  declare private readonly places: Int32Array;
  private next = 0;

  /** @param submitters CPUs that use it; @param commands the most of one submission */
  constructor(submitters: number, commands: number) {
    this.canFill = (submitters - 1) * (commands + 1) + commands + 2 > QUEUE_DESCRIPTORS;
    const kept = this.canFill ? MAX_SUBMISSIONS : 0;
    this.from = new Float64Array(kept);
    this.until = new Float64Array(kept);
    this.places = new Int32Array(kept);
  }

  /** Writes commands and their wait descriptor. */
  write(commands: number): void {
    this.tail = (this.tail + commands + 1) & (QUEUE_DESCRIPTORS - 1);
  }

  /** @returns the first moment from `at` on at which so many commands and their wait descriptor have room */
  roomFrom(at: number, commands: number): number {
    if (!this.canFill) return at;
    let moment = at;
    for (;;) {
      let taken = 0;
      let earliest = Number.POSITIVE_INFINITY;
      for (let i = 0; i < MAX_SUBMISSIONS; i++) {
        if (this.from[i]! > moment || this.until[i]! <= moment) continue;
        taken += this.places[i]!;
        if (this.until[i]! < earliest) earliest = this.until[i]!;
      }
      if (QUEUE_DESCRIPTORS - taken >= commands + 2) return moment;
      moment = earliest;
    }
  }

  /** A submission was written at `from` and its places are free at `until`. */
  occupy(from: number, until: number, commands: number): void {
    if (!this.canFill) return;
    const at = this.next;
    this.from[at] = from;
    this.until[at] = until;
    this.places[at] = commands + 1;
    this.next = (at + 1) & (MAX_SUBMISSIONS - 1);
  }

  rebase(ps: number): void {
    this.hardware.rebase(ps);
    for (let i = 0; i < this.from.length; i++) {
      this.from[i]! -= ps;
      this.until[i]! -= ps;
    }
  }

  digest(sink: DigestSink): void {
    sink.number(this.tail);
    this.hardware.digest(sink);
    sink.number(this.next);
    sink.column(this.from, this.from.length);
    sink.column(this.until, this.until.length);
    sink.column(this.places, this.places.length);
  }
}

/**
 * The sums of exposure windows: one row of numbers for each kind of each account, all rows in one array.
 *
 * An account is a workload's, since its run began, or the session's own (interactive unmaps, and what earlier runs booked). A window
 * is booked when it closes. One array instead of objects in objects, because what a packet costs is the code it runs through: of the
 * 64 KiB that a packet took, more than the processor's instruction cache holds, windows had ten.
 */

import * as histogramConstants from '../meter/histogram.ts';
import { Histogram } from '../meter/histogram.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import { growFloat64 } from '../sim/growable.ts';

/** Constants and functions of this module are folded by V8, imported ones are loaded and checked each time. */
const { BUCKETS, bucketOf } = histogramConstants;

export const KIND = { potential: 0, actual: 1 } as const;
/** Workload number of everything that no workload did; as an account, the session's own. */
export const SESSION = -1;

// Columns of a row. Windows open now, the most at once, and the most since `mark`: in the session's rows, of all accounts together.
const CURRENT = 0;
const PEAK = 1;
const PEAK_SINCE_MARK = 2;
const OPENED = 3;
/** Of closed windows: longest in ps; shortest and sum in ns, rounded down. */
const LONGEST_PS = 4;
const SHORTEST_NS = 5;
const SUM_NS = 6;
/** Of closed windows: their ps, and bytes x ps, each in two limbs (`LIMB`). */
const PAGE_PS = 7;
const BYTE_PS = 9;
/** Closed windows by length in ns, buckets as in `Histogram`. */
const BUCKET = 11;
const ROW = BUCKET + BUCKETS;
/** The low limb is carried at 2^50. */
const LIMB = 2 ** 50;
/** What a limb takes in one step. */
const EXACT = 2 ** 52;
/** ps: of a shorter window the ns are below 2^31, and its at most 4,096 bytes x ps below EXACT. */
const LONG_PS = 2 ** 40;

/** What does not fit the limbs, exact: windows of more than 2^52 byte-ps, those that were only counted, and time before the run. */
interface Beyond {
  pagePs: bigint;
  bytePs: bigint;
}
const none = (): Beyond => ({ pagePs: 0n, bytePs: 0n });

export class ExposureLedger {
  /** [(account + 1) * 2 + kind, times ROW, + column] */
  private rows = new Float64Array(2 * ROW);
  /** [(account + 1) * 2 + kind] */
  private readonly huge: Beyond[] = [];
  private readonly beforeRun: Beyond[] = [];

  constructor() {
    this.open(SESSION);
  }

  private rowOf(account: number, kind: number): number {
    return ((account + 1) * 2 + kind) * ROW;
  }

  /** Opens an account. */
  open(account: number): void {
    const rows = (account + 2) * 2;
    if (rows * ROW > this.rows.length) this.rows = growFloat64(this.rows, rows * ROW);
    while (this.huge.length < rows) {
      this.rows[this.huge.length * ROW + SHORTEST_NS] = Number.POSITIVE_INFINITY;
      this.huge.push(none());
      this.beforeRun.push(none());
    }
  }

  get accounts(): number {
    return this.huge.length / 2 - 1;
  }

  /** A window opens. */
  rise(account: number, kind: number): void {
    this.climb(kind * ROW);
    const row = this.rowOf(account, kind);
    if (account >= 0) this.climb(row);
    this.rows[row + OPENED]!++;
  }

  private climb(row: number): void {
    const { rows } = this;
    const current = rows[row + CURRENT]! + 1;
    rows[row + CURRENT] = current;
    if (current <= rows[row + PEAK_SINCE_MARK]!) return;
    rows[row + PEAK_SINCE_MARK] = current;
    if (current > rows[row + PEAK]!) rows[row + PEAK] = current;
  }

  /** A window closes. */
  fall(account: number, kind: number, bytes: number, lengthPs: number): void {
    const { rows } = this;
    const row = this.rowOf(account, kind);
    rows[kind * ROW + CURRENT]!--;
    if (account >= 0) rows[row + CURRENT]!--;
    if (lengthPs > rows[row + LONGEST_PS]!) rows[row + LONGEST_PS] = lengthPs;
    if (lengthPs >= LONG_PS) {
      this.fallLong(row, bytes, lengthPs);
      return;
    }
    const ns = (lengthPs / 1000) | 0;
    rows[row + BUCKET + bucketOf(ns)]!++;
    rows[row + SUM_NS]! += ns;
    if (ns < rows[row + SHORTEST_NS]!) rows[row + SHORTEST_NS] = ns;
    this.add(row + PAGE_PS, lengthPs);
    this.add(row + BYTE_PS, bytes * lengthPs);
  }

  /** The same with numbers beyond 2^31 and sums that may be beyond EXACT. */
  private fallLong(row: number, bytes: number, lengthPs: number): void {
    const { rows } = this;
    const ns = Math.floor(lengthPs / 1000);
    rows[row + BUCKET + bucketOf(ns)]!++;
    rows[row + SUM_NS]! += ns;
    if (ns < rows[row + SHORTEST_NS]!) rows[row + SHORTEST_NS] = ns;
    const bytePs = bytes * lengthPs;
    if (bytePs < EXACT && lengthPs < EXACT) {
      this.add(row + PAGE_PS, lengthPs);
      this.add(row + BYTE_PS, bytePs);
    } else this.addHuge(row / ROW, BigInt(lengthPs), BigInt(bytes) * BigInt(lengthPs));
  }

  private add(at: number, value: number): void {
    const { rows } = this;
    const low = rows[at]! + value;
    rows[at] = low;
    if (low >= LIMB) {
      const limbs = Math.floor(low / LIMB);
      rows[at + 1]! += limbs;
      rows[at] = low - limbs * LIMB;
    }
  }

  private addHuge(index: number, pagePs: bigint, bytePs: bigint): void {
    const huge = this.huge[index]!;
    huge.pagePs += pagePs;
    huge.bytePs += bytePs;
  }

  /** Windows close that were only counted, `longestPs` the longest of them. */
  fallMany(account: number, kind: number, windows: number, pagePs: bigint, bytePs: bigint, longestPs: number): void {
    const { rows } = this;
    const row = this.rowOf(account, kind);
    rows[kind * ROW + CURRENT]! -= windows;
    if (account >= 0) rows[row + CURRENT]! -= windows;
    if (longestPs > rows[row + LONGEST_PS]!) rows[row + LONGEST_PS] = longestPs;
    this.addHuge(row / ROW, pagePs, bytePs);
  }

  /** The session's peaks from now on, beside those since it began. */
  mark(): void {
    for (const kind of [KIND.potential, KIND.actual])
      this.rows[kind * ROW + PEAK_SINCE_MARK] = this.rows[kind * ROW + CURRENT]!;
  }

  /**
   * A run begins: a workload's account starts anew, and what it booked becomes the session's own.
   * @param before what its open windows have come to already
   */
  restart(account: number, kind: number, before: Beyond): void {
    const { rows } = this;
    const from = this.rowOf(account, kind);
    const to = kind * ROW;
    const closed = this.closed(account, kind);
    this.addHuge(kind, closed.pagePs, closed.bytePs);
    rows[to + OPENED]! += rows[from + OPENED]!;
    rows[to + SUM_NS]! += rows[from + SUM_NS]!;
    rows[to + LONGEST_PS] = Math.max(rows[to + LONGEST_PS]!, rows[from + LONGEST_PS]!);
    rows[to + SHORTEST_NS] = Math.min(rows[to + SHORTEST_NS]!, rows[from + SHORTEST_NS]!);
    for (let bucket = BUCKET; bucket < ROW; bucket++) rows[to + bucket]! += rows[from + bucket]!;
    const current = rows[from + CURRENT]!;
    rows.fill(0, from, from + ROW);
    rows[from + CURRENT] = current;
    rows[from + PEAK] = current;
    rows[from + PEAK_SINCE_MARK] = current;
    rows[from + SHORTEST_NS] = Number.POSITIVE_INFINITY;
    this.huge[from / ROW] = none();
    this.beforeRun[from / ROW] = before;
  }

  private sum(at: number): bigint {
    return BigInt(this.rows[at + 1]!) * BigInt(LIMB) + BigInt(this.rows[at]!);
  }

  /** One kind of one account: its closed windows, those included that were open before its run. */
  closed(account: number, kind: number) {
    const { rows } = this;
    const row = this.rowOf(account, kind);
    const huge = this.huge[row / ROW]!;
    const longestPs = rows[row + LONGEST_PS]!;
    const histogram = new Histogram();
    histogram.load(
      rows.subarray(row + BUCKET, row + ROW),
      rows[row + SUM_NS]!,
      rows[row + SHORTEST_NS]!,
      Math.floor(longestPs / 1000),
    );
    return {
      pagePs: this.sum(row + PAGE_PS) + huge.pagePs,
      bytePs: this.sum(row + BYTE_PS) + huge.bytePs,
      longestPs,
      windows: rows[row + OPENED]!,
      histogram,
    };
  }

  /** The same less the time before its run, and how many are open. */
  read(account: number, kind: number) {
    const { rows } = this;
    const row = this.rowOf(account, kind);
    const closed = this.closed(account, kind);
    const before = this.beforeRun[row / ROW]!;
    return {
      ...closed,
      pagePs: closed.pagePs - before.pagePs,
      bytePs: closed.bytePs - before.bytePs,
      currentPages: rows[row + CURRENT]!,
      currentBytes: 0,
      peakPages: rows[row + PEAK]!,
      peakPagesSinceMark: rows[row + PEAK_SINCE_MARK]!,
    };
  }

  digest(sink: DigestSink): void {
    const { rows } = this;
    for (let index = 0; index < this.huge.length; index++) {
      const row = index * ROW;
      for (const column of [CURRENT, PEAK, OPENED, LONGEST_PS, SUM_NS]) sink.number(rows[row + column]!);
      sink.column(rows.subarray(row + BUCKET, row + ROW), BUCKETS);
      // By value: what was carried when does not show.
      const { pagePs, bytePs } = this.closed((index >> 1) - 1, index & 1);
      const before = this.beforeRun[index]!;
      for (const sum of [pagePs, bytePs, before.pagePs, before.bytePs]) sink.text(sum.toString());
    }
  }
}

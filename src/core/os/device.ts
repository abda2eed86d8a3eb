/** A device as the operating system sees it: its requester id, its domain, what it can address. */

import type { Iotlb } from '../hardware/iotlb.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import type { DeviceSpec, DeviceTlbSpec } from '../spec.ts';
import type { Domain } from './domain.ts';

/** Recently unmapped pages of a device: what a hostile one remembers. A ring, newest last. */
export class UnmapHistory {
  private readonly page = new Float64Array(1024);
  private readonly offset = new Int32Array(1024);
  private readonly at = new Float64Array(1024);
  private next = 0;
  count = 0;

  /** @param at ps after the clock's base */
  push(page: number, offset: number, at: number): void {
    this.page[this.next] = page;
    this.offset[this.next] = offset;
    this.at[this.next] = at;
    this.next = (this.next + 1) & 1023;
    if (this.count < 1024) this.count++;
  }

  /** The n-th newest, 0 the newest. */
  pageAt(n: number): number {
    return this.page[(this.next - 1 - n) & 1023]!;
  }
  offsetAt(n: number): number {
    return this.offset[(this.next - 1 - n) & 1023]!;
  }
  timeAt(n: number): number {
    return this.at[(this.next - 1 - n) & 1023]!;
  }

  rebase(ps: number): void {
    for (let i = 0; i < 1024; i++) this.at[i]! -= ps;
  }

  digest(sink: DigestSink): void {
    sink.number(this.next);
    sink.number(this.count);
    sink.column(this.page, 1024);
    sink.column(this.at, 1024);
  }
}

/** A device TLB: what was asked for, why the kernel leaves it off (null: it does not), and the cache, null when off. */
export interface DeviceTlbUse {
  spec: DeviceTlbSpec;
  off: string | null;
  tlb: Iotlb | null;
}

export class Device {
  declare readonly index: number;
  declare readonly name: string | null;
  declare readonly kind: DeviceSpec['kind'];
  declare readonly bdf: string;
  declare domain: Domain | null;
  declare readonly maskBits: number;
  /** Highest page it can address, inclusive. */
  declare readonly maskLastPfn: number;
  declare readonly maxSegmentBytes: number;
  declare readonly segmentBoundaryBytes: number;
  declare readonly untrusted: boolean;
  removed = false;
  /** Tries 32-bit addresses first, until that fails once. */
  try32BitFirst = true;
  /** The device TLB that it has (ATS), null without; and why the kernel does not use it, null when it does. */
  declare readonly deviceTlbSpec: DeviceTlbSpec | null;
  declare readonly deviceTlbOff: string | null;
  /** Translations that it caches; null without a device TLB in use. */
  declare readonly deviceTlb: Iotlb | null;
  /** Context cache: whether the chip has its context entry. */
  contextCached = false;
  liveMappings = 0;
  /** Kept only while a hostile workload has this device as its target. */
  history: UnmapHistory | null = null;
  /** The last DMA: in flight until `lastEndPs`. */
  lastPage = 0;
  lastOffset = 0;
  lastLength = 0;
  lastEndPs = Number.NEGATIVE_INFINITY;

  constructor(index: number, spec: DeviceSpec, bdf: string, domain: Domain, deviceTlb: DeviceTlbUse | null) {
    this.index = index;
    this.name = spec.name ?? null;
    this.kind = spec.kind;
    this.bdf = bdf;
    this.domain = domain;
    this.maskBits = spec.dmaMaskBits ?? 64;
    this.maskLastPfn = 2 ** (this.maskBits - 12) - 1;
    this.maxSegmentBytes = spec.maxSegmentBytes ?? 65_536;
    this.segmentBoundaryBytes = spec.segmentBoundaryBytes ?? 2 ** 32;
    this.untrusted = spec.untrusted ?? false;
    this.deviceTlbSpec = deviceTlb?.spec ?? null;
    this.deviceTlbOff = deviceTlb?.off ?? null;
    this.deviceTlb = deviceTlb?.tlb ?? null;
  }

  get id(): string {
    return `dev_${this.index}`;
  }

  digest(sink: DigestSink): void {
    sink.number(this.index);
    sink.number(this.removed ? 1 : 0);
    sink.text(this.kind);
    sink.text(this.bdf);
    sink.number(this.maxSegmentBytes);
    sink.number(this.segmentBoundaryBytes);
    sink.number(this.untrusted ? 1 : 0);
    sink.number(this.domain?.index ?? -1);
    sink.number(this.maskBits);
    sink.number(this.try32BitFirst ? 1 : 0);
    sink.number(this.contextCached ? 1 : 0);
    sink.number(this.lastEndPs === Number.NEGATIVE_INFINITY ? -1 : this.lastEndPs);
    this.history?.digest(sink);
    this.deviceTlb?.digest(sink);
  }
}

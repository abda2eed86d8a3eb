/** What the chip of a watched simulation does: invalidations, accesses and their verdicts, faults. */
import { aligned, decodeDeviceRange } from '../../../core/hardware/invalidation.ts';
import type { PieceVisitor } from '../../../core/hardware/translate.ts';
import type { Device } from '../../../core/os/device.ts';
import type { Simulator } from '../../../core/simulator.ts';
import { ABSENT, EVENT_KINDS, type RecordedEvent } from '../../event.ts';
import type { ObservedLines } from './lines.ts';

/** The kernel's first domain id: 0 is reserved. */
const FIRST_DOMAIN = 1;

/** `00:02.0` as the 16 bits of a requester id. */
function requesterOf({ bdf }: Device): number {
  const [bus, rest] = bdf.split(':');
  const [slot, fn] = rest!.split('.');
  return Number.parseInt(bus!, 16) * 256 + Number.parseInt(slot!, 16) * 8 + Number(fn);
}

export class ObservedChip {
  private readonly lines: ObservedLines;
  /** Faults of the access in progress; null outside of one. */
  private faults: RecordedEvent[] | null = null;

  constructor(simulator: Simulator, lines: ObservedLines) {
    this.lines = lines;
    this.watch(simulator);
  }

  private watch(simulator: Simulator): void {
    const { lines } = this;
    const { unit, iommu } = simulator;
    const global = unit.global.bind(unit);
    unit.global = (at) => {
      this.invalidated(1, ABSENT, ABSENT, ABSENT);
      global(at);
    };
    const domain = unit.domain.bind(unit);
    unit.domain = (index, at) => {
      this.invalidated(2, index, ABSENT, ABSENT);
      domain(index, at);
    };
    const pages = unit.pages.bind(unit);
    unit.pages = (index, page, mask, leafOnly, at) => {
      const count = 2 ** mask;
      this.invalidated(3, index, page - (page % count), count);
      pages(index, page, mask, leafOnly, at);
    };
    const deviceTlb = unit.deviceTlb.bind(unit);
    unit.deviceTlb = (device, domain_, tlb, page, size, at) => {
      decodeDeviceRange(page, size);
      const line = lines.fresh(EVENT_KINDS.invalidateDevice);
      line.domain = requesterOf(simulator.deviceAt(device));
      const all = aligned.pages >= 2 ** 51;
      line.detail = all ? 1 : 3;
      if (!all) {
        line.iovaPage = aligned.base;
        line.iovaOffset = 0;
        line.lengthBytes = aligned.pages * 4096;
      }
      lines.tell(line);
      deviceTlb(device, domain_, tlb, page, size, at);
    };
    const access = iommu.access.bind(iommu);
    iommu.access = (device, page, offset, lengthBytes, write, now, visitor: PieceVisitor | null) => {
      lines.stampNow();
      const faults: RecordedEvent[] = [];
      this.faults = faults;
      const verdict = access(device, page, offset, lengthBytes, write, now, visitor);
      this.faults = null;
      const line = lines.fresh(EVENT_KINDS.access);
      line.device = device.index;
      line.iovaPage = page;
      line.iovaOffset = offset;
      line.lengthBytes = lengthBytes;
      line.write = write ? 1 : 0;
      line.detail = verdict;
      lines.tell(line);
      for (const fault of faults) lines.tell(fault);
      return verdict;
    };
    const { onFault } = iommu;
    iommu.onFault = (device) => {
      onFault(device);
      const { last } = simulator.faults;
      if (last === null) return;
      const line = lines.fresh(EVENT_KINDS.fault);
      line.device = last.device;
      line.iovaPage = last.page;
      line.iovaOffset = last.offset;
      line.write = last.write ? 1 : 0;
      line.detail = line.write;
      if (this.faults === null) lines.tell(line);
      else this.faults.push({ ...line });
    };
  }

  private invalidated(granularity: number, domain: number, page: number, pages: number): void {
    const line = this.lines.fresh(EVENT_KINDS.invalidate);
    line.detail = granularity;
    if (granularity !== 1) line.domain = domain + FIRST_DOMAIN;
    if (granularity === 3) {
      line.iovaPage = page;
      line.iovaOffset = 0;
      line.lengthBytes = pages * 4096;
    }
    this.lines.tell(line);
  }
}

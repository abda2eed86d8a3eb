/**
 * passthrough: the address that a device uses is the physical one, and nothing is checked.
 *
 * Source: Linux identity domains, `iommu.passthrough=1`; a list is handed back as it came.
 * Departs: a device whose mask does not reach the memory is not helped by bouncing.
 * Pathology: no protection at all.
 */
import type { DigestSink } from '../../sim/digest-sink.ts';
import type { Lock } from '../../sim/lock.ts';
import type { Device } from '../device.ts';
import type { Domain } from '../domain.ts';
import { MAP_KIND } from '../mappings.ts';
import { type InputSegment, joinRuns } from '../scatterlist.ts';
import { type Mode, type ModeEntry, type ModeParts, noParameters } from './mode.ts';

export class Passthrough implements Mode {
  protected readonly parts: ModeParts;
  readonly standing = null;
  readonly ownCoherent = false;
  readonly locks: readonly Lock[] = [];

  constructor(parts: ModeParts) {
    this.parts = parts;
  }

  map(device: Device, kind: number, direction: number, frame: number, offset: number, lengthBytes: number): number {
    const { dma, mappings, oracle, work } = this.parts;
    const domain = device.domain!;
    const pages = Math.ceil((offset + lengthBytes) / 4096);
    dma.countCall(kind);
    const slot = dma.record(device, domain, kind, direction, frame, pages, offset, lengthBytes);
    mappings.frame[slot] = frame;
    const nowNs = mappings.mappedNs[slot]!;
    const now = work.now();
    for (let i = 0; i < pages; i++) oracle.mapped(domain.pages, frame + i, slot, frame + i, direction, nowNs, now);
    return slot;
  }

  mapSg(device: Device, direction: number, segments: readonly InputSegment[]): number {
    const { dma, counters } = this.parts;
    counters.mapSgCalls++;
    const runs = segments.map(({ frame, offset, lengthBytes }) => ({
      page: frame,
      pages: Math.ceil((offset + lengthBytes) / 4096),
      frame,
      offset,
      lengthBytes,
    }));
    const outputs = runs.map(({ page, offset, lengthBytes }) => ({ page, offset, lengthBytes }));
    const reached = joinRuns(runs);
    const pages = reached.reduce((sum, run) => sum + run.pages, 0);
    const bytes = segments.reduce((sum, segment) => sum + segment.lengthBytes, 0);
    const domain = device.domain!;
    const { page, offset } = outputs[0]!;
    const slot = dma.record(device, domain, MAP_KIND.sg, direction, page, pages, offset, bytes);
    dma.recordRuns(slot, domain, reached, outputs, direction);
    return slot;
  }

  unmap(slot: number, device: Device): void {
    const { dma } = this.parts;
    dma.end(slot, device, dma.domainOf(slot), false);
  }

  sync(): void {}
  abandon(): void {}
  domainMade(_domain: Domain): boolean {
    return true;
  }
  domainGone(_domain: Domain): void {}
  deviceLeft(): void {}
  gauges(): Record<string, number> {
    return {};
  }
  inspect(): Record<string, unknown> {
    return {};
  }
  digest(_sink: DigestSink): void {}
}

export const passthrough: ModeEntry = {
  kind: 'passthrough',
  description: 'the IOVA is the physical address; nothing is checked',
  source: 'Linux identity domains, iommu.passthrough=1',
  departs: 'a device whose mask does not reach the memory is not helped by bouncing',
  pathology: 'no protection at all',
  schema: noParameters,
  defaults: {},
  virtual: false,
  translates: false,
  direct: true,
  taxed: false,
  cachingMode: false,
  steps: [],
  spares: [],
  allocates: false,
  unused: [
    { path: '/policy/allocator', why: 'addresses are physical' },
    { path: '/policy/invalidation', why: 'there is nothing to invalidate' },
  ],
  create: (parts) => new Passthrough(parts),
};

/** The events that are understood, by name: one line each. Prefix and clock are the format's; what follows the name is read here. */
import type { Intake } from '../intake.ts';
import { NameTable, textOf } from '../names.ts';
import * as block from './block.ts';
import { isSame } from './digits.ts';
import * as dma from './dma.ts';
import { Fields } from './fields.ts';
import * as intel from './intel.ts';
import * as iommu from './iommu.ts';
import * as lab from './lab.ts';
import * as swiotlb from './swiotlb.ts';

/** @returns '' when the event went on its way, or why the line is skipped */
type PayloadReader = (intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number) => string;

export interface PayloadEntry {
  /** Of the event, with its subsystem where that must be there. */
  name: string;
  subsystem: string;
  read: PayloadReader;
}

/** In the order in which they are common. */
export const payloads: readonly PayloadEntry[] = [
  { name: 'dma_map_phys', subsystem: 'dma', read: (i, f, b, s, e) => dma.readRange(i, f, b, s, e, dma.MAP) },
  { name: 'dma_unmap_phys', subsystem: 'dma', read: (i, f, b, s, e) => dma.readRange(i, f, b, s, e, dma.UNMAP) },
  { name: 'map', subsystem: 'iommu', read: iommu.readIommuMap },
  { name: 'unmap', subsystem: 'iommu', read: iommu.readIommuUnmap },
  { name: 'dma_map_page', subsystem: 'dma', read: (i, f, b, s, e) => dma.readRange(i, f, b, s, e, dma.MAP) },
  { name: 'dma_unmap_page', subsystem: 'dma', read: (i, f, b, s, e) => dma.readRange(i, f, b, s, e, dma.UNMAP) },
  { name: 'dma_map_resource', subsystem: 'dma', read: (i, f, b, s, e) => dma.readRange(i, f, b, s, e, dma.MAP) },
  { name: 'dma_unmap_resource', subsystem: 'dma', read: (i, f, b, s, e) => dma.readRange(i, f, b, s, e, dma.UNMAP) },
  { name: 'dma_map_sg', subsystem: 'dma', read: dma.readMapSg },
  { name: 'dma_unmap_sg', subsystem: 'dma', read: dma.readUnmapSg },
  { name: 'dma_map_sg_err', subsystem: 'dma', read: dma.readMapSgFailed },
  { name: 'dma_alloc', subsystem: 'dma', read: (i, f, b, s, e) => dma.readRange(i, f, b, s, e, dma.ALLOC) },
  { name: 'dma_alloc_pages', subsystem: 'dma', read: (i, f, b, s, e) => dma.readRange(i, f, b, s, e, dma.ALLOC) },
  {
    name: 'dma_alloc_sgt',
    subsystem: 'dma',
    read: (i, f, b, s, e) => dma.readRange(i, f, b, s, e, dma.ALLOC_SCATTERED),
  },
  { name: 'dma_alloc_sgt_err', subsystem: 'dma', read: dma.readAllocFailed },
  { name: 'dma_free', subsystem: 'dma', read: (i, f, b, s, e) => dma.readRange(i, f, b, s, e, dma.FREE) },
  { name: 'dma_free_pages', subsystem: 'dma', read: (i, f, b, s, e) => dma.readRange(i, f, b, s, e, dma.FREE) },
  { name: 'dma_free_sgt', subsystem: 'dma', read: (i, f, b, s, e) => dma.readRange(i, f, b, s, e, dma.FREE_SCATTERED) },
  {
    name: 'dma_sync_single_for_cpu',
    subsystem: 'dma',
    read: (i, f, b, s, e) => dma.readRange(i, f, b, s, e, dma.SYNC_FOR_CPU),
  },
  {
    name: 'dma_sync_single_for_device',
    subsystem: 'dma',
    read: (i, f, b, s, e) => dma.readRange(i, f, b, s, e, dma.SYNC_FOR_DEVICE),
  },
  { name: 'dma_sync_sg_for_cpu', subsystem: 'dma', read: (i, f, b, s, e) => dma.readSyncSg(i, f, b, s, e, 0) },
  { name: 'dma_sync_sg_for_device', subsystem: 'dma', read: (i, f, b, s, e) => dma.readSyncSg(i, f, b, s, e, 1) },
  { name: 'io_page_fault', subsystem: 'iommu', read: iommu.readFault },
  {
    name: 'attach_device_to_domain',
    subsystem: 'iommu',
    read: (i, f, b, s, e) => iommu.readAttach(i, f, b, s, e, true),
  },
  {
    name: 'detach_device_from_domain',
    subsystem: 'iommu',
    read: (i, f, b, s, e) => iommu.readAttach(i, f, b, s, e, false),
  },
  { name: 'add_device_to_group', subsystem: 'iommu', read: (i, f, b, s, e) => iommu.readGroup(i, f, b, s, e, true) },
  {
    name: 'remove_device_from_group',
    subsystem: 'iommu',
    read: (i, f, b, s, e) => iommu.readGroup(i, f, b, s, e, false),
  },
  { name: 'qi_submit', subsystem: 'intel_iommu', read: intel.readQiSubmit },
  { name: 'cache_tag_assign', subsystem: 'intel_iommu', read: (i, f, b, s, e) => intel.readCacheTag(i, f, b, s, e, 1) },
  {
    name: 'cache_tag_unassign',
    subsystem: 'intel_iommu',
    read: (i, f, b, s, e) => intel.readCacheTag(i, f, b, s, e, 0),
  },
  {
    name: 'cache_tag_flush_all',
    subsystem: 'intel_iommu',
    read: (i, f, b, s, e) => intel.readCacheTag(i, f, b, s, e, -1),
  },
  {
    name: 'cache_tag_flush_range',
    subsystem: 'intel_iommu',
    read: intel.readCacheTagRange,
  },
  {
    name: 'cache_tag_flush_range_np',
    subsystem: 'intel_iommu',
    read: intel.readCacheTagRange,
  },
  { name: 'prq_report', subsystem: 'intel_iommu', read: intel.readPageRequest },
  { name: 'swiotlb_bounced', subsystem: 'swiotlb', read: swiotlb.readBounced },
  { name: 'block_rq_issue', subsystem: 'block', read: (i, f, b, s, e) => block.readRequest(i, f, b, s, e, true) },
  { name: 'block_rq_complete', subsystem: 'block', read: (i, f, b, s, e) => block.readRequest(i, f, b, s, e, false) },
  { name: 'iommu_lab:access', subsystem: 'iommu_lab', read: lab.readAccess },
  { name: 'iommu_lab:invalidate', subsystem: 'iommu_lab', read: lab.readInvalidate },
  { name: 'iommu_lab:buffer', subsystem: 'iommu_lab', read: lab.readBuffer },
  { name: 'iommu_lab:free', subsystem: 'iommu_lab', read: lab.readBufferFree },
  { name: 'iommu_lab:call', subsystem: 'iommu_lab', read: lab.readCall },
];

const encoder = new TextEncoder();
const SUBSYSTEMS = payloads.map(({ subsystem }) => encoder.encode(subsystem));
const KNOWN = new NameTable(
  payloads.length,
  payloads.map(({ name }) => name),
);
const LAB = encoder.encode('iommu_lab:');
const MOST_FOREIGN = 256;
const LONGEST_NAME = 64;

/** The payload reader of one import: names of events that are not understood are remembered, so that they cost no string each. */
export class Payloads {
  private readonly fields = new Fields();
  private readonly foreign = new NameTable(MOST_FOREIGN);
  /** [index in `foreign`]. */
  private readonly reasons: string[] = [];

  /**
   * @param nameStart of the event with its subsystem, if there is one
   * @param eventStart of the event without
   */
  read(
    intake: Intake,
    bytes: Uint8Array,
    nameStart: number,
    eventStart: number,
    nameEnd: number,
    start: number,
    end: number,
  ): string {
    const index = KNOWN.find(bytes, isOurs(bytes, nameStart, eventStart) ? nameStart : eventStart, nameEnd);
    if (index < 0) return this.foreignReason(bytes, eventStart, nameEnd);
    // perf writes the subsystem, ftrace does not: two may have events of the same name.
    if (eventStart > nameStart && !isSame(bytes, nameStart, eventStart - 1, SUBSYSTEMS[index]!))
      return this.foreignReason(bytes, nameStart, nameEnd);
    const { read, name } = payloads[index]!;
    const wrong = read(intake, this.fields, bytes, start, end);
    return wrong === '' ? '' : `${name}: ${wrong}`;
  }

  private foreignReason(bytes: Uint8Array, start: number, end: number): string {
    if (end - start > LONGEST_NAME) return 'an event that is not understood';
    let index = this.foreign.find(bytes, start, end);
    if (index < 0) {
      if (this.foreign.isFull) return 'an event that is not understood';
      index = this.foreign.add(bytes, start, end);
      const name = textOf(bytes, start, end);
      this.reasons.push(name.startsWith('funcgraph_') ? 'function_graph' : `the event ${name} is not understood`);
    }
    return this.reasons[index]!;
  }
}

/** Names of ours need their subsystem: `free` alone could be anybody's. */
function isOurs(bytes: Uint8Array, nameStart: number, eventStart: number): boolean {
  if (eventStart - nameStart !== LAB.length) return false;
  for (let i = 0; i < LAB.length; i++) if (bytes[nameStart + i] !== LAB[i]) return false;
  return true;
}

/** `map`, `unmap`, `sync`: the DMA API as a driver calls it, with the checks of the kernel's DMA debugging. */

import { assert } from '../assert.ts';
import { HOST_TENANT, NO_FRAME } from '../hardware/memory.ts';
import { segmentsOf } from '../look/documents.ts';
import type { MemoryRange, Outcome } from '../operations.ts';
import type { Device } from '../os/device.ts';
import { MAP_FAILED, MAP_NO_MEMORY, MAP_SUSPENDED } from '../os/dma-api.ts';
import type { Domain } from '../os/domain.ts';
import { directions, MAP_KIND, mapKinds, NO_MAPPING, NO_SOURCE } from '../os/mappings.ts';
import { MAP_BOUNCE_FULL, MAP_SHADOW_FULL, MAP_UNREACHABLE } from '../os/mode/mode.ts';
import type { InputSegment } from '../os/scatterlist.ts';
import { fail, ok, refuse } from '../outcome.ts';
import { formatAddress, PAGE_BYTES, parseAddress, parsed } from '../sim/address.ts';
import type { Simulator } from '../simulator.ts';
import { assumptions, costOf } from './cost.ts';
import type { Applied, Of } from './index.ts';

export type Misuse = { check: string; detail: string };

/** One operation touches at most this many pages. */
export const MAX_PAGES = 2 ** 20;

/** Where the last resolved range lies. */
const place = { frame: 0, offset: 0, lengthBytes: 0 };

/** Resolves a range into `place`, or says why not. */
function resolve(simulator: Simulator, range: MemoryRange, path: string): Outcome | null {
  if (range.buffer !== undefined) {
    const buffer = simulator.buffers.find(range.buffer);
    if (!buffer) return refuse('unknown-buffer', `no buffer "${range.buffer}"`, `${path}/buffer`);
    const offset = range.offsetBytes ?? 0;
    if (offset >= buffer.lengthBytes)
      return refuse('out-of-range', `the buffer is ${buffer.lengthBytes} bytes long`, `${path}/offsetBytes`);
    const lengthBytes = range.lengthBytes ?? buffer.lengthBytes - offset;
    if (offset + lengthBytes > buffer.lengthBytes)
      return refuse(
        'out-of-range',
        `offset ${offset} and length ${lengthBytes} reach beyond the ${buffer.lengthBytes} bytes of the buffer`,
        `${path}/lengthBytes`,
      );
    place.frame = buffer.frame + Math.floor(offset / PAGE_BYTES);
    place.offset = offset % PAGE_BYTES;
    place.lengthBytes = lengthBytes;
    return null;
  }
  if (range.physicalAddress === undefined)
    return refuse(
      'invalid-operation',
      'give a buffer, or a physicalAddress and lengthBytes',
      path === '' ? '/buffer' : path,
    );
  if (range.lengthBytes === undefined)
    return refuse('invalid-operation', 'a physicalAddress needs a lengthBytes', `${path}/lengthBytes`);
  if (!parseAddress(range.physicalAddress))
    return refuse('invalid-address', 'is no address', `${path}/physicalAddress`);
  place.frame = parsed.page;
  place.offset = parsed.offset;
  place.lengthBytes = range.lengthBytes;
  const end = place.frame + Math.ceil((place.offset + place.lengthBytes) / PAGE_BYTES);
  if (end > simulator.memory.frames)
    return refuse(
      'beyond-memory',
      `the machine has ${simulator.memory.frames * PAGE_BYTES} bytes of memory`,
      `${path}/physicalAddress`,
    );
  return null;
}

/** The driver's memory of a live mapping, whether or not the device sees a copy of it. */
export function memoryOf({ mappings }: Simulator, slot: number): readonly InputSegment[] {
  const lengthBytes = mappings.lengthBytes[slot]!;
  if (mappings.frame[slot] === -1) return mappings.segments[slot] ?? mappings.runs[slot]!;
  if (mappings.source[slot] !== NO_SOURCE)
    return [{ frame: mappings.source[slot]!, offset: mappings.sourceOffset[slot]!, lengthBytes }];
  return [{ frame: mappings.frame[slot]!, offset: mappings.offset[slot]!, lengthBytes }];
}

/** The live mapping that a new one shares a 64-byte line with and that the device may write, as dma-debug looks for it. */
function overlapping(simulator: Simulator, frame: number, offset: number, lengthBytes: number): number {
  const { memory, mappings } = simulator;
  const last = frame + Math.ceil((offset + lengthBytes) / PAGE_BYTES) - 1;
  // The new mapping is counted already; those whose buffer was freed under them are counted no more, and copies elsewhere.
  let shared = mappings.freedCount > 0 || mappings.copied > 0;
  for (let at = frame; at <= last && !shared; at++) shared = (memory.peek(at)?.mapped[at & 1023] ?? 0) > 1;
  if (!shared) return NO_MAPPING;
  const line = (at: number, byte: number) => at * 64 + Math.floor(byte / 64);
  const from = line(frame, offset);
  const to = line(frame, offset + lengthBytes - 1);
  for (let slot = 0; slot < mappings.used; slot++) {
    if (mappings.live[slot] !== 1 || mappings.direction[slot] === 0) continue;
    for (const stretch of memoryOf(simulator, slot)) {
      const first = line(stretch.frame, stretch.offset);
      const end = line(stretch.frame, stretch.offset + stretch.lengthBytes - 1);
      if (first <= to && end >= from) return slot;
    }
  }
  return NO_MAPPING;
}

function report(simulator: Simulator, misuse: Misuse[]): void {
  simulator.counters.misuse += misuse.length;
  for (const { check, detail } of misuse) simulator.log.add('misuse', simulator.timeNs, { check, detail });
}

/** Bus address of the i-th segment of a mapping, in bytes from the last boundary. */
function fromBoundary(simulator: Simulator, slot: number, segments: readonly InputSegment[], i: number): number {
  const { mappings, modeEntry } = simulator;
  const { frame, offset } = segments[i]!;
  const boundaryPages = simulator.deviceAt(mappings.device[slot]!).segmentBoundaryBytes / PAGE_BYTES;
  const at = (page: number, byte: number) => (page % boundaryPages) * PAGE_BYTES + byte;
  if (modeEntry.direct) return at(frame, offset);
  if (mappings.frame[slot] !== -1) {
    const copied = mappings.source[slot] !== NO_SOURCE;
    return at(
      mappings.page[slot]! + (copied ? 0 : frame - segments[0]!.frame),
      copied ? mappings.offset[slot]! : offset,
    );
  }
  const segment = mappings.segments[slot]?.[i];
  return segment ? at(segment.page, segment.iovaOffset) : at(mappings.runs[slot]![i]!.page, offset);
}

/** What the kernel's DMA debugging says of a list that is mapped. */
function checkSegments(
  simulator: Simulator,
  device: Device,
  slot: number,
  segments: readonly InputSegment[],
  direction: number,
): Misuse[] {
  const misuse: Misuse[] = [];
  const boundary = device.segmentBoundaryBytes;
  segments.forEach(({ frame, offset, lengthBytes }, i) => {
    if (segments.length > 0 && lengthBytes > device.maxSegmentBytes)
      misuse.push({
        check: 'segment-length',
        detail: `segment ${i} has ${lengthBytes} bytes, the device takes ${device.maxSegmentBytes}`,
      });
    // What counts is the bus address, as the device sees it.
    if (fromBoundary(simulator, slot, segments, i) + lengthBytes > boundary)
      misuse.push({ check: 'segment-boundary', detail: `segment ${i} crosses a boundary of ${boundary} bytes` });
    if (direction !== 0) {
      const other = overlapping(simulator, frame, offset, lengthBytes);
      if (other !== NO_MAPPING)
        misuse.push({ check: 'overlap', detail: `shares a cache line with ${simulator.mappings.handle(other)}` });
    }
  });
  return misuse;
}

export function map(simulator: Simulator, operation: Of<'map'>): Applied {
  const device = simulator.devices.find(operation.device);
  if (!device) return refuse('unknown-device', `no device "${operation.device}"`, '/device');
  if (!device.domain) return refuse('device-detached', `${device.id} is attached to no domain`, '/device');
  const cpu = operation.cpu ?? 0;
  if (cpu >= simulator.cpuAt.length)
    return refuse('out-of-range', `the machine has CPUs 0 to ${simulator.cpuAt.length - 1}`, '/cpu');
  const direction = directions.indexOf(operation.direction);
  if (operation.kind === 'coherent') return mapCoherent(simulator, operation, device, cpu, direction);
  const isList = operation.kind === 'sg';
  if (!isList && operation.segments !== undefined)
    return refuse('invalid-operation', `kind "${operation.kind}" takes one range, not segments`, '/segments');
  const segments: InputSegment[] = [];
  if (isList) {
    let pages = 0;
    // A list of one may be given as a single range.
    const ranges = operation.segments ?? [operation];
    for (const [i, range] of ranges.entries()) {
      const refused = resolve(simulator, range, operation.segments ? `/segments/${i}` : '');
      if (refused) return refused;
      segments.push({ ...place });
      pages += Math.ceil((place.offset + place.lengthBytes) / PAGE_BYTES);
    }
    if (segments.length === 0) return refuse('invalid-operation', 'the list is empty', '/segments');
    if (pages > MAX_PAGES)
      return refuse('too-many-pages', `the list has ${pages} pages; ${MAX_PAGES} are the most`, '/segments');
  } else {
    const refused = resolve(simulator, operation, '');
    if (refused) return refused;
    if (Math.ceil((place.offset + place.lengthBytes) / PAGE_BYTES) > MAX_PAGES)
      return refuse('too-many-pages', `${MAX_PAGES} pages are the most`, '/lengthBytes');
  }
  const { frame, offset, lengthBytes } = place;
  const foreign = refuseForeign(simulator, device, isList ? segments : [{ frame, offset, lengthBytes }], operation);
  if (foreign) return foreign;
  setBudget(simulator, device);
  simulator.begin(cpu);
  const slot = isList
    ? simulator.dma.mapSg(device, direction, segments)
    : simulator.dma.map(
        device,
        operation.kind === 'page' ? MAP_KIND.page : MAP_KIND.single,
        direction,
        frame,
        offset,
        lengthBytes,
      );
  if (slot === MAP_SUSPENDED) return null;
  // The list's checks look at live mappings: the new one is there already, so it is left out by asking before it counts.
  return finishMap(simulator, device, slot, () =>
    misuseBefore(simulator, device, slot, isList ? segments : [{ frame, offset, lengthBytes }], direction, isList),
  );
}

/** A guest has no name for memory that is not its own. */
function refuseForeign(
  simulator: Simulator,
  device: Device,
  segments: readonly InputSegment[],
  operation: Of<'map'>,
): Outcome | null {
  if (!simulator.modeEntry.virtual) return null;
  const { tenant } = device.domain!;
  for (const [i, { frame, offset, lengthBytes }] of segments.entries()) {
    const last = frame + Math.ceil((offset + lengthBytes) / PAGE_BYTES) - 1;
    for (let at = frame; at <= last; at++) {
      if (simulator.memory.isHeldBy(at, tenant)) continue;
      const range = operation.segments?.[i] ?? operation;
      const member = range.buffer === undefined ? 'physicalAddress' : 'buffer';
      return refuse(
        'policy-conflict',
        `${formatAddress(at, 0)} is no memory of ten_${tenant}, whose guest drives ${device.id}`,
        operation.segments ? `/segments/${i}/${member}` : `/${member}`,
      );
    }
  }
  return null;
}

/** The checks, as they would have been before the mapping was made. */
function misuseBefore(
  simulator: Simulator,
  device: Device,
  slot: number,
  segments: readonly InputSegment[],
  direction: number,
  isList: boolean,
): Misuse[] {
  const { mappings } = simulator;
  if (slot < 0) return [];
  mappings.live[slot] = 0;
  const found = checkSegments(simulator, device, slot, segments, direction);
  mappings.live[slot] = 1;
  return isList ? found : found.filter(({ check }) => check === 'overlap');
}

function setBudget(simulator: Simulator, device: Device): void {
  const { domain } = device;
  if (domain !== null) domain.space(device.maskLastPfn).budget = simulator.searchBudget;
}

function finishMap(simulator: Simulator, device: Device, slot: number, check: () => Misuse[]): Outcome {
  const cost = costOf(simulator);
  simulator.end();
  if (slot === MAP_FAILED)
    return fail('iova-exhausted', `no IOVA range is left for ${device.id} below its ${device.maskBits}-bit mask`);
  if (slot === MAP_NO_MEMORY) return fail('no-frame', 'no page frame is left for a page table');
  if (slot < 0) return failOfCopies(simulator, device, slot);
  const misuse = check();
  report(simulator, misuse);
  const { mappings } = simulator;
  const { costCycles, breakdown } = cost;
  const iova = formatAddress(mappings.page[slot]!, mappings.offset[slot]!);
  const segments = segmentsOf(mappings, slot);
  const result = { id: mappings.handle(slot), iova, segments, costCycles, breakdown, timeNs: simulator.timeNs };
  return ok(remarked(result, misuse, assumptions(simulator, false)));
}

/** Why a mode had no copy to give. */
function failOfCopies(simulator: Simulator, device: Device, code: number): Outcome {
  if (code === MAP_UNREACHABLE)
    return fail('mask-unreachable', `the pool lies beyond the ${device.maskBits}-bit mask of ${device.id}`);
  if (code === MAP_SHADOW_FULL)
    return fail('shadow-pool-full', `the shadow buffers of ${device.id} have reached the limit of their pool`);
  assert(code === MAP_BOUNCE_FULL, 'a map answered a code that nobody knows');
  return fail('bounce-pool-full', simulator.bouncePool!.complaint);
}

/** The result with the lists that are left out when they are empty. */
function remarked(
  result: Record<string, unknown>,
  misuse: Misuse[],
  assumed: readonly string[],
): Record<string, unknown> {
  if (misuse.length > 0) result.misuse = misuse;
  if (assumed.length > 0) result.assumptions = assumed;
  return result;
}

/** Coherent memory: pages of its own, whole, read and write. */
function mapCoherent(
  simulator: Simulator,
  operation: Of<'map'>,
  device: Device,
  cpu: number,
  direction: number,
): Applied {
  const { memory, dma, mappings } = simulator;
  if (operation.lengthBytes === undefined)
    return refuse('invalid-operation', 'kind "coherent" needs lengthBytes', '/lengthBytes');
  for (const member of ['buffer', 'physicalAddress', 'segments', 'offsetBytes'] as const)
    if (operation[member] !== undefined)
      return refuse('invalid-operation', 'kind "coherent" allocates its own pages', `/${member}`);
  const pages = Math.ceil(operation.lengthBytes / PAGE_BYTES);
  if (pages > MAX_PAGES) return refuse('too-many-pages', `${MAX_PAGES} pages are the most`, '/lengthBytes');
  void direction;
  if (simulator.dma.mode?.ownCoherent) {
    simulator.begin(cpu);
    const slot = dma.map(device, MAP_KIND.coherent, 2, 0, 0, pages * PAGE_BYTES);
    return finishMap(simulator, device, slot, () => []);
  }
  // The frames are taken before the address, as in the kernel; a search that yields finds them in `coherentFrames` again.
  if (simulator.coherentFrames === NO_FRAME) {
    const tenant = simulator.modeEntry.virtual ? device.domain!.tenant : HOST_TENANT;
    const frame = memory.allocate(pages, tenant);
    if (frame === NO_FRAME) return fail('no-frame', `no ${pages} contiguous frame(s) left`);
    simulator.coherentFrames = frame;
  }
  const frame = simulator.coherentFrames;
  setBudget(simulator, device);
  simulator.begin(cpu);
  const slot = dma.map(device, MAP_KIND.coherent, 2, frame, 0, pages * PAGE_BYTES);
  if (slot === MAP_SUSPENDED) return null;
  simulator.coherentFrames = NO_FRAME;
  if (slot < 0) {
    simulator.hypervisor?.left(frame, pages);
    memory.giveBack(frame, pages);
  } else mappings.ownsFrames[slot] = 1;
  return finishMap(simulator, device, slot, () => []);
}

/** Unmaps a live slot on a CPU and answers. */
function unmapSlot(
  simulator: Simulator,
  device: Device,
  slot: number,
  cpu: number,
  misuse: Misuse[],
  path: string,
): Outcome {
  const { mappings, memory, dma } = simulator;
  const workload = mappings.workload[slot]!;
  if (workload >= 0)
    return refuse(
      'in-use',
      `${mappings.handle(slot)} belongs to workload wl_${workload}, whose driver unmaps it: remove the workload instead`,
      path,
    );
  const several = mappings.pages[slot]! > 1;
  const frame = mappings.frame[slot]!;
  const frames = mappings.ownsFrames[slot] === 1 ? mappings.pages[slot]! : 0;
  simulator.begin(cpu);
  dma.unmap(slot, device);
  if (frames > 0) {
    simulator.hypervisor?.left(frame, frames);
    memory.giveBack(frame, frames);
  }
  const cost = costOf(simulator);
  simulator.end();
  report(simulator, misuse);
  const { costCycles, breakdown } = cost;
  const result = { costCycles, breakdown, exposed: dma.lastExposed, timeNs: simulator.timeNs };
  return ok(remarked(result, misuse, assumptions(simulator, several)));
}

export function unmap(simulator: Simulator, operation: Of<'unmap'>): Outcome {
  const cpu = operation.cpu ?? 0;
  if (cpu >= simulator.cpuAt.length)
    return refuse('out-of-range', `the machine has CPUs 0 to ${simulator.cpuAt.length - 1}`, '/cpu');
  const { mappings } = simulator;
  if (operation.mapping !== undefined) {
    for (const member of ['iova', 'lengthBytes', 'direction'] as const)
      if (operation[member] !== undefined)
        return refuse('invalid-operation', 'a mapping handle says it all: leave this out', `/${member}`);
    const slot = mappings.find(operation.mapping);
    if (slot === NO_MAPPING) return refuse('unknown-mapping', `"${operation.mapping}" is not live`, '/mapping');
    const owner = simulator.deviceAt(mappings.device[slot]!);
    if (operation.device !== undefined && simulator.devices.find(operation.device) !== owner)
      return simulator.devices.find(operation.device)
        ? refuse('unknown-mapping', `"${operation.mapping}" is no mapping of ${operation.device}`, '/mapping')
        : refuse('unknown-device', `no device "${operation.device}"`, '/device');
    return unmapSlot(simulator, owner, slot, cpu, [], '/mapping');
  }
  return unmapByAddress(simulator, operation, cpu);
}

/** Mappings at a page whose buffer was freed under them: over for the oracle, but the kernel still has them on record. */
function freedUnderAt(simulator: Simulator, domain: Domain, page: number): number[] {
  if (domain.pages.peek(page)?.freed[page & 511] !== 1) return [];
  const { mappings } = simulator;
  const found: number[] = [];
  for (let slot = 0; slot < mappings.used; slot++) {
    if (mappings.live[slot] !== 1 || mappings.freed[slot] !== 1 || mappings.domain[slot] !== domain.index) continue;
    const first = mappings.page[slot]!;
    if (page >= first && page < first + mappings.pages[slot]!) found.push(slot);
  }
  return found;
}

/** By address, as a driver does it: a wrong one is misuse, carried out as the kernel would, on the mapping that it recorded. */
function unmapByAddress(simulator: Simulator, operation: Of<'unmap'>, cpu: number): Outcome {
  const { mappings, devices } = simulator;
  for (const member of ['device', 'iova', 'lengthBytes', 'direction'] as const)
    if (operation[member] === undefined)
      return refuse('invalid-operation', 'give a mapping, or device, iova, lengthBytes and direction', `/${member}`);
  const device = devices.find(operation.device!);
  if (!device) return refuse('unknown-device', `no device "${operation.device}"`, '/device');
  if (!parseAddress(operation.iova!)) return refuse('invalid-address', 'is no address', '/iova');
  const { page, offset } = parsed;
  const { domain } = device;
  if (!domain) return refuse('device-detached', `${device.id} is attached to no domain`, '/device');
  const live = domain.pages.peek(page)?.live[page & 511] ?? 0;
  const where = formatAddress(page, offset);
  const atPage =
    live === 0 ? freedUnderAt(simulator, domain, page) : [live - 1, ...(domain.pages.shared.get(page) ?? [])];
  // Where addresses are of less than a page, what else is in the page has nothing to do with this one.
  const candidates = simulator.dma.mode?.standing
    ? atPage.filter((each) => mappings.holds(each, page, offset, offset + 1))
    : atPage;
  if (candidates.length === 0) {
    const misuse = [{ check: 'not-mapped', detail: `${where} is not mapped: freeing memory that was not allocated` }];
    simulator.begin(cpu);
    const cost = costOf(simulator);
    simulator.end();
    report(simulator, misuse);
    return ok({ ...cost, exposed: false, timeNs: simulator.timeNs, misuse });
  }
  const slot =
    candidates.find(
      (each) =>
        mappings.device[each] === device.index &&
        mappings.offset[each] === offset &&
        mappings.lengthBytes[each] === operation.lengthBytes,
    ) ?? candidates[0]!;
  const misuse: Misuse[] = [];
  if (mappings.page[slot] !== page || mappings.offset[slot] !== offset || mappings.device[slot] !== device.index)
    misuse.push({
      check: 'not-mapped',
      detail: `${where} is not the start of a mapping of ${device.id}, but lies in ${mappings.handle(slot)}`,
    });
  const kind = mapKinds[mappings.kind[slot]!]!;
  if (kind === 'sg' || kind === 'coherent')
    misuse.push({ check: 'function', detail: `mapped as ${kind}, unmapped as page or single` });
  if (mappings.lengthBytes[slot] !== operation.lengthBytes)
    misuse.push({
      check: 'size',
      detail: `mapped ${mappings.lengthBytes[slot]} bytes, unmapped ${operation.lengthBytes}`,
    });
  const mapped = directions[mappings.direction[slot]!]!;
  if (mapped !== operation.direction)
    misuse.push({ check: 'direction', detail: `mapped ${mapped}, unmapped ${operation.direction}` });
  return unmapSlot(simulator, simulator.deviceAt(mappings.device[slot]!), slot, cpu, misuse, '/iova');
}

/** On a machine whose DMA is cache-coherent, which this is, a sync is work only where the device sees a copy. */
export function sync(simulator: Simulator, operation: Of<'sync'>): Outcome {
  const { mappings } = simulator;
  const slot = mappings.find(operation.mapping);
  if (slot === NO_MAPPING) return refuse('unknown-mapping', `"${operation.mapping}" is not live`, '/mapping');
  const misuse: Misuse[] = [];
  const offset = operation.offsetBytes ?? 0;
  const mapped = mappings.lengthBytes[slot]!;
  const lengthBytes = operation.lengthBytes ?? Math.max(0, mapped - offset);
  if (offset + lengthBytes > mapped || offset >= mapped)
    misuse.push({
      check: 'sync-range',
      detail: `${lengthBytes} bytes from ${offset} reach outside the ${mapped} that are mapped`,
    });
  const direction = directions[mappings.direction[slot]!]!;
  if (operation.for === 'cpu' && direction === 'to-device')
    misuse.push({ check: 'sync-direction', detail: 'for the CPU, of memory that the device only reads' });
  if (operation.for === 'device' && direction === 'from-device')
    misuse.push({ check: 'sync-direction', detail: 'for the device, of memory that the device only writes' });
  simulator.counters.syncCalls++;
  simulator.begin(0);
  simulator.dma.sync(slot, operation.for === 'device', offset, lengthBytes);
  const cost = costOf(simulator);
  simulator.end();
  report(simulator, misuse);
  return ok({ ...cost, timeNs: simulator.timeNs, ...(misuse.length > 0 && { misuse }) });
}

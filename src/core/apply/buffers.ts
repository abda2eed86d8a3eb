/** Buffers: frames for a tenant, and their way back. */
import { HOST_TENANT, NO_FRAME } from '../hardware/memory.ts';
import { bufferDocument } from '../look/documents.ts';
import type { Outcome } from '../operations.ts';
import type { Buffer } from '../os/buffer.ts';
import { fail, ok, refuse } from '../outcome.ts';
import { parseAddress, parsed } from '../sim/address.ts';
import type { Simulator } from '../simulator.ts';
import type { Of } from './index.ts';
import { memoryOf } from './mappings.ts';
import { refuseName } from './names.ts';

export function allocateBuffer(simulator: Simulator, operation: Of<'buffer'>): Outcome {
  const { memory, buffers, tenants } = simulator;
  const refused = refuseName(operation.name, buffers);
  if (refused) return refused;
  let tenant = HOST_TENANT;
  let quota: number | null = null;
  if (operation.tenant !== undefined) {
    const found = tenants.find(operation.tenant);
    if (!found) return refuse('unknown-tenant', `no tenant "${operation.tenant}"`, '/tenant');
    tenant = found.index;
    quota = found.memoryBytes;
  }
  const frames = Math.ceil(operation.lengthBytes / 4096);
  let first = NO_FRAME;
  if (operation.physicalAddress !== undefined) {
    if (!parseAddress(operation.physicalAddress)) return refuse('invalid-address', 'is no address', '/physicalAddress');
    if (parsed.offset !== 0) return refuse('misaligned', 'a buffer starts on a 4 KiB frame', '/physicalAddress');
    first = parsed.page;
    if (first + frames > memory.frames)
      return refuse('beyond-memory', `the machine has ${memory.frames * 4096} bytes of memory`, '/physicalAddress');
    if (!memory.available(first, frames))
      return refuse('overlap', 'some of these frames are in use', '/physicalAddress');
  }
  const used = memory.tenantFrames[tenant] ?? 0;
  if (quota !== null && (used + frames) * 4096 > quota)
    return fail(
      'quota-exceeded',
      `the tenant has ${used * 4096} of its ${quota} bytes in use; ${frames * 4096} more do not fit`,
    );
  if (first === NO_FRAME) first = memory.allocate(frames, tenant);
  else if (!memory.claim(first, frames, tenant)) first = NO_FRAME;
  if (first === NO_FRAME)
    return fail(
      'no-frame',
      `no ${frames} contiguous frame(s) left: ${memory.framesInUse} of ${memory.frames} are in use`,
    );
  const buffer = {
    index: buffers.next,
    name: operation.name ?? null,
    tenant,
    frame: first,
    frames,
    lengthBytes: operation.lengthBytes,
  };
  buffers.add(buffer);
  return ok(bufferDocument(simulator, buffer));
}

/** Slots of the live mappings that reach a frame of the buffer. */
function mappingsOf(simulator: Simulator, buffer: Buffer): number[] {
  const { memory, mappings } = simulator;
  // Copies are counted where they are.
  let any = mappings.copied > 0;
  for (let frame = buffer.frame; frame < buffer.frame + buffer.frames && !any; frame++)
    any = (memory.peek(frame)?.mapped[frame & 1023] ?? 0) > 0;
  if (!any) return [];
  const last = buffer.frame + buffer.frames - 1;
  const found: number[] = [];
  for (let slot = 0; slot < mappings.used; slot++) {
    if (mappings.live[slot] !== 1 || mappings.freed[slot] === 1) continue;
    const meets = memoryOf(simulator, slot).some(
      ({ frame, offset, lengthBytes }) =>
        frame <= last && frame + Math.ceil((offset + lengthBytes) / 4096) - 1 >= buffer.frame,
    );
    if (meets) found.push(slot);
  }
  return found;
}

/** Live `iommu-map` ranges that reach a frame of the buffer. */
function rangesOf(simulator: Simulator, buffer: Buffer): number {
  const last = buffer.frame + buffer.frames - 1;
  let count = 0;
  for (const domain of simulator.domains)
    for (const range of domain.pages.ranges)
      if (!range.freed && range.frame <= last && range.frame + (range.last - range.first) >= buffer.frame) count++;
  return count;
}

/** Ends, for the oracle, what is mapped of a buffer that is freed under its mappings. @returns how many mappings */
export function endMappingsOf(simulator: Simulator, buffer: Buffer): number {
  const slots = mappingsOf(simulator, buffer);
  for (const slot of slots) simulator.dma.freedUnder(slot, simulator.clock.now);
  let ended = slots.length;
  for (const domain of simulator.domains)
    ended += domain.pages.freedUnder(buffer.frame, buffer.frame + buffer.frames - 1);
  simulator.counters.freedWhileMapped += ended;
  return ended;
}

export function giveBack(simulator: Simulator, buffer: Buffer): void {
  simulator.hypervisor?.left(buffer.frame, buffer.frames);
  simulator.memory.giveBack(buffer.frame, buffer.frames);
  simulator.buffers.remove(buffer);
}

export function freeBuffer(simulator: Simulator, operation: Of<'free'>): Outcome {
  const buffer = simulator.buffers.find(operation.buffer);
  if (!buffer) return refuse('unknown-buffer', `no buffer "${operation.buffer}"`, '/buffer');
  const id = `buf_${buffer.index}`;
  const mapped = mappingsOf(simulator, buffer).length;
  const ranges = rangesOf(simulator, buffer);
  if ((mapped > 0 || ranges > 0) && operation.force !== true)
    return refuse(
      'buffer-mapped',
      `${id} has ${mapped} live mapping(s) and ${ranges} mapped range(s): unmap first, or free with "force": true`,
      '/buffer',
    );
  const misuse: { check: string; detail: string }[] = [];
  if (mapped > 0 || ranges > 0) {
    endMappingsOf(simulator, buffer);
    misuse.push({ check: 'freed-while-mapped', detail: `${id} was freed under ${mapped + ranges} live mapping(s)` });
    simulator.counters.misuse++;
    simulator.log.add('misuse', simulator.timeNs, misuse[0]!);
  }
  giveBack(simulator, buffer);
  return ok({ id, timeNs: simulator.timeNs, ...(misuse.length > 0 && { misuse }) });
}

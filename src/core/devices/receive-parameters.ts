/** Members of nic-rx beyond the plain ring: their schema, their defaults, and which of them do not go together. */
import type { Simulator } from '../simulator.ts';
import type { WorkloadSpec } from '../spec.ts';
import { engineDefaults, engineParameters, hasEngine } from './dma-engine.ts';
import { nicDefaults } from './nic.ts';
import { beyondBuffers, type Misfit } from './workload.ts';

const PAGE_BYTES = 4096;

export const receiveParameters = {
  bufferBytes: { type: 'integer', minimum: 512, maximum: 65536, description: 'of a receive buffer; 2048: two a page' },
  recycle: { enum: ['none', 'page-pool'], description: 'page-pool: pages stay mapped' },
  poolPages: { type: 'integer', minimum: 1, maximum: 1048576, description: 'a queue, beside those in its ring' },
  shuffle: {
    type: 'number',
    minimum: 0,
    maximum: 1,
    description: 'share of buffers from a random place in the free list',
  },
  pagesPerDescriptor: { type: 'integer', minimum: 1, maximum: 512, description: 'given back together' },
  acksPerPage: { type: 'number', minimum: 0, maximum: 1, description: 'acknowledgements for 4 KiB received' },
  nicBufferBytes: {
    type: 'integer',
    minimum: 65536,
    maximum: 1073741824,
    description: 'of a device with limits. Assumption: 1 MiB (256 KiB to 4 MiB)',
  },
  completionCpus: {
    type: 'array',
    items: { type: 'integer', minimum: 0, maximum: 63 },
    description: 'CPUs that poll, unmap and free; `cpus` allocate and map',
  },
  ...engineParameters,
};

const poolDefaults = { poolPages: 128, shuffle: 0 };

/** Whether a workload needs more than the plain ring. */
export function needsBuffers(spec: Record<string, unknown>): boolean {
  return Object.keys(receiveParameters).some((member) => spec[member] !== undefined);
}

const laysOut = (spec: Record<string, unknown>) =>
  spec.bufferBytes !== undefined || spec.recycle === 'page-pool' || spec.pagesPerDescriptor !== undefined;

export function receiveDefaults(simulator: Simulator, given: Record<string, unknown>): Record<string, unknown> {
  return {
    ...nicDefaults(simulator),
    ...(laysOut(given) && { mappingsPerPacket: 1, bufferBytes: PAGE_BYTES, recycle: 'none' }),
    ...(given.recycle === 'page-pool' && poolDefaults),
    ...(hasEngine(given) && { ...engineDefaults, nicBufferBytes: 1_048_576 }),
  };
}

/** What does not go together. */
export function checkReceive(_simulator: Simulator, spec: WorkloadSpec): Misfit | null {
  const { bufferBytes, frameBytes, ringSize, pagesPerDescriptor, recycle } = spec as unknown as {
    bufferBytes: number;
    frameBytes: number;
    ringSize: number;
    pagesPerDescriptor?: number;
    recycle?: string;
  };
  if (laysOut(spec)) {
    if (spec.mappingsPerPacket === 2)
      return { path: '/mappingsPerPacket', message: 'buffers are cut by bufferBytes: header and data are not apart' };
    if (pagesPerDescriptor !== undefined) {
      if (recycle === 'page-pool')
        return { path: '/recycle', message: 'pages of a descriptor are given back together, they do not stay mapped' };
      if (bufferBytes > PAGE_BYTES)
        return { path: '/bufferBytes', message: 'buffers of a descriptor of pages lie within a page: at most 4096' };
      const buffers = pagesPerDescriptor * Math.floor(PAGE_BYTES / bufferBytes);
      if (Math.ceil(frameBytes / bufferBytes) > buffers)
        return { path: '/frameBytes', message: `a frame does not fit a descriptor of ${buffers} buffers` };
    } else if (Math.ceil(frameBytes / bufferBytes) > ringSize)
      return { path: '/frameBytes', message: `a frame takes more buffers than a ring of ${ringSize} has` };
  }
  if (recycle !== 'page-pool')
    for (const member of ['poolPages', 'shuffle'])
      if (spec[member] !== undefined)
        return { path: `/${member}`, message: 'there is a free list only with recycle "page-pool"' };
  if (spec.nicBufferBytes !== undefined && !hasEngine(spec))
    return {
      path: '/nicBufferBytes',
      message: 'frames wait only where the device has limits: name one, as outstanding',
    };
  return null;
}

/** What it keeps a place for: buffers in rings and pools, frames in the device. */
export function sizeOfReceive(spec: WorkloadSpec): Misfit | null {
  const { queues, ringSize, frameBytes, bufferBytes = PAGE_BYTES } = spec as unknown as Record<string, number>;
  const { pagesPerDescriptor, poolPages = 0, nicBufferBytes = 0 } = spec as unknown as Record<string, number>;
  const perBlock = Math.max(1, Math.floor(PAGE_BYTES / bufferBytes));
  const perDescriptor = pagesPerDescriptor === undefined ? 1 : pagesPerDescriptor * perBlock;
  return (
    beyondBuffers(queues! * ringSize! * perDescriptor, '/ringSize') ??
    beyondBuffers(queues! * (ringSize! + poolPages) * (poolPages > 0 ? perBlock : 1), '/poolPages') ??
    beyondBuffers(Math.floor(nicBufferBytes / frameBytes!), '/nicBufferBytes')
  );
}

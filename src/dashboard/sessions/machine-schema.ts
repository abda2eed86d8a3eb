/**
 * The members of `machine` and `iommu` that are changed most; the catalog has schemas of what is chosen by kind only. Bounds are the
 * contract's and are checked by the server; the JSON view has all members.
 */
import type { Schema } from '../form/schema.ts';

export const MACHINE: Schema = {
  properties: {
    cpus: { type: 'integer', minimum: 1, maximum: 64 },
    cpuGhz: { type: 'number', description: "the cost profile's clock when absent" },
    memoryBytes: { type: 'integer', description: 'also as 16Gi' },
    frameReuse: { enum: ['lifo', 'fifo', 'random'], description: 'which freed frame is handed out next' },
  },
};

export const IOTLB: Schema = {
  properties: {
    entries: { type: 'integer', description: 'cached translations' },
    ways: { type: 'integer', description: '0: fully associative' },
    replacement: { enum: ['lru', 'plru', 'fifo', 'random'] },
  },
};

export const IOMMU: Schema = {
  properties: {
    levels: { enum: [3, 4, 5], description: 'of the page tables' },
    coherent: { type: 'boolean', description: 'whether it snoops the CPU caches' },
    faultLogEntries: { type: 'integer' },
    deferredFlush: { type: 'boolean', description: 'without: flush-queue becomes strict' },
  },
};

export const INVALIDATION: Schema = {
  properties: {
    interface: { enum: ['queued', 'register', 'per-cpu'] },
    cachingMode: { type: 'boolean', description: 'as hypervisors ask for: a new mapping needs an invalidation too' },
    batchDescriptors: { type: 'integer', description: 'before one wait descriptor' },
    maxAddressMask: { type: 'integer', description: 'wider ranges fall back to the domain' },
  },
};

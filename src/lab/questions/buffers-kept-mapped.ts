/** The same buffers for ever: mapped for each packet, kept mapped in a pool, copied, or kept mapped by the allocator. */
import { CYCLES, GBPS, LONGEST_US, PAGES_IN_REACH } from './columns.ts';
import type { Column, Question } from './question.ts';

const EACH = 'mapped for each packet';
const LAZY = 'mapped for each packet, lazy';
const POOL = 'page pool';
const BOUNCE = 'bounced';
const SHADOW = 'shadow copies';

const MAPS: Column = { head: 'maps a packet', of: { ratio: ['workloads.rx.counts.maps', 'operations'] }, digits: 2 };

export const buffersKeptMapped: Question = {
  kind: 'questions/buffers-kept-mapped',
  title: 'My driver maps and unmaps the same buffers for ever: what if they stayed mapped?',
  question:
    'Under strict a driver pays for a map and an unmap of each packet. What would a pool of pages that stay mapped give, what would copying ' +
    'give, and what of strict’s guarantee is left?',
  source: 'linux iommu list B926444035E5E2439431908E3842AFD249F263 (B. Song, 2020-05-15); Linux page_pool',
  request: {
    base: {
      machine: { cpus: 1 },
      policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'strict' } },
      devices: [{ name: 'nic0', kind: 'nic' }],
    },
    arms: [
      { label: EACH, set: {} },
      { label: LAZY, set: { 'policy.invalidation': { kind: 'flush-queue' } } },
      { label: POOL, set: { 'workloads.rx.recycle': 'page-pool' } },
      { label: BOUNCE, set: { 'policy.mode': 'bounce' } },
      { label: SHADOW, set: { 'policy.mode': 'shadow' } },
    ],
    workloads: [{ name: 'rx', kind: 'nic-rx', device: 'nic0', gbps: 40, cpus: [0], bufferBytes: 4096 }],
    warmUp: { operations: 2000 },
    until: { operations: 10_000 },
    control: false,
  },
  columns: [GBPS, CYCLES, MAPS, { head: 'mappings at the end', of: 'gauges.liveMappings' }, PAGES_IN_REACH, LONGEST_US],
  answer(arms) {
    const [each, pool, shadow] = arms.each([EACH, POOL, SHADOW], GBPS.of) as [number, number, number];
    return [
      `One core receives ${each.toFixed(1)} Gb/s mapping each packet under strict, ${pool.toFixed(1)} from a pool that stays mapped, ` +
        `${shadow.toFixed(1)} with copies.`,
      'The pool has no windows because nothing is unmapped: its pages are within reach for as long as the ring lives.',
    ];
  },
};

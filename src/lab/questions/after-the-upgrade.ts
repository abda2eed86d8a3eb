/** The flush queue was asked for, and is not in force. */
import { CYCLES, GBPS, LONGEST_US, PAGES_IN_REACH } from './columns.ts';
import { cpusTo } from './machines.ts';
import type { Question } from './question.ts';

const CPUS = 16;
const BEFORE = 'lazy, as asked';
const AFTER = 'lazy asked, driver without deferred flush';
const STRICT = 'strict asked';
const CACHING = 'lazy asked, caching mode';

export const afterTheUpgrade: Question = {
  kind: 'questions/after-the-upgrade',
  title: 'After an upgrade 100 Gb/s became a third, and no setting changed: why?',
  question:
    'The kernel was updated, the command line and the configuration are the same, and netperf falls from 95 to 34 Gb/s. What is in force?',
  source: 'iommu mailing list CAHn8xckNt3smeQPi3dgq5i_3vP7KwU45pnP5OCF8nOV_QEdyMA (ice, AMD)',
  request: {
    base: {
      machine: { cpus: CPUS },
      policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'flush-queue' } },
      devices: [{ name: 'nic0', kind: 'nic' }],
    },
    arms: [
      { label: 'passthrough', set: { 'policy.mode': 'passthrough' } },
      { label: BEFORE, set: {} },
      { label: AFTER, set: { 'iommu.deferredFlush': false } },
      { label: CACHING, set: { 'iommu.invalidation.cachingMode': true } },
      { label: STRICT, set: { 'policy.invalidation': { kind: 'strict' } } },
    ],
    workloads: [
      { name: 'rx', kind: 'nic-rx', device: 'nic0', gbps: 100, queues: CPUS, cpus: cpusTo(CPUS), mappingsPerPacket: 1 },
    ],
    warmUp: { operations: 5000 },
    until: { ns: 2_000_000 },
    control: false,
  },
  columns: [
    GBPS,
    CYCLES,
    { head: 'invalidations a packet', of: { ratio: ['counts.invalidationsRange', 'operations'] }, digits: 2 },
    PAGES_IN_REACH,
    LONGEST_US,
  ],
  answer(arms) {
    const [before, after, strict] = arms.each([BEFORE, AFTER, STRICT], GBPS.of) as [number, number, number];
    return [
      `${before.toFixed(1)} Gb/s became ${after.toFixed(1)}; strict does ${strict.toFixed(1)}. ` +
        (after === strict
          ? 'It is strict, to the last bit: the driver no longer offers to defer, and the kernel says so in one line at boot.'
          : ''),
    ];
  },
};

/** A host that does nothing for its guest's invalidations. */
import { CYCLES, LONGEST_US, PAGES_IN_REACH, STALE } from './columns.ts';
import type { Column, Question } from './question.ts';

const STRICT = 'strict, carried out';
const STRICT_DEAF = 'strict, dropped';
const LAZY = 'lazy, carried out';
const LAZY_DEAF = 'lazy, dropped';

const MISDIRECTED: Column = { head: 'honest accesses misdirected', of: 'workloads.fio.verdicts.misdirected' };

export const deafHost: Question = {
  kind: 'questions/deaf-host',
  title: 'My guest flushes, and its host does not pass it on: what happens?',
  question:
    'A guest’s vIOMMU takes its invalidations, and the host never carries them out on the real one. Why do devices then hang or write to ' +
    'the wrong place, and does strict in the guest help?',
  source:
    'linux iommu list e10ad90dc5144c0d9df98a9a078091af@huawei.com, [PATCH v13 07/15], December 2020; 20210723093209.714328-3',
  request: {
    base: {
      machine: { cpus: 1 },
      policy: { mode: 'nested', allocator: { kind: 'rcache' } },
      tenants: [{ name: 'vm', kind: 'vm' }],
      devices: [{ name: 'nvme', kind: 'block' }],
    },
    arms: [
      { label: STRICT, set: { 'policy.invalidation': { kind: 'strict' } } },
      { label: STRICT_DEAF, set: { 'policy.invalidation': { kind: 'strict' }, 'policy.nested': { propagate: false } } },
      { label: LAZY, set: { 'policy.invalidation': { kind: 'flush-queue' } } },
      {
        label: LAZY_DEAF,
        set: { 'policy.invalidation': { kind: 'flush-queue' }, 'policy.nested': { propagate: false } },
      },
    ],
    workloads: [
      {
        name: 'fio',
        kind: 'block',
        device: 'nvme',
        disk: 'nvme',
        // Two pages: they come back in another order, so that an address is seldom for the same page again.
        lengthBytes: 8192,
        pattern: 'random',
        access: 'read',
        depth: 16,
        cpus: [0],
      },
      { name: 'probe', kind: 'hostile', device: 'nvme', target: 'nvme', accessesPerUs: 0.2 },
    ],
    until: { ns: 20_000_000 },
    seeds: [1, 2, 3],
    control: false,
  },
  columns: [
    { head: 'I/Os a second', of: 'workloads.fio.iops' },
    CYCLES,
    MISDIRECTED,
    STALE,
    PAGES_IN_REACH,
    LONGEST_US,
  ],
  answer(arms) {
    const wrong = (label: string) => arms.of(label, MISDIRECTED.of);
    return [
      `Where flushes are carried out no I/O goes astray (${wrong(STRICT)} and ${wrong(LAZY)}); where they are dropped ${wrong(STRICT_DEAF)} do ` +
        `under strict and ${wrong(LAZY_DEAF)} under lazy: the guest hands addresses out again that are still cached.`,
    ];
  },
};

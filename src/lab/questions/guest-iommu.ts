/** What stands between a guest's driver and its assigned device: nothing, an emulated IOMMU, a paravirtual one, nested tables. */
import { CYCLES, GBPS, LONGEST_US, PAGES_IN_REACH } from './columns.ts';
import type { Column, Question } from './question.ts';

const DIRECT = 'direct';
const EMULATED = 'emulated, exits';
const SIDECORE = 'emulated, sidecore';
const PARAVIRTUAL = 'paravirtual';
const NESTED = 'nested';

const EXITS: Column = { head: 'exits a packet', of: { ratio: ['counts.vmExits', 'operations'] }, digits: 2 };

export const guestIommu: Question = {
  kind: 'questions/guest-iommu',
  title: 'What does a vIOMMU cost a guest, against direct assignment?',
  question:
    'An emulated IOMMU is in caching mode: each map and each unmap is an exit. What is left of 10 Gb/s with it, with a core that polls, ' +
    'with virtio-iommu, with nested tables; and what does the guest get for it?',
  source:
    'GitHub karmab/kcli#458, seL4/seL4#1729 (which updates need an invalidation in caching mode); vIOMMU, USENIX ATC 2011',
  request: {
    base: {
      machine: { cpus: 1 },
      policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'strict' } },
      tenants: [{ name: 'vm', kind: 'vm' }],
      devices: [{ name: 'nic0', kind: 'nic' }],
    },
    arms: [
      { label: DIRECT, set: { 'policy.mode': 'direct' } },
      { label: EMULATED, set: { 'policy.mode': 'emulated' } },
      { label: SIDECORE, set: { 'policy.mode': 'emulated', 'policy.emulated': { handling: 'sidecore' } } },
      { label: PARAVIRTUAL, set: { 'policy.mode': 'paravirtual' } },
      { label: NESTED, set: { 'policy.mode': 'nested' } },
    ],
    workloads: [{ name: 'rx', kind: 'nic-rx', device: 'nic0', gbps: 10, cpus: [0], mappingsPerPacket: 1 }],
    until: { ns: 10_000_000 },
    control: false,
  },
  columns: [GBPS, CYCLES, EXITS, PAGES_IN_REACH, LONGEST_US],
  answer(arms) {
    const gbps = (label: string) => arms.of(label, GBPS.of).toFixed(1);
    return [
      `Of ${gbps(DIRECT)} Gb/s ${gbps(EMULATED)} are left with exits, ${gbps(SIDECORE)} with a core that polls, ${gbps(PARAVIRTUAL)} with ` +
        `virtio-iommu, ${gbps(NESTED)} with nested tables.`,
      'Without a vIOMMU the device reaches all of its guest at any time; under the others nothing that was unmapped.',
    ];
  },
};

/**
 * A malicious guest: a NIC is assigned to it, its buffers go back to the machine when they are unmapped, and another guest is handed
 * them. Its device goes on using the addresses that it has seen: it reads what it was to send, and writes where it was to receive.
 */
import type { Plain } from '../experiment.ts';
import type { Column, Question } from './question.ts';

const COMBINATIONS: { allocator: Plain; invalidation: Plain }[] = [
  { allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' } },
  { allocator: { kind: 'rcache' }, invalidation: { kind: 'strict' } },
  { allocator: { kind: 'contiguous' }, invalidation: { kind: 'batched' } },
  { allocator: { kind: 'rcache' }, invalidation: { kind: 'batched' } },
  { allocator: { kind: 'rbtree-2008' }, invalidation: { kind: 'deferred-2008' } },
  { allocator: { kind: 'bitmap' }, invalidation: { kind: 'deferred-2008' } },
  { allocator: { kind: 'rbtree' }, invalidation: { kind: 'flush-queue' } },
  { allocator: { kind: 'rcache' }, invalidation: { kind: 'flush-queue' } },
  { allocator: { kind: 'contiguous' }, invalidation: { kind: 'flush-queue' } },
  { allocator: { kind: 'bitmap' }, invalidation: { kind: 'wrap' } },
  { allocator: { kind: 'gart' }, invalidation: { kind: 'wrap' } },
  { allocator: { kind: 'sba-parisc' }, invalidation: { kind: 'delayed' } },
  { allocator: { kind: 'sba-ia64' }, invalidation: { kind: 'delayed', form: 'ia64' } },
  { allocator: { kind: 'identity' }, invalidation: { kind: 'never' } },
  { allocator: { kind: 'rcache' }, invalidation: { kind: 'never' } },
];

export const nameOf = ({ allocator, invalidation }: (typeof COMBINATIONS)[number]): string =>
  `${invalidation.kind}${invalidation.form === undefined ? '' : ` (${invalidation.form})`}, ${allocator.kind}`;

const NESTED = 'nested: strict, rcache';
const DIRECT = 'direct: all of the guest mapped';

export const READS: Column = { head: 'reads of the other’s memory', of: 'workloads.reader.reached.crossTenant.reads' };
export const WRITES: Column = { head: 'writes to it', of: 'workloads.writer.reached.crossTenant.writes' };
const delay = (head: string, workload: string, quantile: string): Column => ({
  head,
  of: `workloads.${workload}.reached.crossTenant.delayNs.${quantile}`,
  scale: 1e-3,
  digits: 2,
  unless: `workloads.${workload}.reached.crossTenant.writes`,
});

const SOONEST = delay('soonest after the unmap, us', 'writer', 'min');

/** Assumption (50 to 500): what a device needs to be told of an unmap, a write across the bus. */
const REACTION_NS = 100;

const MALLORY = { tenant: 'mallory', device: 'nic0' };
const VICTIM = { tenant: 'victim', device: 'nic1' };

export const maliciousVm: Question = {
  kind: 'questions/malicious-vm',
  title: 'What does a malicious guest reach of another?',
  question:
    'A NIC is assigned to a guest that is not to be trusted. Memory that its driver gives back is soon another guest’s. What does the ' +
    'device read and overwrite there through translations that were not yet invalidated, how often, and how soon after the unmap?',
  source:
    'Linux kernel mailing list, June 2008, J. Bottomley’s summary: a malicious guest may reach memory that is no longer its own; ' +
    'iommu mailing list 20210624101557.v2.3.Icde6be7 (D. Anderson, 2021): the page that is freed, reallocated and read before the flush',
  request: {
    base: {
      machine: { cpus: 4, frameReuse: 'lifo' },
      tenants: [
        { name: 'mallory', kind: 'vm' },
        { name: 'victim', kind: 'vm' },
      ],
      domains: [
        { name: 'hers', tenant: 'mallory' },
        { name: 'theirs', tenant: 'victim' },
      ],
      devices: [
        { name: 'nic0', kind: 'nic', domain: 'hers' },
        { name: 'nic1', kind: 'nic', domain: 'theirs' },
      ],
      costs: { profile: 'riommu15-brcm' },
    },
    arms: [
      ...COMBINATIONS.map((each) => ({
        label: nameOf(each),
        set: { 'policy.allocator': each.allocator, 'policy.invalidation': each.invalidation },
      })),
      {
        label: NESTED,
        set: {
          'policy.mode': 'nested',
          'policy.allocator': { kind: 'rcache' },
          'policy.invalidation': { kind: 'strict' },
        },
      },
      { label: DIRECT, set: { 'policy.mode': 'direct' } },
    ],
    workloads: [
      { name: 'rx', kind: 'nic-rx', ...MALLORY, gbps: 2, ringSize: 64, cpus: [0], completionCpus: [1] },
      { name: 'tx', kind: 'nic-tx', ...MALLORY, gbps: 2, ringSize: 64, cpus: [1] },
      { name: 'their-rx', kind: 'nic-rx', ...VICTIM, gbps: 2, ringSize: 64, cpus: [2], completionCpus: [3] },
      { name: 'their-tx', kind: 'nic-tx', ...VICTIM, gbps: 2, ringSize: 64, cpus: [3] },
      {
        name: 'reader',
        kind: 'hostile',
        device: 'nic0',
        target: 'nic0',
        access: 'read',
        accessesPerUs: 1,
        delayAfterUnmapNs: REACTION_NS,
      },
      {
        name: 'writer',
        kind: 'hostile',
        device: 'nic0',
        target: 'nic0',
        access: 'write',
        accessesPerUs: 1,
        delayAfterUnmapNs: REACTION_NS,
      },
      {
        name: 'patient',
        kind: 'hostile',
        device: 'nic0',
        target: 'nic0',
        access: 'write',
        select: 'random-unmapped',
        accessesPerUs: 1,
        delayAfterUnmapNs: REACTION_NS,
      },
    ],
    until: { ns: 10_000_000 },
    seeds: [1, 2],
  },
  columns: [
    READS,
    WRITES,
    SOONEST,
    delay('median, us', 'writer', 'p50'),
    delay('latest, us', 'patient', 'max'),
    { head: 'stale accesses in all', of: 'exposure.staleAccesses' },
    { head: 'honest accesses misdirected', of: 'workloads.rx.verdicts.misdirected' },
    { head: 'cycles a packet', of: 'workloads.rx.cyclesPerOperation' },
  ],
  answer(arms) {
    const reached = (label: string) => arms.of(label, READS.of) + arms.of(label, WRITES.of);
    const none = arms.labels.filter((label) => reached(label) === 0);
    const some = arms.labels.filter((label) => reached(label) > 0 && label !== 'passthrough');
    const [first] = some as [string];
    const worst = some.reduce((most, label) => (reached(label) > reached(most) ? label : most), first);
    return [
      `Nothing of the other guest is reached under ${none.join('; ')}.`,
      `Under all others something is, without protection nearly all that is tried, and of policies most under ${worst}: ${arms.of(worst, READS.of)} reads and ${arms.of(worst, WRITES.of)} writes in ` +
        `10 ms, of 10,000 attempts each. The soonest comes ${Math.min(...arms.each(some, SOONEST.of, SOONEST.scale)).toFixed(2)} us after an unmap.`,
    ];
  },
};

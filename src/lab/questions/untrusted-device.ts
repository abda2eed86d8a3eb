/** A device on an external port: strict, and copies of what does not fill its pages. */
import { CYCLES, GBPS, LONGEST_US, PAGES_IN_REACH } from './columns.ts';
import type { Column, Question } from './question.ts';

const BUILT_IN = 'trusted, flush-queue';
const STRICT = 'trusted, strict';
const WHOLE = 'untrusted, whole pages';
const PARTS = 'untrusted, 1,500 bytes';

const COPY: Column = { head: 'bytes copied for a packet', of: { ratio: ['counts.bytesCopied', 'operations'] } };

export const untrustedDevice: Question = {
  kind: 'questions/untrusted-device',
  title: 'What does it cost that a Thunderbolt NIC is "untrusted"?',
  question:
    'The kernel marks devices on external ports as untrusted: no lazy flush, and bytes that share a page with others are bounced. What do ' +
    'the two parts of that cost, so that it is known what clearing the flag would win?',
  source: 'GitHub tenstorrent/tt-kmd#195 (a driver that clears the flag); iommu mailing list 20210225061454.2864009-1',
  request: {
    base: {
      machine: { cpus: 1 },
      policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'flush-queue' } },
      devices: [{ name: 'dock', kind: 'nic', untrusted: false }],
    },
    arms: [
      { label: 'passthrough', set: { 'policy.mode': 'passthrough' } },
      { label: BUILT_IN, set: {} },
      { label: STRICT, set: { 'policy.invalidation': { kind: 'strict' } } },
      { label: PARTS, set: { 'devices.dock.untrusted': true } },
      { label: WHOLE, set: { 'devices.dock.untrusted': true, 'workloads.rx.frameBytes': 4096 } },
    ],
    workloads: [
      { name: 'rx', kind: 'nic-rx', device: 'dock', gbps: 10, frameBytes: 1500, cpus: [0], mappingsPerPacket: 1 },
    ],
    warmUp: { operations: 2000 },
    until: { ns: 10_000_000 },
    control: false,
  },
  columns: [GBPS, CYCLES, COPY, PAGES_IN_REACH, LONGEST_US],
  answer(arms) {
    const [trusted, strict, parts] = arms.each([BUILT_IN, STRICT, PARTS], CYCLES.of) as [number, number, number];
    return [
      `A packet takes ${trusted.toFixed(0)} cycles for a trusted device and ${parts.toFixed(0)} for an untrusted one: ` +
        `${(strict - trusted).toFixed(0)} of the difference is strict, ${(parts - strict).toFixed(0)} is the copy.`,
    ];
  },
};

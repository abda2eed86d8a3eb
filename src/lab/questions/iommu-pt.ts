/** Command lines that people try, and what they come to: which policy is in force, what it costs and what it lets through. */
import { CYCLES, GBPS, LONGEST_US, PAGES_IN_REACH } from './columns.ts';
import { cpusTo } from './machines.ts';
import type { Question } from './question.ts';

const CPUS = 4;
/** What a kernel that is built for lazy amounts to. */
const LAZY = 'iommu.strict=0';
const PT = `${LAZY} iommu=pt`;
const TYPO = `${LAZY} amd_iommu=pt`;
const STRICT = 'iommu.strict=1';

export const iommuPt: Question = {
  kind: 'questions/iommu-pt',
  title: 'Does iommu=pt gain anything?',
  question:
    'Guides tell people to boot with iommu=pt, or with amd_iommu=pt. What is gained over the default, what over strict, and which of the ' +
    'lines do anything at all?',
  source: 'GitHub kyuz0/amd-strix-halo-toolboxes#66, fwupd/fwupd#5304, NVIDIA/NV-Kernels#226 (passthrough by default)',
  request: {
    base: {
      machine: { cpus: CPUS },
      policy: { allocator: { kind: 'rcache' } },
      devices: [{ name: 'nic0', kind: 'nic' }],
    },
    arms: [LAZY, PT, TYPO, STRICT].map((line) => ({ label: line, set: { kernelCommandLine: line } })),
    workloads: [
      { name: 'rx', kind: 'nic-rx', device: 'nic0', gbps: 40, queues: CPUS, cpus: cpusTo(CPUS), mappingsPerPacket: 1 },
    ],
    warmUp: { operations: 5000 },
    until: { ns: 10_000_000 },
    control: false,
  },
  columns: [GBPS, CYCLES, PAGES_IN_REACH, LONGEST_US],
  answer(arms) {
    const [pt, typo, lazy, strict] = arms.each([PT, TYPO, LAZY, STRICT], CYCLES.of) as [number, number, number, number];
    return [
      `A packet takes ${pt.toFixed(0)} cycles under iommu=pt, ${lazy.toFixed(0)} under lazy, ${strict.toFixed(0)} under strict.`,
      typo === pt
        ? 'amd_iommu=pt is passthrough too.'
        : 'amd_iommu=pt is no passthrough: there is no such value, and what was in force before is in force still.',
    ];
  },
};

/** The rest of the page: what lies beside a buffer, and what copies do about it. */
import { CYCLES, GBPS, PAGES_IN_REACH } from './columns.ts';
import type { Column, Question } from './question.ts';

const RESIDUE: Column = {
  head: 'bytes of unmapped buffers within reach, mean',
  of: { ratio: ['exposure.residualByteSeconds', 'simulatedSeconds'] },
};
const STRICT_HALF = 'strict, two buffers a page';
const STRICT_WHOLE = 'strict, a page each';
const LAZY_HALF = 'flush-queue, two buffers a page';
const SHADOW = 'shadow copies';
const BOUNCE = 'bounce';

export const neighbours: Question = {
  kind: 'questions/neighbours',
  title: 'Strict protects pages, not bytes: what is left, and what do copies cost?',
  question:
    'Two receive buffers of 2 KiB share a page. Under strict, what of the one that was unmapped does the device still reach through the ' +
    'other? And what does it cost to give it copies instead?',
  source:
    'EuroSys 2021 (Markuze and others, DMA code injection); GitHub a13xp0p0v/kernel-hardening-checker#217, fwupd/fwupd#5304',
  request: {
    base: {
      machine: { cpus: 1 },
      policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'strict' } },
      devices: [{ name: 'nic0', kind: 'nic' }],
    },
    arms: [
      { label: STRICT_HALF, set: { 'workloads.rx.bufferBytes': 2048 } },
      { label: STRICT_WHOLE, set: { 'workloads.rx.bufferBytes': 4096 } },
      { label: LAZY_HALF, set: { 'workloads.rx.bufferBytes': 2048, 'policy.invalidation': { kind: 'flush-queue' } } },
      { label: SHADOW, set: { 'workloads.rx.bufferBytes': 2048, 'policy.mode': 'shadow' } },
      { label: BOUNCE, set: { 'workloads.rx.bufferBytes': 2048, 'policy.mode': 'bounce' } },
    ],
    workloads: [{ name: 'rx', kind: 'nic-rx', device: 'nic0', gbps: 5, ringSize: 256, cpus: [0], bufferBytes: 2048 }],
    warmUp: { operations: 1000 },
    until: { ns: 10_000_000 },
    control: false,
  },
  columns: [GBPS, CYCLES, RESIDUE, PAGES_IN_REACH],
  answer(arms) {
    const [half, whole, shadow] = arms.each([STRICT_HALF, STRICT_WHOLE, SHADOW], RESIDUE.of) as [
      number,
      number,
      number,
    ];
    const [strictCycles, shadowCycles] = arms.each([STRICT_WHOLE, SHADOW], CYCLES.of) as [number, number];
    return [
      `With two buffers a page ${half.toFixed(0)} bytes of buffers that were given back are within reach at any moment under strict; with a ` +
        `page each ${whole.toFixed(0)}, with shadow copies ${shadow.toFixed(0)}.`,
      `A packet takes ${strictCycles.toFixed(0)} cycles under strict and ${shadowCycles.toFixed(0)} with shadow copies.`,
    ];
  },
};

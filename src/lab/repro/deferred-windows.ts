/** How long a page stays reachable after its unmap: none under strict, a batch or 10 ms when deferred (S7), by arithmetic and by run. */
import type { Arm, Measure, Reproduction, Row } from './reproduction.ts';

const BATCH = 250;
const TIMEOUT_NS = 10_000_000;
const FRAME_BYTES = 1500;

/** Packets a second; each unmaps one page. */
const RATES = [1_000, 10_000, 100_000, 812_000];

/** Gb/s of so many frames a second, with the 38 bytes that a frame takes on the wire beside its own. */
const load = (packets: number) => (packets * (FRAME_BYTES + 38) * 8) / 1e9;

const received = (rate: number, kind: string): Arm => ({
  spec: {
    machine: { cpus: 1 },
    policy: { allocator: { kind: 'rbtree-2008' }, invalidation: { kind } },
    devices: [{ name: 'nic0', kind: 'nic' }],
    workloads: [
      {
        name: 'rx',
        kind: 'nic-rx',
        device: 'nic0',
        cpus: [0],
        gbps: load(rate),
        frameBytes: FRAME_BYTES,
        ringSize: 512,
      },
    ],
    // What a packet costs its driver is left out, so that the highest rate is carried and the windows are the policy's alone.
    costs: { profile: 'riommu15-brcm', overrides: { packet: 0, packetTax: 0 } },
  },
  // Whole rounds of the queue: 40 ms are four timeouts, and hundreds of batches at the highest rate.
  before: [{ forNs: 2 * TIMEOUT_NS }],
  run: { forNs: 20 * TIMEOUT_NS },
});

const name = (rate: number): string => `${rate / 1000} k/s`;
const longest = (arm: string): Measure => ({ arm, metric: 'exposure.potential.longestWindowNs' });
/** Pages that wait for their invalidation, mean over the time. */
const waiting = (arm: string): Measure => ({
  ratio: [
    { arm, metric: 'exposure.potential.pageSeconds' },
    { arm, metric: 'simulatedSeconds' },
  ],
});

export const deferredWindows: Reproduction = {
  id: 'deferred-windows',
  title: 'How long a page stays reachable after its unmap',
  citation:
    'The Linux rule since 2008: flush at 250 entries or after 10 ms (commit "PCI: iommu: iotlb flushing"); vIOMMU, ATC 2011, for ' +
    'the classes of windows; Linux dma-iommu for strict',
  setup:
    'A receive ring at a steady rate L, one unmap a packet. The longest window is min(10 ms, 250 / L); the mean number of pages that ' +
    'wait is half a batch where the batch limit binds, L x 5 ms where the timer does. The timer is armed by the first entry of a ' +
    'batch, so windows under it are as long as the wait for that entry; at 1 k/s the batch is 10 packets, and the first of them ' +
    'waits all 10 ms.',
  arms: {
    ...Object.fromEntries(RATES.map((rate) => [name(rate), received(rate, 'deferred-2008')])),
    strict: received(100_000, 'strict'),
    'flush-queue': received(100_000, 'flush-queue'),
  },
  rows: [
    ...RATES.map(
      (rate): Row => ({
        target: 'S7',
        what: `deferred, ${name(rate)}: longest window`,
        published: {
          value: Math.min(TIMEOUT_NS, (BATCH / rate) * 1e9) / 1000,
          tag: 'derived',
          where: 'min(10 ms, 250 / L)',
        },
        simulated: { scaled: [longest(name(rate)), 1e-3] },
        unit: 'us',
        digits: 0,
        accept: { within: 0.05 },
        calibrated: false,
      }),
    ),
    ...RATES.map(
      (rate): Row => ({
        target: 'S7',
        what: `deferred, ${name(rate)}: pages waiting, mean`,
        published: { value: Math.min(BATCH / 2, rate * 5e-3), tag: 'derived', where: 'min(125, L x 5 ms)' },
        simulated: waiting(name(rate)),
        digits: 1,
        accept: { within: 0.15 },
        calibrated: false,
      }),
    ),
    {
      target: 'S7',
      what: 'strict: page-seconds of exposure',
      published: { value: 0, tag: 'sourced', where: 'Linux dma-iommu: invalidated before unmap returns' },
      simulated: { arm: 'strict', metric: 'exposure.potential.pageSeconds' },
      digits: 0,
      accept: { exactly: true },
      calibrated: false,
    },
    {
      target: 'S7',
      what: 'flush-queue, 100 k/s: longest window',
      published: { value: 2560, tag: 'derived', where: 'Linux dma-iommu: min(10 ms, 256 / L)' },
      simulated: { scaled: [longest('flush-queue'), 1e-3] },
      unit: 'us',
      digits: 0,
      accept: { within: 0.05 },
      calibrated: false,
    },
  ],
};

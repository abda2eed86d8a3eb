/** The clock's base moves when time gets far from it: a run across that moment counts what the same run counts at the beginning. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { REBASE_PS } from '../../../src/core/sim/clock.ts';
import { Machine } from '../build.ts';

const MS = 1_000_000;
const limits = { outstanding: 6, parallelWalks: 1, missNs: 330, busGbps: 20 };

const workloads: Record<string, Record<string, unknown>> = {
  'dma-window': { kind: 'dma-window', windowBytes: 2 ** 20, ...limits },
  'dma-window, copies': { kind: 'dma-window', access: 'copy', accessBytes: 3000, windowBytes: 2 ** 19, ...limits },
  'map-benchmark': { kind: 'map-benchmark', threads: 6, transferNs: 3333, seconds: 1 },
  'nic-rx with limits': { kind: 'nic-rx', gbps: 30, ringSize: 64, queues: 3, ...limits, nicBufferBytes: 65_536 },
  'nic-rx, completed elsewhere': {
    kind: 'nic-rx',
    gbps: 12,
    ringSize: 16,
    queues: 2,
    cpus: [0],
    completionCpus: [1, 2],
  },
  'nic-rx, a pool and acknowledgements': {
    kind: 'nic-rx',
    ...{ gbps: 6, ringSize: 32, bufferBytes: 2048, recycle: 'page-pool', poolPages: 8, shuffle: 0.2, acksPerPage: 0.7 },
  },
  'nic-tx with limits': { kind: 'nic-tx', gbps: 12, ringSize: 32, queues: 2, ...limits },
  'block with limits': { kind: 'block', disk: 'nvme', lengthBytes: 20_000, depth: 16, ...limits },
};

describe('a run across the moment at which the base moves', () => {
  for (const [name, workload] of Object.entries(workloads))
    test(name, () => {
      const play = (startNs: number) => {
        const machine = new Machine({
          costs: { profile: 'riommu15-brcm' },
          policy: { allocator: { kind: 'bitmap' }, invalidation: { kind: 'strict' } },
          devices: [{ name: 'n', kind: 'custom' }],
          workloads: [{ device: 'n', ...workload }],
        });
        if (startNs > 0) machine.advance(startNs);
        const { baseNs } = machine.sim.clock;
        const result = machine.run({ forNs: 2 * MS });
        return { result, moved: machine.sim.clock.baseNs !== baseNs };
      };
      const early = play(0);
      const late = play(Math.floor(REBASE_PS / 1000) - MS);
      assert.deepEqual([early.moved, late.moved], [false, true]);
      assert.ok(early.result.operations > 50);
      assert.deepEqual(late.result.workloads[0]!.counts, early.result.workloads[0]!.counts);
      assert.deepEqual(late.result.latencyNs, early.result.latencyNs);
      assert.deepEqual(late.result.iotlb, early.result.iotlb);
      assert.deepEqual(
        (late.result.workloads[0] as unknown as { engine?: unknown }).engine,
        (early.result.workloads[0] as unknown as { engine?: unknown }).engine,
      );
    });
});

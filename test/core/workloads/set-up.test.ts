/**
 * A ring's set-up fills 64 descriptors an event, in advance. A search for an address may yield in the midst of that: the batch then goes
 * on where it was, with the work that it had done, and nothing shows of it.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Machine } from '../build.ts';

const PAGE = 4096;

/**
 * Four pages a buffer, and holes of one page in three places: above all, after 16 buffers, and after 256 more. The search that comes to
 * holes passes by all of them, in the midst of a batch of the ring and of one of the pool.
 *
 *     holes | room for 16 | holes | room for 256 | holes | free down to 0
 */
function play(workload: Record<string, unknown>, allocator: string, slice: number, budget: number) {
  const machine = new Machine({
    machine: { cpus: 2 },
    costs: { profile: 'riommu15-brcm' },
    policy: { allocator: { kind: allocator }, invalidation: { kind: 'deferred-2008' } },
    devices: [{ name: 'n', kind: 'nic' }],
    workloads: [
      { kind: 'nic-rx', device: 'n', gbps: 10, frameBytes: 9000, ringSize: 100, queues: 2, cpus: [0, 1], ...workload },
    ],
  });
  machine.sim.searchBudget = budget;
  const map = (pages: number) => machine.map('n', { physicalAddress: 0, lengthBytes: pages * PAGE }).id;
  const given: string[] = [];
  for (const room of [16, 256, 0]) {
    const held = Array.from({ length: 40 }, () => map(1));
    given.push(...held.filter((_, at) => at % 2 === 0));
    if (room > 0) given.push(map(4 * room));
  }
  for (const mapping of given) machine.unmap(mapping);
  machine.advance(20_000_000);
  let yields = 0;
  machine.sim.startRun({ forNs: 40_000 });
  while (!machine.sim.stepRun(slice)) yields++;
  return { yields, digest: machine.sim.digest(), result: machine.sim.runResult() };
}

describe('a search that yields in the midst of a set-up leaves no trace', () => {
  for (const [name, workload] of Object.entries({
    'nic-rx': {},
    'nic-rx, header and data': { mappingsPerPacket: 2 },
    'nic-rx-buffers, a mapping a packet': { recycle: 'none' },
    'nic-rx-buffers, buffers of 16 KiB': { bufferBytes: 16_384 },
    'nic-rx-buffers, a pool of them': { bufferBytes: 16_384, recycle: 'page-pool', poolPages: 70 },
  }))
    for (const allocator of ['rbtree', 'rbtree-2008'])
      test(`${name}, ${allocator}`, () => {
        const whole = play(workload, allocator, 1e9, Number.POSITIVE_INFINITY);
        for (const budget of [1, 3, 10]) {
          const { yields, ...sliced } = play(workload, allocator, 1e9, budget);
          assert.ok(yields > 0, 'no search yielded, so nothing was tested');
          assert.deepEqual({ ...sliced, yields: whole.yields }, whole);
        }
      });
});

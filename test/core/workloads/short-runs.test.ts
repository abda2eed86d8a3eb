/** A run may be shorter than what a CPU does meanwhile: what ends after it has not begun, and nothing is less than none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSimulator, resolveSpec } from '../../../src/core/index.ts';

/** Paths of numbers below 0. */
function negative(value: unknown, path = ''): string[] {
  if (typeof value === 'number') return value < 0 ? [`${path} ${value}`] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => negative(member, `${path}.${key}`));
}

for (const kind of ['strict', 'deferred-2008', 'flush-queue', 'delayed', 'never'])
  test(`under ${kind} no figure of a short run is negative, nor of the one after it`, () => {
    const simulator = createSimulator(
      resolveSpec({
        policy: { allocator: { kind: 'rbtree' }, invalidation: { kind } },
        devices: [{ name: 'n', kind: 'nic' }],
        workloads: [
          { kind: 'nic-rx', device: 'n', frameBytes: 64 },
          { kind: 'nic-tx', device: 'n', cpus: [1] },
        ],
      }),
    );
    let windows = 0;
    for (const forNs of [1, 500, 1000, 1500, 2000, 2500, 3000, 4000, 5000, 7000, 10_000, 100_000]) {
      assert.equal(simulator.startRun({ forNs }).status, 'ok');
      while (!simulator.stepRun(1000));
      const metrics = simulator.read({ read: 'metrics' });
      assert.ok(metrics.status === 'ok');
      assert.deepEqual(negative({ run: simulator.runResult(), session: metrics.result }), []);
      windows += (metrics.result as { exposure: { potential: { currentPages: number } } }).exposure.potential
        .currentPages;
    }
    assert.equal(windows > 0, kind !== 'strict', 'there is something to be negative');
  });

/** How much memory a simulation takes, beside what its columns are known to have. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSimulator, resolveSpec } from '../../../src/core/index.ts';
import type { Operation } from '../../../src/core/operations.ts';
import type { SimulatorApi } from '../../../src/core/simulator-api.ts';
import { Walk } from '../../../src/core/state/footprint.ts';

function bytesOf(simulator: SimulatorApi, objects: number): number {
  const walk = simulator.measure();
  for (;;) {
    const bytes = walk.step(objects);
    if (bytes !== null) return bytes;
  }
}

function apply(simulator: SimulatorApi, operation: Operation): void {
  assert.equal(simulator.apply(operation)!.status, 'ok');
}

const SPEC = { machine: { memoryBytes: 2 ** 40 }, devices: [{ name: 'nic0', kind: 'nic' }] };

test('columns count to the byte, once however often they are met, and views for the memory that they are on', () => {
  const shared = new Float64Array(1000);
  const root = { shared, again: [shared, shared], view: shared.subarray(10, 20), other: new Uint8Array(500) };
  const walk = new Walk({ ...root, loop: root });
  const bytes = walk.step(1000)!;
  assert.ok(bytes >= 8500 && bytes < 8500 + 2000, `${bytes}`);
});

test('it is the same in one step and in many, leaves no trace, and comes to what is added', () => {
  const simulator = createSimulator(resolveSpec(SPEC));
  const empty = bytesOf(simulator, Number.POSITIVE_INFINITY);
  assert.equal(bytesOf(simulator, 1), empty);
  assert.ok(empty < 1 << 20, `${empty} bytes of a session in which nothing is`);
  const digest = simulator.digest();
  bytesOf(simulator, 7);
  assert.equal(simulator.digest(), digest);
  // 2^18 frames of 26 bytes, and the columns' own.
  apply(simulator, { op: 'buffer', lengthBytes: 2 ** 30 });
  const frames = bytesOf(simulator, 1000) - empty;
  assert.ok(frames > 2 ** 18 * 26 && frames < 2 ** 18 * 36, `${frames} for frames`);
});

test('what a session holds after a reset or a restart is what another one holds', () => {
  const [one, other] = [createSimulator(resolveSpec(SPEC)), createSimulator(resolveSpec(SPEC))];
  for (let i = 0; i < 500; i++)
    for (const simulator of [one, other])
      apply(simulator, {
        op: 'map',
        device: 'nic0',
        kind: 'single',
        direction: 'to-device',
        physicalAddress: 4096 * (300 + i),
        lengthBytes: 4096,
      });
  assert.equal(bytesOf(one, 100), bytesOf(other, 3));
});

/** A reset is a new simulator of the same spec: it has the digest of a fresh one, and goes on like one. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { coreVersion, createSimulator, resolveSpec } from '../../../src/core/index.ts';
import { Machine } from '../build.ts';

const spec = {
  seed: 5,
  tenants: [{ name: 'guest', kind: 'vm', memoryBytes: 2 ** 24 }],
  domains: [{ name: 'shared' }],
  devices: [{ name: 'n', kind: 'nic', domain: 'shared' }],
  workloads: [{ name: 'rx', kind: 'nic-rx', device: 'n', ringSize: 16, tenant: 'guest' }],
};

describe('reset', () => {
  test('what the spec makes is there before time 0: no operation counted, no time passed', () => {
    const { sim } = new Machine(spec);
    assert.deepEqual([sim.timePs, sim.operations, sim.version], ['0', 0, 0]);
    assert.match(sim.digest(), /^[0-9a-f]{64}$/);
    for (const read of ['tenants', 'domains', 'devices', 'workloads'] as const) {
      const outcome = sim.read({ read });
      assert.ok(outcome.status === 'ok');
      assert.equal((outcome.result.items as unknown[]).length, 1, read);
    }
  });

  test('elements of a spec give the machine that the same operations give', () => {
    const made = new Machine({ seed: 5 });
    made.ok({ op: 'tenant', name: 'guest', kind: 'vm', memoryBytes: 2 ** 24 });
    made.ok({ op: 'domain', name: 'shared' });
    made.ok({ op: 'device', name: 'n', kind: 'nic', domain: 'shared' });
    made.ok({ op: 'workload', name: 'rx', kind: 'nic-rx', device: 'n', ringSize: 16, tenant: 'guest' });
    assert.equal(made.sim.digest(), new Machine(spec).sim.digest());
  });

  test('a used session made anew has the digest of a fresh one and goes on like it', () => {
    const fresh = () => createSimulator(resolveSpec(spec));
    const play = (sim: ReturnType<typeof fresh>) => {
      sim.startRun({ operations: 200 });
      while (!sim.stepRun(50));
      sim.apply({ op: 'buffer', lengthBytes: 4096 });
      sim.apply({ op: 'map', device: 'n', kind: 'single', direction: 'to-device', buffer: 'buf_0' });
      return sim.digest();
    };
    const used = fresh();
    const before = used.digest();
    const after = play(used);
    assert.notEqual(after, before);
    // Made of the resolved document that the used one shows.
    const again = createSimulator(resolveSpec(JSON.parse(JSON.stringify(used.spec))));
    assert.equal(again.digest(), before);
    assert.equal(play(again), after);
  });

  test('two sessions in one process share nothing', () => {
    const alone = new Machine(spec);
    const digest = () => alone.sim.digest();
    const before = digest();
    const other = new Machine({ ...spec, seed: 6 });
    other.run({ operations: 500 });
    assert.equal(digest(), before);
    assert.ok(coreVersion.length > 0);
  });

  test('version rises with every change and with nothing else', () => {
    const { sim } = new Machine(spec);
    sim.read({ read: 'metrics' });
    sim.apply({ op: 'free', buffer: 'nothing' });
    assert.equal(sim.version, 0);
    sim.apply({ op: 'advance', ns: 0 });
    assert.equal(sim.version, 1);
    sim.startRun({ forNs: 10_000 });
    const { version } = sim;
    sim.stepRun(1);
    assert.ok(sim.version > version);
  });
});

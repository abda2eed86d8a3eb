/**
 * Anything a user can ask for, in any order: nothing trips an assertion, what is refused leaves no trace, and after all is taken
 * apart again no frame, no mapping and no address is left behind.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Dice, Machine } from '../build.ts';
import { Anything, machines } from './anything.ts';

describe('anything in any order', () => {
  const total = { runs: 0, traffic: 0 };

  for (const [name, spec] of Object.entries(machines))
    test(`${name}: 1,200 random operations and runs`, () => {
      const machine = new Machine({ ...spec, machine: { memoryBytes: 2 ** 24, ...(spec.machine as object) } });
      const { sim } = machine;
      const dice = new Dice(name.length);
      const anything = new Anything(dice, name.includes('untrusted'));
      const statuses: Record<string, number> = { ok: 0, failed: 0, refused: 0 };
      let runs = 0;
      let traffic = 0;
      for (let step = 0; step < 1200; step++) {
        const before = step % 5 === 0 ? sim.digest() : null;
        let what: unknown;
        try {
          if (dice.chance(25)) {
            const request = anything.run();
            what = request;
            sim.searchBudget = dice.pick([2, Number.POSITIVE_INFINITY]);
            const { status } = sim.startRun(request);
            if (status === 'refused') {
              if (before !== null) assert.equal(sim.digest(), before);
              continue;
            }
            runs++;
            let slices = 0;
            while (!sim.stepRun(100)) if (++slices > 20) break;
            if (!sim.run!.ended) {
              const refused = sim.apply({ op: 'advance', ns: 1 });
              assert.ok(refused?.status === 'refused' && refused.problem.code === 'run-active');
              sim.cancelRun();
            }
            traffic += sim.runResult().operations as number;
            continue;
          }
          const operation = anything.operation();
          what = operation;
          const { status } = machine.apply(operation);
          statuses[status]!++;
          if (status === 'refused' && before !== null) assert.equal(sim.digest(), before, 'a refusal left a trace');
          if (status === 'ok' && before !== null && operation.op !== 'advance') assert.notEqual(sim.digest(), before);
        } catch (error) {
          throw new Error(`step ${step}, ${JSON.stringify(what)}`, { cause: error });
        }
      }
      // Guests are refused more: what is not theirs has no name.
      assert.ok(statuses.ok! > (spec.tenants ? 150 : 240) && statuses.refused! > 240, JSON.stringify(statuses));
      if (name === 'little memory') assert.ok(statuses.failed! > 30, JSON.stringify(statuses));
      total.runs += runs;
      total.traffic += traffic;

      // Everything is taken apart again.
      const ids = (read: 'workloads' | 'devices' | 'domains' | 'buffers' | 'tenants') =>
        machine.read<{ items: { id: string }[] }>({ read, limit: 10_000 }).items.map(({ id }) => id);
      for (const workload of ids('workloads')) machine.ok({ op: 'workload-remove', workload });
      for (const { id } of machine.read<{ items: { id: string }[] }>({ read: 'mappings', limit: 100_000 }).items)
        machine.unmap(id);
      for (const buffer of ids('buffers')) machine.ok({ op: 'free', buffer, force: true });
      for (const device of ids('devices')) machine.ok({ op: 'device-remove', device });
      for (const domain of ids('domains')) machine.ok({ op: 'domain-remove', domain });
      for (const tenant of ids('tenants')) machine.ok({ op: 'tenant-remove', tenant });
      assert.equal(sim.memory.framesInUse, sim.bouncePool?.frames ?? 0);
      assert.equal(sim.bouncePool?.used ?? 0, 0);
      assert.equal(sim.tables.tables, 0);
      assert.equal(sim.mappings.count, 0);
      assert.equal(sim.mappings.bytes, 0);
      assert.equal(sim.oracle.residual.current, 0);
      const { potential, actual } = machine.metrics().exposure;
      assert.deepEqual([potential.currentPages, actual.currentPages], [0, 0]);
      for (let entry = 0; entry < sim.iotlb.entries; entry++) assert.ok(!sim.iotlb.valid(entry));
      for (const cache of [...sim.walkCaches, ...(sim.nested?.secondCaches ?? [])])
        for (let slot = 0; slot < cache.capacity; slot++) assert.ok(!cache.used(slot));
    });

  test('runs and their traffic were part of it', () => {
    assert.ok(total.runs > 100 && total.traffic > 1000, JSON.stringify(total));
  });
});

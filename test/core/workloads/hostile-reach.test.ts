/** What a hostile workload reached: split by access and by owner, and how soon after the unmap, against a record kept beside it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Machine } from '../build.ts';

const MS = 1_000_000;

interface Reached {
  reads: number;
  writes: number;
  firstNs?: number | null;
  delayNs: { count: number; min: number; max: number; mean: number };
}
interface HostileResult {
  name: string;
  reached: { stale: Reached; crossTenant: Reached };
  verdicts: Record<string, number>;
}

const machine = (invalidation: string) =>
  new Machine({
    costs: { profile: 'riommu15-brcm' },
    machine: { frameReuse: 'fifo' },
    policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: invalidation } },
    tenants: [
      { name: 'a', kind: 'vm' },
      { name: 'b', kind: 'vm' },
    ],
    devices: [
      { name: 'n', kind: 'nic' },
      { name: 'm', kind: 'nic' },
    ],
    workloads: [
      { name: 'rx', kind: 'nic-rx', device: 'n', tenant: 'a', gbps: 2, ringSize: 32 },
      { name: 'tx', kind: 'nic-tx', device: 'n', tenant: 'a', gbps: 2, ringSize: 32 },
      { name: 'theirs', kind: 'nic-tx', device: 'm', tenant: 'b', gbps: 2, ringSize: 32 },
      { name: 'reader', kind: 'hostile', device: 'n', access: 'read', accessesPerUs: 0.5 },
      { name: 'writer', kind: 'hostile', device: 'n', select: 'random-unmapped', accessesPerUs: 0.5 },
    ],
  });

test('each stale access is counted under its kind, and its delay is from the last unmap at the address', () => {
  const { sim } = machine('flush-queue');
  const [device] = sim.devices.all();
  const { history } = device!;
  assert.ok(history);
  const unmappedAt = new Map<number, number>();
  const push = history.push.bind(history);
  history.push = (page, offset, at) => {
    unmappedAt.set(page, at);
    push(page, offset, at);
  };
  const delays: Record<string, number[]> = { reader: [], writer: [] };
  const across: Record<string, number[]> = { reader: [], writer: [] };
  const first: Record<string, number> = {};
  const names: Record<string, string> = { wl_3: 'reader', wl_4: 'writer' };
  sim.startRun({ forNs: 5 * MS });
  for (let ended = false; !ended; ) {
    ended = sim.stepRun(1);
    for (const { topic, timeNs, data } of sim.drainNotices(100).notices) {
      const name = names[data.workload as string];
      if (topic !== 'verdicts' || name === undefined || !/^stale|^misdirected/.test(data.verdict as string)) continue;
      assert.equal(data.access, name === 'reader' ? 'read' : 'write');
      const at = unmappedAt.get(Math.floor(Number(data.iova) / 4096))!;
      const delay = Math.max(0, timeNs - Math.floor(at / 1000));
      delays[name]!.push(delay);
      if (data.verdict !== 'stale-cross-tenant') continue;
      across[name]!.push(delay);
      first[name] ??= timeNs;
    }
  }
  const results = sim.runResult().workloads as HostileResult[];
  for (const name of ['reader', 'writer']) {
    const { reached, verdicts } = results.find((each) => each.name === name)!;
    const counted = (part: Reached) => (name === 'reader' ? [part.reads, part.writes] : [part.writes, part.reads]);
    assert.ok(delays[name]!.length > 0, name);
    for (const [part, seen] of [
      [reached.stale, delays[name]!],
      [reached.crossTenant, across[name]!],
    ] as const) {
      assert.deepEqual(counted(part), [seen.length, 0], name);
      assert.equal(part.delayNs.count, seen.length);
      if (seen.length === 0) continue;
      assert.equal(part.delayNs.min, Math.min(...seen));
      assert.equal(part.delayNs.max, Math.max(...seen));
      const mean = seen.reduce((sum, each) => sum + each, 0) / seen.length;
      assert.ok(Math.abs(part.delayNs.mean - mean) < 1e-6);
    }
    assert.equal(verdicts['stale-cross-tenant'], across[name]!.length);
    assert.equal(reached.crossTenant.firstNs, first[name] ?? null);
  }
  assert.ok(across.writer!.length > 0);
});

test('a second run begins at nothing, and strict leaves it there', () => {
  const lazy = machine('flush-queue');
  const of = (result: unknown) => (result as { workloads: HostileResult[] }).workloads[4]!.reached;
  assert.ok(of(lazy.run({ forNs: 5 * MS })).stale.writes > 0);
  const nothing = of(lazy.run({ forNs: 1 }));
  assert.deepEqual([nothing.stale.writes, nothing.stale.delayNs.count, nothing.crossTenant.firstNs], [0, 0, null]);
  assert.equal(of(machine('strict').run({ forNs: 5 * MS })).stale.writes, 0);
});

test('gauges of a run are those of the session at its end', () => {
  const { sim } = machine('flush-queue');
  sim.startRun({ forNs: MS });
  while (!sim.stepRun(1000));
  const gauges = sim.runResult().gauges as Record<string, number>;
  const metrics = sim.read({ read: 'metrics' });
  assert.ok(metrics.status === 'ok');
  const { counters } = metrics.result as { counters: Record<string, number> };
  assert.ok(gauges.liveMappingsPeak! >= gauges.liveMappings! && gauges.liveMappings! > 0);
  for (const [name, value] of Object.entries(gauges)) assert.equal(counters[name], value, name);
});

/** What a session may hold at a time: frames, mappings, memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSimulator, resolveSpec } from '../../src/core/index.ts';
import type { Operation } from '../../src/core/operations.ts';
import type { HostProblem, Reply, SessionHost } from '../../src/host/host.ts';
import { NO_QUOTAS, type OwnerQuotas } from '../../src/host/quotas.ts';
import { BoundedSession } from '../../src/host/session-bounds.ts';
import { accepted, bodyOf, hostFor, linesOf, refusal, runEnd, textOf, until } from './hosts.ts';

const CORE = new URL('../../src/core/index.ts', import.meta.url).href;
const MIB = 1024 * 1024;

async function governed(t: Parameters<typeof hostFor>[0], quotas: Partial<OwnerQuotas>): Promise<SessionHost> {
  const host = await hostFor(t, { simulatorModule: CORE });
  host.govern(() => ({ ...NO_QUOTAS, ...quotas }));
  return host;
}

async function problemOf(reply: Promise<Reply<unknown>>): Promise<HostProblem> {
  const settled = await reply;
  assert.ok(!settled.ok, 'not refused');
  return settled.problem;
}

const SPEC = { name: 's', devices: [{ name: 'nic0', kind: 'nic' }] };
const map = (at: number): Operation => ({
  op: 'map',
  device: 'nic0',
  kind: 'single',
  direction: 'to-device',
  physicalAddress: 4096 * at,
  lengthBytes: 4096,
});

test('frames: what would take it beyond is refused with the numbers and changes nothing; what is freed can be had again', async (t) => {
  const host = await governed(t, { frames: 100 });
  await accepted(host.create(SPEC));
  const { id } = await accepted(host.apply('s', { op: 'buffer', lengthBytes: 60 * 4096 }));
  const before = await accepted(host.get('s'));
  const problem = await problemOf(host.apply('s', { op: 'buffer', lengthBytes: 60 * 4096 }));
  assert.equal(problem.code, 'too-many-frames');
  assert.deepEqual([problem.quota!.name, problem.quota!.limit], ['frames', 100]);
  assert.ok(problem.quota!.used! >= 60 && problem.quota!.used! < 70, 'the tables of the device count, too');
  assert.equal(
    await refusal(
      host.apply('s', {
        op: 'map',
        device: 'nic0',
        kind: 'coherent',
        direction: 'bidirectional',
        lengthBytes: 50 * 4096,
      }),
    ),
    'too-many-frames',
  );
  assert.deepEqual(await accepted(host.get('s')), before, 'digest and count of operations included');
  await accepted(host.apply('s', { op: 'free', buffer: id as string }));
  await accepted(host.apply('s', { op: 'buffer', lengthBytes: 60 * 4096 }));
});

test('mappings: the one too many is refused, in `ops` as a line like another, and an unmap makes room', async (t) => {
  const host = await governed(t, { mappings: 3 });
  await accepted(host.create(SPEC));
  const text = [1, 2, 3, 4, 5].map((at) => JSON.stringify({ ...map(at + 300), as: `m${at}` })).join('\n');
  const body = bodyOf(`${text}\n{"op":"unmap","mapping":"$m1"}\n${JSON.stringify(map(400))}\n`);
  const replies = await accepted(host.ops('s', body, { onError: 'continue', format: 'ndjson' }));
  const told = linesOf(await textOf(replies));
  assert.deepEqual(
    told.map(({ ok, problem }) => (ok ? 'ok' : problem!.code)),
    ['ok', 'ok', 'ok', 'too-many-mappings', 'too-many-mappings', 'ok', 'ok'],
  );
  assert.deepEqual(
    [told[3]!.problem!.status, (told[3]!.problem as unknown as HostProblem).quota],
    [429, { name: 'mappings', limit: 3, used: 3 }],
  );
});

test('a run that goes beyond is paused where it stands, says at what, and can be cancelled', async (t) => {
  const host = await governed(t, { mappings: 10 });
  const workloads = [{ kind: 'nic-rx', device: 'nic0', ringSize: 64 }];
  await accepted(host.create({ ...SPEC, workloads }));
  await accepted(host.create({ ...SPEC, name: 'other' }));
  await accepted(host.startRun('s', { forNs: 1e15 }));
  await until('it is paused', async () => (await accepted(host.get('s'))).paused !== undefined);
  const { paused, state } = await accepted(host.get('s'));
  assert.deepEqual(
    [state, paused!.quota.name, paused!.quota.limit, paused!.resumesAt],
    ['running', 'mappings', 10, null],
  );
  assert.ok(paused!.quota.used > 10);
  assert.equal(host.status().paused, 1);
  const problem = await problemOf(host.apply('s', { op: 'advance', ns: 1 }));
  assert.deepEqual([problem.code, problem.quota!.name], ['session-paused', 'mappings']);
  const { timeNs } = await accepted(host.getRun('s', 'run_1'));
  assert.equal((await accepted(host.getRun('s', 'run_1'))).timeNs, timeNs);
  await accepted(host.apply('other', map(300)));
  assert.equal((await accepted(host.deleteRun('s', 'run_1'))).state, 'cancelled');
  const idle = await accepted(host.get('s'));
  assert.deepEqual([idle.paused, idle.state, host.status().paused], [undefined, 'idle', 0]);
  // Its operations are those of any other session: time may pass, and what there is can be given back.
  await accepted(host.apply('s', { op: 'advance', ns: 1 }));
});

test('events: a run that takes more than one may is paused at that, and ends as it would have when the number is raised', async (t) => {
  const host = await governed(t, { runEvents: 2_000 });
  const workloads = [{ kind: 'nic-rx', device: 'nic0', ringSize: 64 }];
  for (const name of ['s', 'other']) await accepted(host.create({ ...SPEC, name, workloads }));
  await accepted(host.startRun('s', { operations: 20_000 }));
  await until('it is paused', () => host.status().paused === 1);
  const { paused, state } = await accepted(host.get('s'));
  assert.deepEqual(
    [state, paused!.quota.name, paused!.quota.limit, paused!.resumesAt],
    ['running', 'run-events', 2_000, null],
  );
  assert.equal(paused!.quota.used, 2_000);
  const problem = await problemOf(host.apply('s', { op: 'advance', ns: 1 }));
  assert.deepEqual([problem.code, problem.quota!.name], ['session-paused', 'run-events']);
  assert.match(problem.detail, /2000 events, and 2000 is the limit/);
  await accepted(host.startRun('other', { operations: 10 }));
  assert.equal((await runEnd(host, 'other', 'run_1')).state, 'finished', 'each run counts by itself');
  host.govern(() => NO_QUOTAS);
  assert.equal((await runEnd(host, 's', 'run_1')).state, 'finished');
  await accepted(host.reset('other'));
  await accepted(host.startRun('other', { operations: 20_000 }));
  await runEnd(host, 'other', 'run_1');
  const [one, other] = [await accepted(host.get('s')), await accepted(host.get('other'))];
  assert.equal(one.digest, other.digest, 'that it was paused is no part of the simulation');
});

test('a run that was paused goes on when the number is raised', async (t) => {
  const host = await governed(t, { mappings: 10 });
  await accepted(host.create({ ...SPEC, workloads: [{ kind: 'nic-rx', device: 'nic0', ringSize: 64 }] }));
  await accepted(host.startRun('s', { forNs: 2_000_000 }));
  await until('it is paused', () => host.status().paused === 1);
  host.govern(() => NO_QUOTAS);
  assert.equal((await runEnd(host, 's', 'run_1')).state, 'finished');
});

test('memory: a session that grows and grows is refused before it takes much more than it may, and goes on after a reset', async (t) => {
  const host = await governed(t, { sessionMemoryMib: 48 });
  await accepted(host.create({ ...SPEC, machine: { memoryBytes: 2 ** 40 } }));
  await accepted(host.create({ ...SPEC, name: 'other' }));
  let refused: HostProblem | null = null;
  let buffers = 0;
  while (refused === null) {
    // Never one of the same length: what was freed is of no use to the next.
    const reply = await host.apply('s', { op: 'buffer', lengthBytes: 2 ** 28 - 4096 * buffers });
    if (!reply.ok) refused = reply.problem;
    else await accepted(host.apply('s', { op: 'free', buffer: reply.value.id as string }));
    assert.ok(buffers++ < 1000, 'it is never refused');
  }
  assert.deepEqual([refused.code, refused.quota!.limit], ['too-much-memory', 48 * MIB]);
  // 1.8 MiB each.
  assert.ok(buffers > 15 && buffers < 40, `${buffers} buffers`);
  // Giving back between the tries, though nothing comes of it, and time for a measure, get it no further than the slack.
  let more = 0;
  for (let i = 0; i < 40; i++) {
    const reply = await host.apply('s', { op: 'buffer', lengthBytes: 2 ** 28 - 4096 * (buffers + i) });
    if (reply.ok) await accepted(host.apply('s', { op: 'free', buffer: reply.value.id as string }));
    if (reply.ok) more++;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.ok(buffers + more < 40, `${more} more`);
  await accepted(host.apply('s', { op: 'advance', ns: 1 }));
  await accepted(host.apply('other', map(300)));
  await accepted(host.reset('s'));
  await accepted(host.apply('s', { op: 'buffer', lengthBytes: 2 ** 28 }));
});

test('memory: a run that grows is paused', async (t) => {
  const host = await hostFor(t, {});
  host.govern(() => ({ ...NO_QUOTAS, sessionMemoryMib: 1 }));
  await accepted(host.create({ name: 's', fake: { bytesEach: 10, eventUs: 1 } }));
  await accepted(host.startRun('s', { operations: 1e12 }));
  await until('it is paused', () => host.status().paused === 1);
  const { paused } = await accepted(host.get('s'));
  assert.equal(paused!.quota.name, 'session-memory-bytes');
  assert.ok(paused!.quota.used > MIB);
  assert.equal(await refusal(host.apply('s', { op: 'advance', ns: 1 })), 'session-paused');
});

test('memory: a spec, or a workload, whose rings alone are too much is refused before they are made', async (t) => {
  const host = await governed(t, { sessionMemoryMib: 256 });
  const workload = { kind: 'nic-rx', device: 'nic0', ringSize: 2 ** 20, queues: 16 };
  const workloads = Array.from({ length: 64 }, () => workload);
  const problem = await problemOf(host.create({ ...SPEC, machine: { cpus: 16 }, workloads }));
  assert.equal(problem.code, 'too-much-memory');
  assert.equal(host.status().sessions, 0);
  await accepted(host.create({ ...SPEC, machine: { cpus: 16 } }));
  assert.equal(await refusal(host.apply('s', { op: 'workload', ...workload } as Operation)), 'too-much-memory');
  await accepted(host.apply('s', { op: 'workload', ...workload, ringSize: 256, queues: 4 } as Operation));
});

test('a session that maps and unmaps at the brink is not refused for what it has given back', () => {
  const simulator = createSimulator(resolveSpec({ devices: [{ name: 'nic0', kind: 'nic' }] }));
  const bounded = new BoundedSession();
  const walk = simulator.measure();
  let now: number | null = null;
  while (now === null) now = walk.step(1_000_000);
  bounded.set({ frames: 0, mappings: 0, memoryBytes: now + 200_000, runEvents: 0 });
  for (let i = 0; i < 5000; i++) {
    const mapping = map(300 + (i % 7));
    assert.equal(bounded.refuse(mapping, simulator), null, `pair ${i}`);
    const mapped = simulator.apply(mapping)!;
    assert.equal(mapped.status, 'ok');
    const unmap: Operation = { op: 'unmap', mapping: (mapped as unknown as { result: { id: string } }).result.id };
    assert.equal(bounded.refuse(unmap, simulator), null);
    simulator.apply(unmap);
    while (bounded.measuring) bounded.step();
  }
  // And one that only maps is.
  let mapped = 0;
  while (bounded.refuse(map(1000 + mapped), simulator) === null) {
    simulator.apply(map(1000 + mapped));
    assert.ok(mapped++ < 100_000);
    if (mapped % 50 === 0) while (bounded.measuring) bounded.step();
  }
});

test('bounds are no part of the simulation: with and without them the same operations give the same digest', async (t) => {
  const bounded = await governed(t, { frames: 1000, mappings: 1000, sessionMemoryMib: 64 });
  const free = await hostFor(t, { simulatorModule: CORE });
  const digests: (string | null)[] = [];
  for (const host of [bounded, free]) {
    await accepted(host.create({ ...SPEC, workloads: [{ kind: 'nic-rx', device: 'nic0', ringSize: 64 }] }));
    for (let i = 0; i < 20; i++) await accepted(host.apply('s', map(300 + i)));
    await accepted(host.startRun('s', { forNs: 500_000 }));
    await runEnd(host, 's', 'run_1');
    digests.push((await accepted(host.get('s'))).digest);
  }
  assert.equal(digests[0], digests[1]);
});

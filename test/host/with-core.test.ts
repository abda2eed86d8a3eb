/** The real core behind the host: the digest does not depend on where a session lives or how its operations came. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSimulator, resolveSpec } from '../../src/core/index.ts';
import type { Operation } from '../../src/core/operations.ts';
import { withHdr } from '../../src/host/hdr.ts';
import { accepted, bodyOf, hostFor, linesOf, refusal, runEnd, textOf } from './hosts.ts';

const CORE = new URL('../../src/core/index.ts', import.meta.url).href;
const SPEC = { seed: 7, policy: { allocator: { kind: 'bitmap' } }, devices: [{ name: 'nic0', kind: 'nic' }] };

const OPERATIONS: Operation[] = [];
for (let i = 0; i < 50; i++) {
  const memory = { physicalAddress: 0x10_0000 + i * 4096, lengthBytes: 1500 };
  OPERATIONS.push({ op: 'map', device: 'nic0', kind: 'single', direction: 'from-device', cpu: i % 4, ...memory });
  OPERATIONS.push({ op: 'dma', device: 'nic0', iova: 0xffff_f000 - i * 4096, lengthBytes: 64, access: 'write' });
  if (i % 3 === 0) OPERATIONS.push({ op: 'advance', ns: 1000 * i });
}

test('the same operations give the same digest in process, one by one, as lines and as an array', async (t) => {
  const simulator = createSimulator(resolveSpec(SPEC));
  for (const operation of OPERATIONS) {
    let outcome = simulator.apply(operation);
    while (outcome === null) outcome = simulator.resume();
    assert.equal(outcome.status, 'ok', JSON.stringify(outcome));
  }
  const expected = simulator.digest();

  const host = await hostFor(t, { simulatorModule: CORE });
  for (const name of ['single', 'lines', 'array']) await accepted(host.create({ ...SPEC, name }));
  const fresh = (await accepted(host.get('single'))).digest;
  for (const operation of OPERATIONS) await accepted(host.apply('single', operation));
  const body = OPERATIONS.map((operation) => JSON.stringify(operation));
  const lines = await accepted(
    host.ops('lines', bodyOf(`${body.join('\n')}\n`), { onError: 'stop', format: 'ndjson' }),
  );
  assert.ok(linesOf(await textOf(lines)).every((line) => line.ok));
  const array = await accepted(host.ops('array', bodyOf(`[${body}]`), { onError: 'stop', format: 'array' }));
  assert.equal((JSON.parse(await textOf(array)) as unknown[]).length, OPERATIONS.length);
  for (const name of ['single', 'lines', 'array']) {
    const document = await accepted(host.get(name));
    assert.equal(document.digest, expected, name);
    assert.equal(document.operations, OPERATIONS.length);
    assert.equal((await accepted(host.reset(name))).digest, fresh, 'a reset session is a fresh one');
  }
});

test('a run sliced in a worker ends in the state of the same run in one go', async (t) => {
  const spec = resolveSpec({ preset: 'thread-2008' });
  const simulator = createSimulator(spec);
  assert.equal(simulator.startRun({ forNs: 200_000 }).status, 'ok');
  while (!simulator.stepRun(1_000_000));

  const host = await hostFor(t, { simulatorModule: CORE, sliceMs: 1 });
  await accepted(host.create({ preset: 'thread-2008', name: 's' }));
  await accepted(host.startRun('s', { forNs: 200_000 }));
  const run = await runEnd(host, 's', 'run_1');
  assert.equal(run.state, 'finished', JSON.stringify(run.problem));
  const { digest, timePs } = await accepted(host.get('s'));
  assert.deepEqual([digest, timePs], [simulator.digest(), simulator.timePs]);
  const { wallSeconds, realTimeFactor, ...simulated } = run.result!;
  assert.ok((wallSeconds as number) > 0 && typeof realTimeFactor === 'number');
  assert.deepEqual(simulated, JSON.parse(JSON.stringify(withHdr(simulator.runResult()))));
});

test('a spec that the core cannot build is refused with the places', async (t) => {
  const host = await hostFor(t, { simulatorModule: CORE });
  const input = { policy: { allocator: { kind: 'rbtree-2008' }, invalidation: { kind: 'wrap' } } };
  assert.equal(await refusal(host.create(input)), 'invalid-spec');
  const validated = await host.validate(input);
  assert.ok(!validated.ok && validated.problem.errors!.length > 0);
  assert.equal(host.status().sessions, 0);
});

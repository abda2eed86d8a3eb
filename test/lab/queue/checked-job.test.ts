import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveSpec } from '../../../src/core/index.ts';
import { presets } from '../../../src/core/presets.ts';
import type { Job, Plain } from '../../../src/lab/experiment.ts';
import { keyOf } from '../../../src/lab/job.ts';
import { checkedJob } from '../../../src/lab/queue/checked-job.ts';
import { packed } from '../../../src/lab/queue/packing.ts';
import { reproductions } from '../../../src/lab/repro/index.ts';

const RUN = { operations: 10 };

async function data(job: unknown): Promise<unknown> {
  return { job: (await packed(job, 1e9))!.toString('base64') };
}

test('a job of every preset, given in short or resolved, is what it was', async () => {
  for (const preset of Object.keys(presets))
    for (const spec of [{ preset }, { ...resolveSpec({ preset }) } as Plain]) {
      const job: Job = { kind: 'run', spec, before: [RUN], run: { forNs: 5 } };
      assert.deepEqual(await checkedJob(await data(job), keyOf(job)), JSON.parse(JSON.stringify(job)), preset);
    }
});

test('so is an arm of each reproduction', async () => {
  for (const [reproduction, { arms }] of Object.entries(reproductions)) {
    const arm = Object.keys(arms)[0];
    if (arm === undefined) continue;
    const job: Job = { kind: 'reproduction', reproduction, arm };
    assert.deepEqual(await checkedJob(await data(job), keyOf(job)), job);
  }
});

test('what does not fit is refused, and said why', async () => {
  const good = { kind: 'run', spec: {}, before: [], run: RUN };
  const key = keyOf(good as unknown as Job);
  const cases: [unknown, RegExp][] = [
    [{ ...good, kind: 'shell' }, /of no kind/],
    [{ ...good, more: 1 }, /other members/],
    [{ ...good, spec: [] }, /other members/],
    [{ ...good, spec: { fromSnapshot: 'snp_1' } }, /other members/],
    [{ ...good, spec: { machine: { cpus: 1e6 } } }, /\/machine\/cpus/],
    [{ ...good, spec: { surprise: 1 } }, /SessionInput does not fit/],
    [{ ...good, run: { ...RUN, forNs: 1 } }, /RunRequest does not fit/],
    [{ ...good, before: [{}] }, /RunRequest does not fit/],
    [{ ...good, before: Array(17).fill(RUN) }, /warm-ups/],
    [{ ...good, spec: { seed: 2 } }, /its key is that of another/],
    [
      { ...good, spec: { policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'wrap' } } } },
      /cannot be simulated/,
    ],
    [{ kind: 'reproduction', reproduction: '__proto__', arm: 'x' }, /no arm/],
    [{ kind: 'reproduction', reproduction: 'eiovar15', arm: 'x', code: 1 }, /no arm/],
    [null, /cannot be unpacked/],
  ];
  assert.deepEqual(await checkedJob(await data(good), key), good);
  for (const [job, why] of cases) {
    const said = await checkedJob(await data(job), key);
    assert.ok(typeof said === 'string', JSON.stringify(job));
    assert.match(said, why);
  }
  for (const none of [null, {}, { job: 1 }, { job: '%' }, []])
    assert.match(String(await checkedJob(none, key)), /no job in it|cannot be unpacked/);
});

/** From a request to arms and jobs: what is varied, controls, labels, keys, and all that can be wrong. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createSimulator, resolveSpec } from '../../src/core/index.ts';
import type { ExperimentInput } from '../../src/lab/experiment.ts';
import { canonical, jobOf, keyOf, runJob, runJobInTurns } from '../../src/lab/job.ts';
import { experimentPresets } from '../../src/lab/presets.ts';
import { reproductions } from '../../src/lab/repro/index.ts';
import { planned, small, wrong } from './experiments.ts';

const thread: ExperimentInput = { base: { preset: 'thread-2008' }, control: false };
const labels = (input: ExperimentInput) => planned(input).arms.map(({ label }) => label);
const specs = (input: ExperimentInput) => planned({ ...input, control: false }).arms.map(({ spec }) => spec);

describe('what is varied', () => {
  test('as a product each value meets each, the last path fastest', () => {
    const vary = { 'policy.invalidation.kind': ['strict', 'deferred-2008'], 'machine.cpus': [2, 3, 4] };
    assert.deepEqual(labels({ ...thread, vary }), [
      'strict, cpus=2',
      'strict, cpus=3',
      'strict, cpus=4',
      'deferred-2008, cpus=2',
      'deferred-2008, cpus=3',
      'deferred-2008, cpus=4',
    ]);
    const plan = planned({ ...thread, vary, seeds: [5, 9] });
    assert.deepEqual(
      plan.rows.slice(0, 3).map(({ arm, seed }) => [arm, seed]),
      [
        ['arm-1', 5],
        ['arm-1', 9],
        ['arm-2', 5],
      ],
    );
    assert.equal(plan.jobs.length, 12);
    assert.deepEqual(plan.arms[5]!.varied, { 'policy.invalidation.kind': 'deferred-2008', 'machine.cpus': 4 });
  });

  test('paired, the first goes with the first, and lists are equally long', () => {
    const vary = { 'policy.allocator.kind': ['rbtree-2008', 'bitmap'], 'policy.invalidation.kind': ['strict', 'wrap'] };
    assert.deepEqual(labels({ ...thread, vary, combine: 'paired' }), ['rbtree-2008, strict', 'bitmap, wrap']);
    const uneven = { ...thread, vary: { ...vary, 'machine.cpus': [2, 3, 4] }, combine: 'paired' };
    assert.deepEqual(wrong(uneven), [
      '/vary/machine.cpus: has 3 values and policy.allocator.kind has 2: paired lists are equally long',
    ]);
  });

  test('as a list each arm is by itself', () => {
    const arms = [{ set: {} }, { label: 'mine', set: { 'machine.cpus': 3 } }, { set: { 'machine.cpus': 3 } }];
    assert.deepEqual(labels({ ...thread, arms }), ['base', 'mine', 'cpus=3']);
    assert.deepEqual(wrong({ ...thread, arms, vary: { 'machine.cpus': [1] } }), [
      '/arms: stands in the place of `vary`: give one of them',
    ]);
    assert.deepEqual(wrong({ ...thread, arms: [arms[1], arms[1]] }), ['/arms/1/label: another arm is called "mine"']);
  });

  test('another kind keeps nothing of the one before, wherever that one stands', () => {
    const vary = { 'policy.invalidation.kind': ['strict', 'deferred-2008'] };
    // The base says no kind: the default is deferred-2008.
    const [strict, deferred] = specs({ base: { ...small.base, policy: { invalidation: { highWater: 99 } } }, vary });
    assert.deepEqual(strict!.policy, { invalidation: { kind: 'strict' } });
    assert.deepEqual(deferred!.policy, { invalidation: { highWater: 99, kind: 'deferred-2008' } });
    // The command line says it, and nobody else.
    const line = { ...small.base, policy: { invalidation: {} }, kernelCommandLine: 'iommu.strict=1' };
    const [flushQueue] = specs({
      base: line,
      vary: { 'policy.invalidation': [{ kind: 'flush-queue', single: true }] },
    });
    assert.deepEqual(flushQueue!.policy, { invalidation: { kind: 'flush-queue', single: true } });
    // A path of the same arm into the new kind holds, in whatever order the two stand.
    const [both] = specs({
      base: small.base!,
      arms: [{ set: { 'policy.invalidation.single': true, 'policy.invalidation.kind': 'flush-queue' } }],
    });
    assert.deepEqual(both!.policy, {
      allocator: { kind: 'rcache' },
      invalidation: { kind: 'flush-queue', single: true },
    });
  });

  test('an object merges into one of its kind, a list replaces', () => {
    const base = { ...small.base, policy: { invalidation: { kind: 'deferred-2008', highWater: 99, timeoutMs: 5 } } };
    const vary = { 'policy.invalidation': [{ timeoutMs: 7 }, { kind: 'strict' }], 'iommu.superpages': [[]] };
    const [merged, replaced] = specs({ base, vary });
    assert.deepEqual(merged, {
      ...base,
      policy: { invalidation: { kind: 'deferred-2008', highWater: 99, timeoutMs: 7 } },
      iommu: { superpages: [] },
    });
    assert.deepEqual(replaced!.policy, { invalidation: { kind: 'strict' } });
  });

  test('an element of a list goes by its name or its number, also where the list is of a preset', () => {
    const of = (path: string) => specs({ ...thread, vary: { [path]: [9000] } })[0]!.workloads as { name: string }[];
    assert.deepEqual(of('workloads.rx.frameBytes'), of('workloads.0.frameBytes'));
    const workloads = of('workloads.rx.frameBytes');
    assert.deepEqual(
      workloads.map(({ name }) => name),
      ['rx', 'tx', 'disk', 'probe'],
    );
    assert.equal((workloads[0] as unknown as { frameBytes: number }).frameBytes, 9000);
    const [other] = specs({ ...small, vary: { 'workloads.tx.kind': ['nic-rx'] } });
    assert.deepEqual(other!.workloads, [{ name: 'tx', kind: 'nic-rx', device: 'nic' }]);
  });

  test('workloads stand in the place of those of the base', () => {
    const [workload] = small.base!.workloads as object[];
    const [spec] = specs({ ...small, workloads: [{ ...workload, name: 'own' }], vary: { 'workloads.own.gbps': [40] } });
    assert.deepEqual(spec!.workloads, [{ name: 'own', kind: 'nic-tx', device: 'nic', gbps: 40 }]);
  });
});

describe('controls', () => {
  const controls = (input: ExperimentInput) =>
    planned(input).arms.map(({ id, label, control, controlId }) => [id, label, control, controlId]);

  test('one for each combination of what is varied outside policy and command line', () => {
    const vary = { 'policy.invalidation.kind': ['strict', 'deferred-2008'], 'machine.cpus': [2, 4] };
    assert.deepEqual(controls({ ...thread, control: true, vary }), [
      ['control-1', 'passthrough, cpus=2', true, null],
      ['control-2', 'passthrough, cpus=4', true, null],
      ['arm-1', 'strict, cpus=2', false, 'control-1'],
      ['arm-2', 'strict, cpus=4', false, 'control-2'],
      ['arm-3', 'deferred-2008, cpus=2', false, 'control-1'],
      ['arm-4', 'deferred-2008, cpus=4', false, 'control-2'],
    ]);
    const lines = { kernelCommandLine: ['iommu.strict=1', 'iommu.strict=0'] };
    assert.equal(controls({ base: small.base!, vary: lines }).filter(([, , control]) => control).length, 1);
    const names = { title: ['a', 'b'] };
    assert.equal(controls({ base: small.base!, vary: names }).filter(([, , control]) => control).length, 1);
  });

  test('another profile is another machine, with a control of its own', () => {
    const vary = { 'costs.profile': ['riommu15-mlx', 'riommu15-brcm'] };
    assert.deepEqual(
      planned({ ...small, vary }).arms.map(({ controlId }) => controlId),
      [null, null, 'control-1', 'control-2'],
    );
  });

  test('it has the spec of its arms in all but policy', () => {
    const [control, arm] = planned({ ...small, vary: { 'machine.cpus': [3] } }).arms;
    assert.deepEqual(control!.spec, { ...arm!.spec, policy: { mode: 'passthrough' } });
    assert.deepEqual(control!.varied, { 'policy.mode': 'passthrough', 'machine.cpus': 3 });
  });

  test('an arm without protection is the control of the others', () => {
    const vary = { 'policy.mode': ['translate', 'passthrough'], 'machine.cpus': [2, 4] };
    assert.deepEqual(controls({ ...small, vary }), [
      ['arm-1', 'translate, cpus=2', false, 'arm-3'],
      ['arm-2', 'translate, cpus=4', false, 'arm-4'],
      ['arm-3', 'passthrough, cpus=2', true, null],
      ['arm-4', 'passthrough, cpus=4', true, null],
    ]);
  });

  test('where there can be none, that is said', () => {
    assert.deepEqual(
      planned({ ...small, control: false }).arms.map(({ controlId }) => controlId),
      [null, null],
    );
  });
});

describe('labels', () => {
  test('of an object the kind and the members that differ among its kind', () => {
    const vary = {
      'policy.invalidation': [
        { kind: 'deferred-2008', highWater: 100, timeoutMs: 10 },
        { kind: 'deferred-2008', highWater: 200, timeoutMs: 10 },
        { kind: 'strict' },
      ],
    };
    assert.deepEqual(labels({ ...thread, vary }), [
      'deferred-2008(highWater=100)',
      'deferred-2008(highWater=200)',
      'strict',
    ]);
  });
  test('they are unique', () => {
    assert.deepEqual(labels({ ...thread, vary: { 'machine.cpus': [2, 2] } }), ['cpus=2', 'cpus=2 (2)']);
  });
});

describe('what is wrong with it, all at once', () => {
  test('paths that lead nowhere and values that do not fit, by their place and the arm', () => {
    const vary = {
      'policy.x/y': [1],
      'policy.invalidation.kind': ['strict', 'strickt'],
      'machine.cpus': ['many'],
      'workloads.nothing.gbps': [1],
      'polcy.mode': ['translate'],
    };
    const said = wrong({ ...thread, vary });
    const has = (start: string, text: string) =>
      assert.ok(
        said.some((each) => each.startsWith(start) && each.includes(text)),
        `${start} ... ${text} in\n${said.join('\n')}`,
      );
    has('/vary/policy.x~1y: ', 'unknown member `x/y`');
    has('/vary/policy.invalidation.kind/1', 'did you mean `strict`?');
    has('/vary/machine.cpus/0: ', 'must be integer');
    has('/vary/workloads.nothing.gbps: ', 'there are rx, tx, disk, probe');
    has('/vary/polcy.mode: ', 'did you mean `policy`?');
    has('/vary/polcy.mode: ', 'and 1 more)');
    assert.ok(said.every((each) => each.includes('(arm "x/y=1, stric')));
  });

  test('parts of a path that are nothing, paths within others, and members that are said otherwise', () => {
    assert.deepEqual(wrong({ ...thread, vary: { 'policy..kind': [1] } }), [
      '/vary/policy..kind: "policy..kind" has an empty part',
    ]);
    assert.deepEqual(wrong({ ...thread, vary: { 'policy.__proto__.x': [1] } }), [
      '/vary/policy.__proto__.x: no member has that name',
    ]);
    assert.deepEqual(
      wrong({ ...thread, vary: { 'policy.invalidation': [{}], 'policy.invalidation.kind': ['strict'] } }),
      ['/vary/policy.invalidation.kind: lies within policy.invalidation, which is given too'],
    );
    assert.deepEqual(wrong({ ...thread, vary: { seed: [1, 2] } }), [
      '/vary/seed: is not varied like this: give `seeds`',
    ]);
    assert.match(
      wrong({ ...thread, vary: { 'iommu.superpages.0': ['2MiB'] } })[0]!,
      /superpages is a list, which is set whole/,
    );
    assert.match(wrong({ ...thread, vary: { 'machine.cpus.x': [1] } })[0]!, /machine.cpus has no members/);
    assert.deepEqual(wrong({ base: { fromSnapshot: 'snap_0' } }), [
      '/base/fromSnapshot: is of sessions alone: an arm starts from its spec',
    ]);
  });

  test('members of the request itself', () => {
    assert.deepEqual(wrong({ ...thread, vari: {} }), ['/vari: unknown member `vari`, did you mean `vary`?']);
    assert.match(wrong({ ...thread, vary: { 'machine.cpus': [] } })[0]!, /^\/vary\/machine.cpus: /);
    assert.match(wrong({ ...thread, seeds: [1, 1] })[0]!, /^\/seeds: items/);
    assert.match(wrong({ ...thread, until: { operations: 1, ns: 1 } })[0]!, /takes exactly one/);
    assert.match(wrong({ ...thread, base: { polciy: {} } })[0]!, /^\/base\/polciy: unknown member/);
    assert.match(wrong({ preset: 'thread-2009' })[0]!, /did you mean `thread-2008`/);
  });

  test('what an arm cannot be, by what was varied', () => {
    const vary = { 'policy.allocator.kind': ['bitmap', 'rbtree-2008'], 'policy.invalidation.kind': ['wrap'] };
    assert.match(
      wrong({ ...thread, vary })[0]!,
      /^\/vary\/policy.invalidation.kind\/0: wrap flushes .*\(arm "rbtree-2008, wrap"\)$/,
    );
    const base = { ...small.base, policy: { invalidation: { kind: 'wrap' } } };
    const fromBase = wrong({ base, vary: { 'policy.allocator.kind': ['rbtree-2008'] } });
    assert.match(fromBase[0]!, /^\/base\/policy\/invalidation\/kind: /);
    assert.match(wrong({ base: {} })[0]!, /workload/);
    // It resolves, and yet there is no such device.
    const lost = wrong({ base: { workloads: [{ kind: 'nic-tx', device: 'nobody' }] }, control: false });
    assert.match(lost[0]!, /^\/base\/workloads\/0\/device: /);
  });

  test('more than there may be', () => {
    const count = (length: number) => Array.from({ length }, (_, i) => i + 1);
    assert.match(
      wrong({ ...thread, vary: { 'iommu.faultLogEntries': count(30), 'machine.cpus': count(30) } })[0]!,
      /900 arms, and 500/,
    );
    assert.match(wrong({ ...thread, vary: { 'iommu.faultLogEntries': count(50) }, seeds: count(64) })[0]!, /3200 jobs/);
    assert.match(wrong({ ...thread, seeds: count(65) })[0]!, /^\/seeds: /);
  });

  test('specs that are long and many, before all of them are made', () => {
    const named = (what: string, i: number) => `${what}${i}`.padEnd(64, 'x');
    const devices = Array.from({ length: 1000 }, (_, i) => ({ kind: 'custom', name: named('d', i) }));
    const workload = { kind: 'map-benchmark', device: named('d', 0), threads: 1, seconds: 1, transferNs: 100 };
    const arms = Array.from({ length: 500 }, (_, i) => ({ label: `a${i}`, set: { 'costs.overrides': { packet: i } } }));
    const found = wrong({
      base: { devices, workloads: [{ ...workload, direction: 'to-device' }] },
      arms,
      seeds: [1],
      control: false,
    });
    assert.equal(found.length, 1);
    assert.match(found[0]!, /^\/base: makes arms whose specs are longer than 8388608 characters together/);
  });
});

describe('presets', () => {
  test('other members change a preset', () => {
    const { request, arms } = planned({ preset: 'thread-2008', base: { machine: { cpus: 3 } }, seeds: [4] });
    assert.deepEqual(request.base, { preset: 'thread-2008', machine: { cpus: 3 } });
    assert.deepEqual(request.seeds, [4]);
    assert.equal(arms.length, 7);
    const own = planned({ preset: 'thread-2008', vary: { 'policy.mode': ['bounce'] }, control: false });
    assert.deepEqual(
      own.arms.map(({ label }) => label),
      ['bounce'],
    );
    assert.deepEqual(own.request.arms, []);
  });

  test('what a request becomes can be sent again and is the same', () => {
    for (const input of [{ preset: 'thread-2008' }, small]) {
      const first = planned(input);
      const again = planned(first.request);
      assert.deepEqual(again, first);
    }
  });

  test('each can be planned', () => {
    for (const kind of Object.keys(experimentPresets)) assert.ok(planned({ preset: kind }).rows.length > 0, kind);
  });
});

describe('jobs', () => {
  test('the key is of the resolved spec, whatever it is called and however it is said', () => {
    const keys = (input: ExperimentInput) => planned({ ...input, control: false }).rows.map(({ key }) => key);
    const base = { ...small, vary: {} };
    const first = keys(base);
    assert.match(first[0]!, /^[0-9a-f]{64}$/);
    assert.notEqual(first[0], first[1], 'seeds differ');
    assert.deepEqual(keys({ ...base, base: { ...base.base, name: 'x', title: 'y', machine: { cpus: 4 } } }), first);
    assert.notDeepEqual(keys({ ...base, base: { ...base.base, machine: { cpus: 5 } } }), first);
    assert.notDeepEqual(keys({ ...base, until: { operations: 201 } }), first);
    assert.notDeepEqual(keys({ ...base, warmUp: { operations: 200 } }), first);
    const { jobs, rows } = planned(base);
    assert.deepEqual(
      jobs.map(keyOf),
      rows.map(({ key }) => key),
    );
  });

  test('canonical JSON has its members in order and leaves out what is not there', () => {
    assert.equal(canonical({ b: [{ d: 1, c: undefined }], a: null }), '{"a":null,"b":[{"d":1}]}');
  });

  test('the outcome is that of the same spec and runs done by hand, at one go or in turns', async () => {
    const plan = planned({ ...small, warmUp: { ns: 20_000 }, seeds: [7] });
    for (const [i, job] of plan.jobs.entries()) {
      const simulator = createSimulator(resolveSpec({ ...plan.arms[i]!.spec, seed: 7 }));
      for (const request of [{ forNs: 20_000 }, { operations: 200 }]) {
        assert.equal(simulator.startRun(request).status, 'ok');
        while (!simulator.stepRun(3));
      }
      const expected = {
        ok: true,
        result: simulator.runResult(),
        digest: simulator.digest(),
        timeNs: simulator.timeNs,
      };
      assert.deepEqual(runJob(job), expected);
      assert.deepEqual(await runJobInTurns(job), expected);
    }
  });

  test('two arms equal in all but their name have the same key and the same digest', () => {
    const arms = [
      { label: 'a', set: { title: 'a' } },
      { label: 'b', set: { title: 'b' } },
    ];
    const { vary: _vary, ...rest } = small;
    const { rows, jobs } = planned({ ...rest, arms, seeds: [1], control: false });
    assert.equal(rows[0]!.key, rows[1]!.key);
    assert.deepEqual(runJob(jobs[0]!), runJob(jobs[1]!));
  });

  test('one that is stopped, takes too long, or is too large says so and nothing else', () => {
    const [job] = planned({ ...small, until: { operations: 1_000_000 } }).jobs;
    const stop = { code: 'job-cancelled', detail: 'x' };
    assert.deepEqual(runJob(job!, { stop: () => stop }), { ok: false, ...stop });
    const slow = runJob(job!, { bounds: { memoryBytes: 0, seconds: 0.05 } });
    assert.equal(slow.ok ? '' : slow.code, 'job-took-too-long');
    const large = runJob(job!, { bounds: { memoryBytes: 1000, seconds: 0 } });
    assert.equal(large.ok ? '' : large.code, 'too-much-memory');
    const growing = runJob(job!, { bounds: { memoryBytes: 300_000, seconds: 0 } });
    assert.equal(growing.ok ? '' : growing.code, 'too-much-memory');
  });

  test('an arm of a reproduction is run as the reproduction runs it', () => {
    const [id, { arms }] = Object.entries(reproductions).find(([, each]) =>
      Object.values(each.arms).some((arm) => 'run' in arm),
    )!;
    const arm = Object.keys(arms).find((name) => 'run' in arms[name]!)!;
    const job = { kind: 'reproduction', reproduction: id, arm } as const;
    assert.match(keyOf(job), /^[0-9a-f]{64}$/);
    const outcome = runJob(job);
    assert.ok(outcome.ok);
    assert.ok('walkCaches' in outcome.result);
    assert.deepEqual(jobOf(planned(small).request, { label: arm, spec: {} }, 1).kind, 'run');
  });
});

/** The form of an experiment: what it reads from the request and puts into it, and what of a spec it offers to vary. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { catalog } from '../../src/core/catalog.ts';
import {
  againOf,
  armsOf,
  lengthOf,
  lengthText,
  merged,
  problemsOfValues,
  renamed,
  setOf,
  setText,
  toWay,
  valuesOf,
  valuesText,
  varyOf,
  wayOf,
} from '../../src/dashboard/experiments/request.ts';
import { specPaths } from '../../src/dashboard/experiments/spec-paths.ts';
import type { Json, JsonObject } from '../../src/dashboard/form/schema.ts';

describe('a list of values', () => {
  it('is words, numbers and JSON between commas', () => {
    assert.deepEqual(valuesOf('strict, flush-queue'), { value: ['strict', 'flush-queue'] });
    assert.deepEqual(valuesOf(' 16,64 , 1.5, true, null, "7"'), { value: [16, 64, 1.5, true, null, '7'] });
    assert.deepEqual(valuesOf('{"kind": "wrap", "a": [1, 2]}, [1,2], "a, b\\", c"'), {
      value: [{ kind: 'wrap', a: [1, 2] }, [1, 2], 'a, b", c'],
    });
    assert.deepEqual(valuesOf('iommu.strict=0 quiet, 16Gi,'), { value: ['iommu.strict=0 quiet', '16Gi'] });
  });

  it('that is none is told as such', () => {
    for (const text of ['', ' , ', '{"kind": ', '[1, 2', '"a'])
      assert.ok('problem' in valuesOf(text), JSON.stringify(text));
  });

  it('reads as what it was made of, whatever that is', () => {
    const value = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
    const plain = (each: unknown) => JSON.parse(JSON.stringify(each));
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 5 }), (values) => {
        assert.deepEqual(valuesOf(valuesText(values)), { value: plain(values) });
      }),
    );
    const path = fc.stringMatching(/^[a-z]{1,6}(\.[a-zA-Z0-9]{1,6}){0,3}$/);
    fc.assert(
      fc.property(fc.dictionary(path, value, { maxKeys: 4, noNullPrototype: true }), (set) => {
        assert.deepEqual(setOf(setText(set)), { value: plain(set) });
      }),
    );
  });

  it('has what is wrong with it told by value', () => {
    const problems = [
      { path: '/vary/policy.invalidation.kind', message: 'lies within policy' },
      { path: '/vary/policy.invalidation.kind/1', message: 'must be one of `strict`' },
      { path: '/vary/policy.invalidation.kind/0/highWater', message: 'must be >= 1' },
      { path: '/vary/policy.invalidation.kinds/0', message: 'of another row' },
    ];
    assert.deepEqual(problemsOfValues(problems, '/vary/policy.invalidation.kind', [{ highWater: 0 }, 'foo']), [
      'lies within policy',
      'foo: must be one of `strict`',
      '{"highWater":0} /highWater: must be >= 1',
    ]);
  });
});

describe('the members of an arm', () => {
  it('are a line each, and no line is without a path or there twice', () => {
    assert.deepEqual(setOf('policy.invalidation.kind = strict\n\n machine.cpus=4'), {
      value: { 'policy.invalidation.kind': 'strict', 'machine.cpus': 4 },
    });
    assert.deepEqual(setOf('kernelCommandLine = iommu.strict=1'), { value: { kernelCommandLine: 'iommu.strict=1' } });
    for (const text of ['strict', '= 4', 'a = 1\na = 2', 'a = {']) assert.ok('problem' in setOf(text), text);
  });
});

describe('what sets arms apart', () => {
  const product: JsonObject = { base: {}, vary: { 'machine.cpus': [1, 2], 'policy.mode': ['translate'] }, seeds: [1] };
  const arms = [
    { label: 'one', set: { 'machine.cpus': 1, 'policy.mode': 'translate' } },
    { label: 'two', set: { 'machine.cpus': 2, 'policy.mode': 'translate' } },
  ];

  it('is a product, a list of pairs, arms one by one, or left to the preset', () => {
    assert.equal(wayOf(product), 'product');
    assert.equal(wayOf({ ...product, combine: 'paired' }), 'paired');
    assert.equal(wayOf({ arms: [{ set: {} }] }), 'list');
    for (const request of [{}, { vary: {} }, { arms: [] }, { vary: 'x', arms: 3, combine: 'paired' }])
      assert.equal(wayOf(request), undefined);
  });

  it('can be said in another way, and all else stays', () => {
    const list = toWay(product, 'list', arms);
    assert.deepEqual(list, { base: {}, seeds: [1], arms });
    assert.deepEqual(toWay(list, 'product', []), { ...product });
    assert.deepEqual(toWay(list, 'paired', []), {
      base: {},
      seeds: [1],
      combine: 'paired',
      vary: { 'machine.cpus': [1, 2], 'policy.mode': ['translate', 'translate'] },
    });
    assert.deepEqual(toWay({}, 'list', []), { arms: [{ set: {} }] });
    assert.deepEqual(toWay({ arms: [{ set: {} }] }, 'product', []), {});
  });

  it('keeps its place under another path, unless that is taken', () => {
    const vary = varyOf(product);
    assert.deepEqual(Object.keys(renamed(vary, 'machine.cpus', 'seed')!), ['seed', 'policy.mode']);
    assert.deepEqual(renamed(vary, 'machine.cpus', 'machine.cpus'), vary);
    assert.equal(renamed(vary, 'machine.cpus', 'policy.mode'), null);
  });

  it('is read from whatever stands in the document', () => {
    assert.deepEqual(varyOf({ vary: { a: 1, b: [2] } }), { a: [1], b: [2] });
    assert.deepEqual(armsOf({ arms: [{ label: 3, set: [] }, 'x', { label: 'l', set: { a: 1 } }] }), [
      { set: {} },
      { label: 'l', set: { a: 1 } },
    ]);
  });

  it('is asked for again without what says nothing', () => {
    const asked = { preset: 'p', name: 'n', base: {}, vary: {}, combine: 'product', arms: [{ set: {} }], seeds: [1] };
    assert.deepEqual(againOf(asked), { preset: 'p', arms: [{ set: {} }], seeds: [1] });
    assert.deepEqual(againOf({ base: { seed: 1 }, vary: { a: [1] }, combine: 'paired', arms: [], control: true }), {
      base: { seed: 1 },
      vary: { a: [1] },
      combine: 'paired',
      control: true,
    });
  });
});

describe('how long an arm runs', () => {
  it('is operations or a time, and reads as what it was', () => {
    assert.deepEqual(lengthOf('operations', '5,000'), { value: { operations: 5000 } });
    assert.deepEqual(lengthOf('ns', '1.5 ms'), { value: { ns: 1_500_000 } });
    for (const [unit, text] of [
      ['operations', ''],
      ['operations', 'many'],
      ['ns', 'soon'],
    ] as const)
      assert.ok('problem' in lengthOf(unit, text));
    for (const ns of [0, 1, 1500, 2_000_000, 3e9, 1_234_567])
      assert.deepEqual(lengthOf('ns', lengthText({ ns })!.text), { value: { ns } });
    assert.equal(lengthText({ ns: 3e9 })!.text, '3 s');
    assert.deepEqual(lengthText({ operations: 7 }), { unit: 'operations', text: '7' });
    for (const length of [undefined, null, 7, [], {}]) assert.equal(lengthText(length), null);
  });
});

describe('a base over that of a preset', () => {
  it('is merged as the server does: objects into each other, lists and other kinds in the place of what was', () => {
    const below = {
      preset: 'p',
      policy: { mode: 'translate', invalidation: { kind: 'deferred-2008', highWater: 3 } },
      workloads: [1],
    };
    assert.deepEqual(merged(below, { policy: { invalidation: { highWater: 9 } }, workloads: [] }), {
      preset: 'p',
      policy: { mode: 'translate', invalidation: { kind: 'deferred-2008', highWater: 9 } },
      workloads: [],
    });
    assert.deepEqual(merged({ a: { kind: 'x', b: 1 } }, { a: { kind: 'y' } }), { a: { kind: 'y' } });
    assert.deepEqual(merged(undefined, { a: 1 }), { a: 1 });
    assert.deepEqual(merged(below, undefined), below);
  });
});

describe('what of a spec can be varied', () => {
  const lists = catalog() as unknown as Parameters<typeof specPaths>[1];
  const spec: JsonObject = {
    seed: 1,
    machine: { cpus: 2, memoryBytes: 1024 },
    iommu: {
      levels: 4,
      iotlb: { entries: 64, ways: 4, replacement: 'lru' },
      walkCache: { entriesPerLevel: [16, 16, 16] },
    },
    policy: {
      mode: 'translate',
      requested: {
        mode: 'translate',
        allocator: { kind: 'rbtree-2008' },
        invalidation: { kind: 'deferred-2008', highWater: 250 },
      },
    },
    devices: [{ name: 'nic0', kind: 'nic' }],
    workloads: [
      { name: 'rx', kind: 'nic-rx', device: 'nic0', gbps: 10 },
      { kind: 'block', device: 'disk0' },
    ],
    costs: { profile: 'riommu15-brcm' },
  };
  const paths = new Map(specPaths(spec, lists).map((each) => [each.path, each]));

  it('is what it has, with what is there now', () => {
    for (const [path, value] of [
      ['machine.cpus', 2],
      ['iommu.iotlb.entries', 64],
      ['policy.invalidation.kind', 'deferred-2008'],
      ['policy.invalidation.highWater', 250],
      ['workloads.rx.gbps', 10],
      ['workloads.1.device', 'disk0'],
    ] as const)
      assert.deepEqual(paths.get(path)?.value, value, path);
    assert.deepEqual(paths.get('iommu.walkCache.entriesPerLevel')?.value, [16, 16, 16]);
  });

  it('and what its kinds have besides, with the choices of each', () => {
    assert.ok(paths.has('workloads.rx.frameBytes'));
    assert.equal(paths.get('workloads.rx.frameBytes')?.value, undefined);
    assert.deepEqual(
      paths.get('policy.invalidation.kind')?.choices,
      lists.policies.map(({ kind }) => kind),
    );
    assert.deepEqual(paths.get('iommu.iotlb.replacement')?.choices, ['lru', 'plru', 'fifo', 'random']);
    assert.deepEqual(paths.get('iommu.coherent')?.choices, [true, false]);
    assert.ok(paths.get('costs.profile')!.choices.includes('riommu15-mlx'));
    assert.equal(paths.has('workloads.rx.name'), false);
    assert.equal(paths.has('policy.requested.mode'), false);
  });

  it('is nothing that is not there, of a spec that is hardly one', () => {
    for (const { path } of specPaths({ workloads: 3, devices: [null], policy: [] }, lists))
      assert.match(path, /^(policy|machine|iommu|costs|devices|kernelCommandLine)/);
  });
});

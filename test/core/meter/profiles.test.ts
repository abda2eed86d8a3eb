/** The files of the cost profiles: every number finite, cited or argued for; inheritance; units; the hot object's shape. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { catalog, resolveSpec } from '../../../src/core/index.ts';
import {
  assumptionsOf,
  costsOf,
  hardwareOf,
  profiles,
  sensitivityOf,
  stepNames,
} from '../../../src/core/meter/cost-profile.ts';
import {
  type FigureFile,
  type FigureGroup,
  isFigure,
  numberOf,
  type ProfileFile,
  resolveProfiles,
} from '../../../src/core/meter/profile-file.ts';
import { callTakes, stepsOfNoAllocator } from '../../../src/core/meter/steps-taken.ts';
import { allocators } from '../../../src/core/os/iova/index.ts';
import { modes } from '../../../src/core/os/mode/index.ts';
import { Machine } from '../build.ts';

const files = new Map(
  globSync('src/core/meter/profiles/*.json').map((path) => {
    const file = JSON.parse(readFileSync(path, 'utf8')) as ProfileFile;
    return [path.replaceAll('\\', '/').replace(/^.*\/(.*)\.json$/, '$1'), file];
  }),
);

const UNITS = ['cycles', 'ns', 'ghz', 'gbps', 'bytes', 'percent', 'count', 'counts', 'is', 'list'];
const MEMBERS = new Set([
  ...['kind', 'title', 'publications', 'source', 'notMeasuredFor', 'inherits'],
  ...['clockGhz', 'linkGbps', 'mappingsPerPacket', 'steps', 'device', 'hardware', 'guest'],
]);

function* figuresOf(path: string, group: FigureGroup): Generator<[string, FigureFile]> {
  for (const [name, value] of Object.entries(group))
    if (isFigure(value)) yield [`${path}.${name}`, value];
    else yield* figuresOf(`${path}.${name}`, value);
}

function* allFigures(file: ProfileFile): Generator<[string, FigureFile]> {
  for (const member of ['clockGhz', 'linkGbps', 'mappingsPerPacket'] as const) {
    const figure = file[member];
    if (figure) yield [member, figure];
  }
  for (const member of ['steps', 'device', 'hardware', 'guest'] as const)
    yield* figuresOf(member, (file[member] ?? {}) as FigureGroup);
}

test('every file is a profile, and every profile a file of its name', () => {
  assert.deepEqual([...files.keys()].sort(), Object.keys(profiles).sort());
  for (const [name, file] of files) assert.equal(file.kind, name);
});

for (const [kind, file] of files)
  describe(kind, () => {
    test('says what it is, after whom, and what it was not measured for', () => {
      assert.deepEqual(
        Object.keys(file).filter((member) => !MEMBERS.has(member)),
        [],
      );
      for (const text of [file.title, file.source, file.notMeasuredFor]) assert.ok(text.length > 10);
      assert.ok(file.publications.length > 0);
    });

    test('every number has one unit, is finite, and cites one of its publications or is argued for', () => {
      let seen = 0;
      for (const [name, figure] of allFigures(file)) {
        seen++;
        const units = UNITS.filter((unit) => unit in figure);
        assert.equal(units.length, 1, `${name}: ${units}`);
        for (const member of Object.keys(figure))
          assert.ok([...UNITS, 'source', 'range', 'why'].includes(member), `${name}.${member}`);
        const values = figure.counts ?? [numberOf(figure) ?? 0];
        for (const value of values) assert.ok(Number.isFinite(value) && value >= 0, name);
        const { source, range, why } = figure;
        if (source === 'assumption') assert.ok(range !== undefined && why !== undefined && why.length > 10, name);
        else
          assert.ok(
            file.publications.some((publication) => source.includes(publication)),
            `${name} cites none of ${file.publications}: ${source}`,
          );
        if (range === undefined) continue;
        assert.equal(range.length, 2, name);
        for (const value of values)
          assert.ok(range[0]! <= value && value <= range[1]!, `${name} lies outside ${range}`);
      }
      assert.ok(seen >= 4);
    });

    test('has every step, and each says whether it is its own', () => {
      const { steps } = profiles[kind]!;
      assert.deepEqual(Object.keys(steps), stepNames);
      for (const [name, { cycles, source, range, why, inherited }] of Object.entries(steps)) {
        assert.ok(Number.isFinite(cycles) && cycles >= 0, name);
        assert.equal(Math.round(cycles * 1000) / 1000, cycles, `${name} in whole milli-cycles`);
        assert.equal(inherited === undefined, name in file.steps, name);
        if (source !== 'assumption') continue;
        assert.ok(why && range?.length === 2 && range[0]! <= cycles && cycles <= range[1]!, name);
      }
    });

    test('its chip is one that a spec can have', () => {
      assert.doesNotThrow(() =>
        resolveSpec({ iommu: hardwareOf(profiles[kind]!), costs: { profile: kind }, policy: { mode: 'translate' } }),
      );
    });
  });

describe('numbers of the publications', () => {
  test('clocks and links as cited', () => {
    const machine = Object.fromEntries(
      Object.values(profiles).map(({ kind, clockGhz, linkGbps, mappingsPerPacket }) => [
        kind,
        [clockGhz, linkGbps, mappingsPerPacket],
      ]),
    );
    assert.deepEqual(machine['riommu15-mlx'], [3.1, 40, 2]);
    assert.deepEqual(machine['riommu15-brcm'], [3.1, 9.4, 1]);
    assert.deepEqual(machine['viommu11-x5570'], [2.93, 9.3, 1]);
    assert.equal(machine['wiosca10-ioat']![0], 2.93);
    assert.deepEqual(machine['fands24-clx']!.slice(0, 2), [3.3, 100]);
    assert.deepEqual(machine['farshin23-icx']!.slice(0, 2), [3.6, 200]);
    assert.equal(machine['hypertrio20-sim']![1], 200);
  });

  test('both profiles of rIOMMU are what they were', () => {
    const expected = {
      treeAllocFixed: 379,
      treeAllocNode: 49.4,
      treeFind: 249,
      treeFree: 159,
      bitmapAllocFixed: 92,
      bitmapAllocWord: 4,
      bitmapFind: 0,
      bitmapFree: 57,
      mapFirstPte: 588,
      mapFurtherPte: 133,
      unmapFirstPte: 438,
      unmapFurtherPte: 133,
      coherentWalkSaving: 275,
      mapOther: 44,
      unmapOther: 26,
      unmapOtherDeferred: 196.5,
      unmapQueue: 9,
      invalidation: 2127,
      packet: 1816,
      packetTax: 820,
      io: 13485,
      tableRead: 383,
    };
    const assumed = ['bitmapAllocFixed', 'bitmapAllocWord', 'bitmapFind', 'bitmapFree', 'unmapFurtherPte'];
    for (const [kind, packet] of [
      ['riommu15-mlx', 1816],
      ['riommu15-brcm', 1244],
    ] as const) {
      const { steps } = profiles[kind]!;
      for (const [name, cycles] of Object.entries({ ...expected, packet }))
        assert.equal(steps[name]!.cycles, cycles, `${kind} ${name}`);
      for (const name of Object.keys(expected))
        assert.equal(steps[name]!.source === 'assumption', assumed.includes(name), `${kind} ${name}`);
    }
    assert.deepEqual(profiles['riommu15-mlx']!.steps.io!.range, [6742.5, 26970]);
  });

  test('the tax of a packet contains table 1’s "other" of two maps and two unmaps; its range says what is left without', () => {
    const { range, source } = profiles['riommu15-mlx']!.steps.packetTax!;
    // Figure 7's "other"; table 1's of a map, of an unmap.
    const left = [
      [2680, 44, 26],
      [2590, 45, 25],
      [2640, 44, 205],
      [2640, 42, 216],
    ].map(([all, map, unmap]) => all! - 1816 - 2 * (map! + unmap!));
    assert.equal(range![0], Math.min(...left));
    assert.ok(left.every((each) => source.includes(`${each}`)));
  });

  test('a map and an unmap on bare metal, in a guest that traps, beside another core: each sum is as published', () => {
    const { steps, guest } = profiles['viommu11-x5570']!;
    const cycles = (name: string) => guest[name]!.cycles!;
    const native = steps.invalidation!.cycles;
    assert.equal(native, 2316);
    assert.equal(native + cycles('logicNativeCycles'), cycles('mapUnmapNativeCycles'));
    assert.equal(
      native + 2 * cycles('samecoreExitCycles') + cycles('logicSamecoreCycles'),
      cycles('mapUnmapSamecoreCycles'),
    );
    assert.equal(
      native + 2 * cycles('sidecoreCallCycles') + cycles('logicSidecoreCycles'),
      cycles('mapUnmapSidecoreCycles'),
    );
  });

  test('a miss is four table reads where the paper gives the miss', () => {
    for (const [kind, missNs] of [
      ['wiosca10-ioat', 290],
      ['pciebench18-hsw', 230],
      ['pciebench18-hsw2637', 270],
      ['pciebench18-snb', 239],
    ] as const) {
      const { steps, clockGhz, device } = profiles[kind]!;
      assert.equal(device.missNs!.ns, missNs);
      assert.ok(Math.abs((4 * steps.tableRead!.cycles) / clockGhz - missNs) < 0.01, kind);
    }
  });
});

describe('inheritance', () => {
  const cited = (cycles: number): FigureFile => ({ cycles, source: 'Paper 1' });
  const base: ProfileFile = {
    ...{ kind: 'a', title: 'a', publications: ['Paper 1'], source: 's', notMeasuredFor: 'n' },
    clockGhz: { ghz: 2, source: 'Paper 1' },
    linkGbps: { gbps: 10, source: 'Paper 1' },
    mappingsPerPacket: { count: 1, source: 'Paper 1' },
    steps: {
      own: cited(10),
      spread: { cycles: 10, source: 'Paper 1', range: [9, 30] },
      timed: { ns: 100, source: 'Paper 1' },
      guessed: { cycles: 5, source: 'assumption', range: [4, 6], why: 'it is so' },
    },
  };
  const heir = (kind: string, profile: string, usedByPublication: boolean, steps = {}): ProfileFile => ({
    ...{ kind, title: kind, publications: ['Paper 2'], source: 's', notMeasuredFor: 'n' },
    inherits: { profile, usedByPublication, why: 'w' },
    clockGhz: { ghz: 4, source: 'Paper 2' },
    steps,
  });

  test('what was not measured here is an assumption from half to twice, or wider, and says from where', () => {
    const { b } = resolveProfiles([heir('b', 'a', false, { own: cited(11) }), base]);
    assert.deepEqual(b!.steps.own, { cycles: 11, source: 'Paper 1' });
    assert.deepEqual(b!.steps.spread!.range, [5, 30]);
    assert.equal(b!.steps.spread!.source, 'assumption');
    assert.deepEqual(b!.steps.spread!.inherited, { profile: 'a', source: 'Paper 1' });
    assert.match(b!.steps.spread!.why!, /not measured here; a has it from: Paper 1/);
    assert.deepEqual(b!.steps.guessed!.range, [4, 6]);
    assert.deepEqual([b!.linkGbps, b!.machine.linkGbps.source], [10, 'assumption']);
  });

  test('what the publication used itself stays cited', () => {
    const { b } = resolveProfiles([base, heir('b', 'a', true)]);
    assert.equal(b!.steps.own!.source, 'Paper 1');
    assert.deepEqual(b!.steps.own!.inherited, { profile: 'a', source: 'Paper 1' });
    assert.equal(b!.steps.guessed!.source, 'assumption');
  });

  test('a number that cites a publication of the heir is its own', () => {
    const step = { cycles: 7, source: 'Paper 2, table 3' };
    const { b } = resolveProfiles([{ ...base, steps: { ...base.steps, lent: step } }, heir('b', 'a', false)]);
    assert.equal(b!.steps.lent!.source, 'Paper 2, table 3');
    assert.deepEqual(b!.steps.lent!.inherited, { profile: 'a', source: 'Paper 2, table 3' });
  });

  test('cycles are inherited as cycles, times as times', () => {
    const { a, b } = resolveProfiles([base, heir('b', 'a', false)]);
    assert.deepEqual([a!.steps.timed!.cycles, b!.steps.timed!.cycles], [200, 400]);
    assert.deepEqual(b!.steps.timed!.range, [200, 800]);
    assert.deepEqual([a!.steps.own!.cycles, b!.steps.own!.cycles], [10, 10]);
  });

  test('over two generations the origin is still named', () => {
    const { c } = resolveProfiles([heir('c', 'b', true), heir('b', 'a', false), base]);
    assert.deepEqual(c!.steps.own!.inherited, { profile: 'a', source: 'Paper 1' });
    assert.equal(c!.steps.own!.source, 'assumption');
  });

  test('nobody, itself, or a step that nobody has: refused', () => {
    assert.throws(() => resolveProfiles([heir('b', 'z', false), base]), /inherits from z, which there is not/);
    assert.throws(() => resolveProfiles([heir('b', 'c', false), heir('c', 'b', false)]), /inherits from itself/);
    assert.throws(() => resolveProfiles([base, heir('b', 'a', false, { other: cited(1) })]), /"other" that a has not/);
  });
});

describe('sensitivity', () => {
  test('each assumption at either end, on top of the overrides that there are', () => {
    for (const profile of Object.values(profiles)) {
      const overrides = { bitmapFree: 3 };
      const ends = sensitivityOf(profile, overrides);
      assert.deepEqual(
        ends.map(({ step }) => step),
        assumptionsOf(profile, overrides),
      );
      for (const { step, low, high } of ends) {
        const [lowest, highest] = profile.steps[step]!.range!;
        assert.deepEqual(
          [low, high],
          [
            { ...overrides, [step]: lowest },
            { ...overrides, [step]: highest },
          ],
        );
        for (const costs of [low, high])
          assert.doesNotThrow(() => resolveSpec({ costs: { profile: profile.kind, overrides: costs } }));
      }
    }
  });

  test('the catalog has it', () => {
    const entries = catalog().profiles as { kind: string; sensitivity: unknown; suggestedIommu: unknown }[];
    for (const { kind, sensitivity, suggestedIommu } of entries) {
      assert.deepEqual(sensitivity, sensitivityOf(profiles[kind]!));
      assert.deepEqual(suggestedIommu, hardwareOf(profiles[kind]!));
    }
  });
});

describe('assumptions in replies', () => {
  test('every step says who takes it', () => {
    const listed = new Set([
      ...stepsOfNoAllocator,
      ...Object.values(allocators).flatMap(({ costSteps }) => costSteps),
      ...Object.values(modes).flatMap(({ steps }) => steps),
      // Of untrusted devices, whatever the mode is.
      'zeroByte',
      // Of allocators with a cache in front or with a gap tree, which are not all there yet.
      ...['cacheAlloc', 'cacheFree', 'depotMove', 'gapAllocFixed', 'gapAllocLevel', 'gapFree'],
    ]);
    assert.deepEqual(
      stepNames.filter((step) => !listed.has(step)),
      [],
    );
    assert.deepEqual(
      [...listed].filter((step) => !(stepNames as string[]).includes(step)),
      [],
    );
  });

  test('a step of another allocator, of the other kind of policy, or of a mode without any, is not taken', () => {
    const taker = { translates: true, steps: ['treeFind'], spares: [] as string[], deferred: false, coherent: false };
    assert.ok(callTakes('treeFind', taker) && !callTakes('bitmapFind', taker));
    assert.ok(callTakes('unmapOther', taker) && !callTakes('unmapOtherDeferred', taker));
    assert.ok(!callTakes('coherentWalkSaving', taker) && callTakes('coherentWalkSaving', { ...taker, coherent: true }));
    assert.ok(!callTakes('mapFirstPte', { ...taker, translates: false }));
    assert.ok(!callTakes('mapFirstPte', { ...taker, spares: ['mapFirstPte'] }));
  });

  test('every reply that a number not measured here went into names it', () => {
    const machine = new Machine({
      policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' } },
      devices: [{ name: 'n', kind: 'custom' }],
      domains: [{ name: 'd' }],
      workloads: [{ kind: 'block', device: 'n' }],
      costs: { profile: 'fands24-clx' },
    });
    const mapped = machine.map('n', { buffer: machine.buffer(4096) });
    for (const step of ['treeAllocFixed', 'mapFirstPte', 'mapOther'])
      assert.ok(mapped.assumptions?.includes(step), step);
    for (const step of ['bitmapFind', 'unmapFurtherPte', 'packet', 'tableRead'])
      assert.ok(!mapped.assumptions?.includes(step), step);
    // A table read of this profile is cited.
    assert.ok(!('assumptions' in machine.dma('n', mapped.iova)));
    const range = { domain: 'd', iova: 0x40000000, lengthBytes: 4096 } as const;
    const named = (result: Record<string, unknown>) => result.assumptions;
    assert.deepEqual(named(machine.ok({ op: 'iommu-map', ...range, physicalAddress: 0, access: 'r' })), [
      ...['mapFirstPte', 'mapFurtherPte', 'invalidation'],
    ]);
    assert.deepEqual(named(machine.ok({ op: 'invalidate', scope: 'global' })), ['invalidation']);
    assert.deepEqual(named(machine.ok({ op: 'attach', device: 'n', domain: 'd' })), ['invalidation']);
    assert.deepEqual(named(machine.ok({ op: 'detach', device: 'n' })), ['invalidation']);
    machine.ok({ op: 'attach', device: 'n', domain: 'd' });
    const { assumptions } = machine.run({ forNs: 1_000_000 });
    assert.ok(assumptions.includes('io') && !assumptions.includes('packet'));
  });

  test('an access whose walk takes assumed time says so', () => {
    const machine = new Machine({
      devices: [{ name: 'n', kind: 'custom' }],
      costs: { profile: 'farshin23-icx' },
    });
    const { iova } = machine.map('n', { buffer: machine.buffer(4096) });
    const [first, second] = [machine.dma('n', iova), machine.dma('n', iova)] as unknown as Record<string, unknown>[];
    assert.deepEqual(first!.assumptions, ['tableRead']);
    assert.ok(second!.latencyNs === 0 && !('assumptions' in second!), 'a hit took none');
  });
});

test('costs have fast properties, and one shape under every profile', () => {
  // V8's own words, in a context of its own so that nothing else of the process depends on the flag.
  setFlagsFromString('--allow-natives-syntax');
  const isFast = runInNewContext('(object) => %HasFastProperties(object)') as (object: object) => boolean;
  const sameMap = runInNewContext('(a, b) => %HaveSameMap(a, b)') as (a: object, b: object) => boolean;
  const [first, ...others] = Object.values(profiles).map((profile) => costsOf(profile, { treeFind: 0.5 }));
  assert.ok(isFast(first!));
  for (const other of others) assert.ok(sameMap(first!, other));
  setFlagsFromString('--no-allow-natives-syntax');
});

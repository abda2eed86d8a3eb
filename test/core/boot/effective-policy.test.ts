/** Which policy is in force where another was asked for, why, and that it is the same as one that was asked for outright. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DomainType, PolicyReport, Why } from '../../../src/core/boot/effective-policy.ts';
import { policies } from '../../../src/core/os/invalidation/index.ts';
import { downgradeCauses } from '../../../src/core/os/invalidation/policy.ts';
import { resolveSpec, SpecError } from '../../../src/core/resolve-spec.ts';
import { Dice, Machine } from '../build.ts';

type Spec = Record<string, unknown>;
interface DomainPolicy {
  domainType: DomainType;
  invalidation: { kind: string };
  why: Why[];
}
type Report = PolicyReport & { domains: ({ domain: string } & DomainPolicy)[] };

const reportOf = (machine: Machine) => machine.sim.policyReport() as unknown as Report;
const report = (spec: Spec) => reportOf(new Machine(spec));
const codes = (why: readonly { code: string }[]) => why.map(({ code }) => code);
const asks = (kind: string, fields: Spec = {}) => ({
  policy: {
    allocator: policies[kind]?.needsCircular ? { kind: 'bitmap' } : { kind: 'rbtree' },
    invalidation: { kind },
    ...fields,
  },
});
const CAUSES: Record<string, Spec> = {
  'caching-mode': { iommu: { invalidation: { cachingMode: true } } },
  'no-deferred-flush': { iommu: { deferredFlush: false } },
};

describe('what becomes of a policy', () => {
  test('is declared by each for each cause, and leads to one that leaves nothing reachable and gives way no more', () => {
    for (const entry of Object.values(policies)) {
      assert.deepEqual(Object.keys(entry.downgrades).sort(), [...downgradeCauses].sort(), entry.kind);
      if (!entry.lazy) assert.equal(entry.leavesNothing, true, entry.kind);
      for (const cause of downgradeCauses) {
        const { to, why, source } = entry.downgrades[cause];
        assert.ok(why.length > 0 && source.length > 0);
        if (to === null) continue;
        assert.equal(policies[to]!.leavesNothing, true);
        assert.equal(policies[to]!.downgrades[cause].to, null);
      }
    }
    assert.equal(policies['flush-queue']!.downgrades['caching-mode'].to, 'strict');
    assert.equal(policies['flush-queue']!.downgrades['no-deferred-flush'].to, 'strict');
    assert.equal(policies['flush-queue']!.downgrades.untrusted.to, 'strict');
  });

  for (const kind of Object.keys(policies))
    for (const [cause, spec] of Object.entries(CAUSES))
      test(`${kind} under ${cause}`, () => {
        const { to, instead } = policies[kind]!.downgrades[cause as 'caching-mode'];
        const { requested, effective, why } = report({ ...spec, ...asks(kind) });
        assert.equal(requested.invalidation.kind, kind);
        assert.equal(effective.invalidation.kind, to ?? kind);
        assert.deepEqual(codes(why), to !== null || instead !== undefined ? [cause] : []);
        for (const { member, detail } of why) {
          assert.equal(member, '/policy/invalidation/kind');
          assert.ok(detail.includes(kind), detail);
        }
        const forced = report({ ...spec, ...asks(kind, { force: true }) });
        assert.equal(forced.effective.invalidation.kind, kind);
        assert.deepEqual(codes(forced.why), to !== null ? ['forced'] : instead !== undefined ? [cause] : []);
      });

  test('both causes at once: the first settles it', () => {
    const { effective, why } = report({
      iommu: { deferredFlush: false, invalidation: { cachingMode: true } },
      ...asks('flush-queue'),
    });
    assert.equal(effective.invalidation.kind, 'strict');
    assert.deepEqual(codes(why), ['caching-mode']);
  });

  test('nothing is said where nothing is to say', () => {
    for (const kind of Object.keys(policies)) {
      const { requested, effective, why, warnings, domains } = report(asks(kind));
      assert.deepEqual(effective, requested);
      assert.deepEqual([why, warnings, domains], [[], [], []]);
    }
  });

  test('a single queue is worth a word, and gives way like the others', () => {
    const single = { invalidation: { kind: 'flush-queue', single: true } };
    assert.deepEqual(codes(report({ policy: single }).why), ['single-queue']);
    assert.deepEqual(codes(report({ policy: single, ...CAUSES['caching-mode'] }).why), ['caching-mode']);
  });

  test('in passthrough the invalidation policy lies idle', () => {
    const { effective, why } = report({ ...CAUSES['caching-mode'], ...asks('flush-queue', { mode: 'passthrough' }) });
    assert.equal(effective.domainType, 'identity');
    assert.deepEqual(
      why.map(({ code, member }) => [code, member]),
      [
        ['not-translated', '/policy/allocator'],
        ['not-translated', '/policy/invalidation'],
      ],
    );
  });

  test('in each mode it is what the mode makes of it', () => {
    const inMode = (mode: string) => {
      const { effective, why } = report(asks('flush-queue', { mode }));
      return [effective.invalidation.kind, effective.domainType, ...new Set(codes(why))];
    };
    assert.deepEqual(inMode('translate'), ['flush-queue', 'DMA-FQ']);
    assert.deepEqual(inMode('bounce'), ['flush-queue', 'DMA-FQ', 'not-translated']);
    assert.deepEqual(inMode('shadow'), ['flush-queue', 'DMA-FQ', 'not-translated']);
    assert.deepEqual(inMode('direct'), ['flush-queue', 'identity', 'not-translated']);
    assert.deepEqual(inMode('emulated'), ['strict', 'DMA', 'caching-mode'], 'an emulated IOMMU is in caching mode');
    assert.deepEqual(inMode('paravirtual'), ['flush-queue', 'DMA-FQ']);
    assert.deepEqual(inMode('nested'), ['flush-queue', 'DMA-FQ'], 'first-stage tables need no caching mode');
  });

  test('the domain type is the word of sysfs', () => {
    const types = Object.fromEntries(
      Object.keys(policies).map((kind) => [kind, report(asks(kind)).effective.domainType]),
    );
    assert.deepEqual(types, {
      ...Object.fromEntries(Object.keys(policies).map((kind) => [kind, policies[kind]!.lazy ? 'DMA-FQ' : 'DMA'])),
      strict: 'DMA',
      'flush-queue': 'DMA-FQ',
    });
  });
});

describe('the command line', () => {
  const requested = (line: string, spec: Spec = {}) => report({ kernelCommandLine: line, ...spec });

  test('sets what the spec leaves open, and a reason says which option did', () => {
    const { requested: policy, why, warnings } = requested('iommu.strict=0 intel_iommu=on,sp_off');
    assert.equal(policy.invalidation.kind, 'flush-queue');
    assert.deepEqual(
      why.map(({ code, member }) => [code, member]),
      [
        ['command-line', '/policy/invalidation/kind'],
        ['command-line', '/iommu/superpages'],
      ],
    );
    assert.deepEqual(warnings, []);
    const spec = resolveSpec({ kernelCommandLine: 'intel_iommu=sp_off' });
    assert.deepEqual(spec.iommu.superpages, []);
    assert.equal(spec.kernelCommandLine, 'intel_iommu=sp_off');
  });

  const table: [line: string, mode: string, kind: string][] = [
    ['', 'translate', 'deferred-2008'],
    ['quiet', 'translate', 'deferred-2008'],
    ['amd_iommu=pt', 'translate', 'deferred-2008'],
    ['iommu.strict=1', 'translate', 'strict'],
    ['amd_iommu=fullflush', 'translate', 'strict'],
    ['iommu=pt', 'passthrough', 'deferred-2008'],
    ['intel_iommu=off', 'passthrough', 'deferred-2008'],
    ['amd_iommu=off', 'passthrough', 'deferred-2008'],
    ['iommu=off iommu=nopt', 'passthrough', 'deferred-2008'],
    ['intel_iommu=off,on', 'translate', 'deferred-2008'],
    ['iommu=pt iommu.strict=1', 'passthrough', 'strict'],
  ];
  for (const [line, mode, kind] of table)
    test(`"${line}" asks for ${mode}, ${kind}`, () => {
      const { requested: policy } = requested(line);
      assert.deepEqual([policy.mode, policy.invalidation.kind], [mode, kind]);
    });

  test('wins over a preset', () => {
    const { requested: policy } = requested('iommu.strict=1', { preset: 'thread-2008' });
    assert.equal(policy.invalidation.kind, 'strict');
  });

  test('loses to a member of the spec that contradicts it, with a warning; one that agrees is fine', () => {
    const contradicted: [line: string, spec: Spec, member: string][] = [
      ['iommu.strict=1', asks('flush-queue'), '/policy/invalidation/kind'],
      ['iommu.strict=0', asks('strict'), '/policy/invalidation/kind'],
      ['iommu=pt', { policy: { mode: 'translate' } }, '/policy/mode'],
      ['intel_iommu=off', { policy: { mode: 'translate' } }, '/policy/mode'],
      ['iommu.passthrough=0', { policy: { mode: 'passthrough' } }, '/policy/mode'],
      ['swiotlb=noforce iommu.strict=1', asks('never'), '/policy/invalidation/kind'],
      ['intel_iommu=sp_off', { iommu: { superpages: ['2MiB'] } }, '/iommu/superpages'],
      ['iommu.forcedac=1', { policy: { forcedac: false } }, '/policy/forcedac'],
      ['iommu=fullflush', { policy: { allocator: { kind: 'gart', fullFlush: false } } }, '/policy/allocator/fullFlush'],
    ];
    for (const [line, spec, member] of contradicted) {
      const { warnings, why, requested: policy } = requested(line, spec);
      assert.deepEqual(
        warnings.map((warning) => [warning.code, warning.option, warning.member]),
        [['member-wins', line.split(' ').at(-1), member]],
      );
      assert.ok(!codes(why).includes('command-line'));
      assert.deepEqual(policy, report(spec).requested);
    }
    for (const kind of ['flush-queue', 'deferred-2008', 'never']) {
      const { warnings, requested: policy } = requested('iommu.strict=0', asks(kind));
      assert.deepEqual(warnings, []);
      assert.equal(policy.invalidation.kind, kind, 'any lazy policy agrees with strict=0');
    }
  });

  test('a word for the GART sets its allocator, and only that', () => {
    const gart = { policy: { allocator: { kind: 'gart' } } };
    assert.equal(requested('iommu=fullflush', gart).requested.allocator.fullFlush, true);
    const { warnings, requested: policy } = requested('iommu=fullflush');
    assert.deepEqual(policy.allocator, { kind: 'rbtree-2008' });
    assert.deepEqual(codes(warnings), ['no-effect']);
  });

  test('a parameter that does not belong to the kind it chose is refused by name', () => {
    const problems = refusal({ kernelCommandLine: 'iommu.strict=1', policy: { invalidation: { highWater: 5 } } });
    assert.deepEqual(problems, [['/policy/invalidation/highWater', 'is no parameter of the kind strict']]);
  });

  test('swiotlb=force asks for the mode bounce, whatever else is said, and the size is that of its pool', () => {
    const { requested: policy, why, warnings } = requested('iommu=pt swiotlb=8192,force');
    assert.deepEqual([policy.mode, policy.bounce?.poolBytes], ['bounce', 2 ** 24]);
    assert.deepEqual(
      why.filter(({ code }) => code === 'command-line').map(({ member }) => member),
      ['/policy/mode', '/policy/bounce/poolBytes'],
    );
    assert.deepEqual(warnings, []);
    assert.equal(requested('iommu=off swiotlb=force').requested.mode, 'bounce');
    assert.equal(requested('swiotlb=noforce').requested.mode, 'translate');
    assert.deepEqual(codes(requested('swiotlb=noforce', { policy: { mode: 'bounce' } }).warnings), ['member-wins']);
    const behind = requested('intel_iommu=on swiotlb=force');
    assert.equal(behind.requested.mode, 'bounce');
    assert.deepEqual(codes(behind.warnings), ['differs']);
  });

  test('the pool of a translating session is that of its untrusted devices; without translation there is none', () => {
    assert.equal(requested('swiotlb=8192').requested.bounce?.poolBytes, 2 ** 24);
    const direct = requested('iommu=pt swiotlb=8192');
    assert.deepEqual([direct.requested.mode, direct.requested.bounce], ['passthrough', undefined]);
    assert.deepEqual(codes(direct.warnings), ['no-effect']);
    assert.deepEqual(codes(requested('swiotlb=8192', { policy: { mode: 'shadow' } }).warnings), ['no-effect']);
    assert.deepEqual(codes(requested('swiotlb=1048576').warnings), ['not-modelled'], 'more than 1 GiB');
    const own = requested('swiotlb=8192', { policy: { bounce: { poolBytes: 2 ** 20 } } });
    assert.equal(own.requested.bounce?.poolBytes, 2 ** 20);
    assert.deepEqual(codes(own.warnings), ['member-wins']);
    assert.equal(
      requested('swiotlb=8192', { policy: { bounce: { areas: 'one' } } }).requested.bounce?.poolBytes,
      2 ** 24,
    );
  });

  test('forcedac: the first address lies above 4 GiB at once, in the tree of 2008 too', () => {
    for (const kind of ['rbtree-2008', 'rbtree']) {
      const first = (line: string) => {
        const machine = new Machine({
          kernelCommandLine: line,
          policy: { allocator: { kind } },
          devices: [{ name: 'n', kind: 'custom' }],
        });
        return Number(machine.map('n', { buffer: machine.buffer(4096) }).iova);
      };
      assert.ok(first('') < 2 ** 32);
      assert.ok(first('iommu.forcedac=1') >= 2 ** 32);
      assert.ok(first('intel_iommu=forcedac') >= 2 ** 32);
      assert.ok(first('iommu.forcedac=0') < 2 ** 32);
    }
  });

  test('a resolved spec resolves to itself, whatever led to it', () => {
    const specs: Spec[] = [
      { kernelCommandLine: 'iommu.strict=0 intel_iommu=on,sp_off' },
      { kernelCommandLine: 'iommu=pt', policy: { invalidation: { kind: 'DMA' } } },
      { policy: { invalidation: { kind: 'identity' } } },
      { preset: 'thread-2008', kernelCommandLine: 'iommu=off' },
      { policy: { force: true, forcedac: true, invalidation: { kind: 'DMA-FQ', single: true } } },
    ];
    for (const spec of specs) {
      const resolved = resolveSpec(spec);
      assert.deepEqual(resolveSpec(JSON.parse(JSON.stringify(resolved)) as Spec), resolved);
    }
  });
});

function refusal(spec: Spec): [string, string][] {
  try {
    resolveSpec(spec);
  } catch (error) {
    if (error instanceof SpecError) return error.problems.map(({ path, message }) => [path, message]);
    throw error;
  }
  return [];
}

describe('the words of sysfs', () => {
  const word = (kind: string, spec: Spec = {}, fields: Spec = {}) => {
    const { requested, warnings } = report({ ...spec, policy: { ...fields, invalidation: { kind } } });
    return [requested.mode, requested.invalidation.kind, ...codes(warnings)];
  };

  test('stand for a policy, or for passthrough', () => {
    assert.deepEqual(word('DMA'), ['translate', 'strict']);
    assert.deepEqual(word('DMA-FQ'), ['translate', 'flush-queue']);
    assert.deepEqual(word('identity'), ['passthrough', 'deferred-2008']);
    assert.deepEqual(word('auto'), ['translate', 'flush-queue']);
  });

  test('are members of the spec: they win over the command line, all but auto', () => {
    assert.deepEqual(word('DMA', { kernelCommandLine: 'iommu.strict=0' }), ['translate', 'strict', 'member-wins']);
    assert.deepEqual(word('DMA-FQ', { kernelCommandLine: 'iommu=pt' }), ['translate', 'flush-queue', 'member-wins']);
    assert.deepEqual(word('identity', { kernelCommandLine: 'iommu=nopt' })[0], 'passthrough');
    assert.deepEqual(word('auto', { kernelCommandLine: 'iommu.strict=1' }), ['translate', 'strict']);
    assert.deepEqual(word('auto', { kernelCommandLine: 'iommu=pt' }), ['passthrough', 'flush-queue']);
    assert.deepEqual(word('auto', { preset: 'thread-2008' }), ['translate', 'flush-queue']);
  });

  test('keep the parameters beside them', () => {
    const { invalidation } = resolveSpec({ policy: { invalidation: { kind: 'DMA-FQ', single: true } } }).policy;
    assert.deepEqual(invalidation, { kind: 'flush-queue', single: true });
  });

  test('are refused beside a mode that says otherwise', () => {
    for (const [kind, mode] of [
      ['identity', 'translate'],
      ['DMA', 'passthrough'],
      ['DMA-FQ', 'passthrough'],
    ]) {
      const problems = refusal({ policy: { mode, invalidation: { kind } } });
      assert.deepEqual(
        problems.map(([path]) => path),
        ['/policy/invalidation/kind'],
      );
      assert.ok(problems[0]![1].includes(mode!));
    }
    assert.deepEqual(word('identity', {}, { mode: 'passthrough' })[0], 'passthrough');
  });
});

/** Some traffic of two devices: what they map, touch and give back is the same on every machine. */
function traffic(machine: Machine, seed: number, steps = 400): void {
  const dice = new Dice(seed);
  const buffers = Array.from({ length: 6 }, () => machine.buffer(3 * 4096));
  const live: { device: string; id: string; iova: number; pages: number }[] = [];
  const past: { device: string; iova: number }[] = [];
  for (let step = 0; step < steps; step++) {
    const choice = dice.below(5);
    if (choice <= 1 && live.length < 20) {
      const device = dice.pick(['n', 'm']);
      const pages = 1 + dice.below(3);
      const { id, iova } = machine.map(device, {
        buffer: dice.pick(buffers),
        lengthBytes: pages * 4096,
        cpu: dice.below(4),
      });
      live.push({ device, id, iova: Number(iova), pages });
      machine.dma(device, iova, 'write', pages * 4096);
    } else if (choice === 2 && live.length > 0) {
      const [gone] = live.splice(dice.below(live.length), 1);
      machine.unmap(gone!.id, dice.below(4));
      past.push(gone!);
    } else if (choice === 3 && past.length > 0) {
      const { device, iova } = dice.pick(past.slice(-8));
      machine.dma(device, iova, 'write', 64);
    } else machine.advance(dice.below(3_000_000));
  }
}

const DEVICES = [
  { name: 'n', kind: 'custom' },
  { name: 'm', kind: 'custom' },
];

describe('a policy that came about by way of another', () => {
  /** [how it was asked for, the same outright] */
  const pairs: [name: string, indirect: Spec, outright: Spec][] = [
    [
      'caching mode',
      { iommu: { invalidation: { cachingMode: true } }, ...asks('flush-queue') },
      { iommu: { invalidation: { cachingMode: true } }, ...asks('strict') },
    ],
    ['a lacking capability', { iommu: { deferredFlush: false }, ...asks('flush-queue') }, asks('strict')],
    ['iommu.strict=1', { kernelCommandLine: 'iommu.strict=1' }, { policy: { invalidation: { kind: 'strict' } } }],
    ['intel_iommu=off', { kernelCommandLine: 'quiet intel_iommu=off' }, { policy: { mode: 'passthrough' } }],
    ['iommu.strict=0', { kernelCommandLine: 'iommu.strict=0' }, { policy: { invalidation: { kind: 'flush-queue' } } }],
    ['sp_off', { kernelCommandLine: 'intel_iommu=sp_off' }, { iommu: { superpages: [] } }],
    ['forcedac', { kernelCommandLine: 'iommu.forcedac=1' }, { policy: { forcedac: true } }],
    ['DMA', { policy: { invalidation: { kind: 'DMA' } } }, { policy: { invalidation: { kind: 'strict' } } }],
    ['force without effect', asks('strict', { force: true }), asks('strict')],
    [
      'a preset overridden',
      { preset: 'thread-2008', kernelCommandLine: 'iommu.strict=1', workloads: [], machine: { cpus: 4 } },
      {
        preset: 'thread-2008',
        workloads: [],
        machine: { cpus: 4 },
        policy: { invalidation: { kind: 'strict' } },
      },
    ],
  ];
  for (const [name, indirect, outright] of pairs)
    test(`${name}: digest, metrics and clock are those of the same policy asked for outright`, () => {
      const machines = [indirect, outright].map((spec) => new Machine({ ...spec, domains: [], devices: DEVICES }));
      const [one, other] = machines as [Machine, Machine];
      assert.equal(one.sim.digest(), other.sim.digest());
      for (const machine of machines) traffic(machine, 7);
      assert.deepEqual(one.metrics(), other.metrics());
      assert.deepEqual([one.sim.timePs, one.sim.digest()], [other.sim.timePs, other.sim.digest()]);
    });

  test('and those of another policy are others', () => {
    const of = (spec: Spec) => new Machine({ ...spec, devices: DEVICES }).sim.digest();
    const strict = of(asks('strict'));
    assert.notEqual(of(asks('flush-queue')), strict);
    assert.notEqual(of(asks('strict', { forcedac: true })), strict);
    // What it would do to an untrusted device differs.
    assert.notEqual(of(asks('flush-queue', { force: true })), of(asks('flush-queue')));
  });

  test('kept by force, it runs as the one that was asked for', () => {
    const machine = new Machine({
      ...CAUSES['no-deferred-flush'],
      ...asks('flush-queue', { force: true }),
      devices: DEVICES,
    });
    machine.unmap(machine.map('n', { buffer: machine.buffer(4096) }).id);
    assert.equal(machine.sim.policy.queued, 1);
  });
});

describe('an untrusted device', () => {
  const distrusting = (kind: string, spec: Spec = {}) =>
    new Machine({
      iommu: { iotlb: { entries: 256, ways: 0 } },
      ...asks(kind),
      ...spec,
      domains: [{ name: 'shared' }],
      devices: [
        { name: 'n', kind: 'custom' },
        { name: 'm', kind: 'custom', untrusted: true },
        { name: 's', kind: 'custom', domain: 'shared' },
      ],
    });
  const policyOf = (machine: Machine, domain: string) =>
    machine.read<{ policy: DomainPolicy }>({ read: 'domain', id: domain }).policy;
  /** A page mapped, used and unmapped, and what a last access of the device gets. */
  const afterUnmap = (machine: Machine, device: string) => {
    const { id, iova } = machine.map(device, { buffer: machine.buffer(4096) });
    machine.touch(device, iova);
    const { exposed } = machine.unmap(id);
    return [exposed, machine.touch(device, iova).verdict];
  };
  const openIn = (machine: Machine, domain: number) => {
    let open = 0;
    machine.sim.exposure.forEachOpen(domain, () => open++);
    return open;
  };

  for (const kind of ['flush-queue', 'deferred-2008'])
    test(`has strict in its own domain while the others stay with ${kind}`, () => {
      const machine = distrusting(kind);
      assert.deepEqual(afterUnmap(machine, 'n'), [true, 'stale']);
      assert.deepEqual(afterUnmap(machine, 'm'), [false, 'fault']);
      const own = machine.read<{ domain: string; policy: DomainPolicy }>({ read: 'device', id: 'm' });
      assert.equal(own.policy.invalidation.kind, 'strict');
      assert.equal(own.policy.domainType, 'DMA');
      assert.deepEqual(codes(own.policy.why), ['untrusted']);
      const { effective, why, domains } = reportOf(machine);
      assert.equal(effective.invalidation.kind, kind);
      assert.deepEqual(codes(why), ['untrusted']);
      assert.deepEqual(
        domains.map(({ domain, invalidation }) => [domain, invalidation.kind]),
        [[own.domain, 'strict']],
      );
      assert.deepEqual(policyOf(machine, 'shared').why, []);
    });

  test('opens no window, ever, while another domain of the session has many', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const machine = distrusting('flush-queue');
      const { domain } = machine.read<{ domain: string }>({ read: 'device', id: 'm' });
      const index = Number(domain.slice(4));
      let others = 0;
      const advance = machine.advance.bind(machine);
      machine.advance = (ns) => {
        assert.equal(openIn(machine, index), 0);
        others += openIn(machine, 1);
        return advance(ns);
      };
      const unmap = machine.unmap.bind(machine);
      machine.unmap = (mapping, cpu) => {
        const { device } = machine.read<{ device: string }>({ read: 'mapping', id: mapping });
        const reply = unmap(mapping, cpu);
        if (device === machine.read<{ id: string }>({ read: 'device', id: 'm' }).id) assert.equal(reply.exposed, false);
        assert.equal(openIn(machine, index), 0);
        others += openIn(machine, 1);
        return reply;
      };
      traffic(machine, seed);
      assert.ok(machine.metrics().exposure.potential.windows > 20);
      assert.ok(others > 0);
    }
  });

  test('makes the domain that it joins strict for all of its devices, and what waits there is flushed first', () => {
    const machine = distrusting('flush-queue');
    const { id, iova } = machine.map('s', { buffer: machine.buffer(4096) });
    machine.touch('s', iova);
    machine.unmap(id);
    machine.unmap(machine.map('n', { buffer: machine.buffer(4096) }).id);
    const shared = machine.sim.domains.findIndex(({ name }) => name === 'shared');
    assert.deepEqual([openIn(machine, shared), machine.sim.policy.queued], [1, 2]);
    const flushes = machine.sim.counters.flushesExplicit;
    const before = machine.sim.timeNs;
    machine.ok({ op: 'attach', device: 'm', domain: 'shared' });
    assert.ok(machine.sim.timeNs > before);
    assert.deepEqual([openIn(machine, shared), machine.sim.policy.queued], [0, 1], 'the other domain’s entry stays');
    assert.equal(machine.sim.counters.flushesExplicit, flushes + 1);
    const { items } = machine.read<{ items: { type: string }[] }>({ read: 'events' });
    const {
      sequence: _,
      timeNs: __,
      ...event
    } = items.find(({ type }) => type === 'policy') as Record<string, unknown>;
    assert.deepEqual(event, {
      type: 'policy',
      domain: machine.sim.domains[shared]!.id,
      invalidation: 'strict',
      because: 'untrusted',
      device: 'dev_1',
    });
    assert.equal(machine.touch('s', iova).verdict, 'fault');
    assert.deepEqual(afterUnmap(machine, 's'), [false, 'fault']);
    // The timer that was armed for it finds nothing.
    machine.advance(20_000_000);
    assert.equal(machine.sim.policy.queued, 0);
  });

  test('made in a domain whose queue holds something flushes it too, and pays for it', () => {
    const machine = distrusting('flush-queue');
    machine.unmap(machine.map('s', { buffer: machine.buffer(4096) }).id);
    const before = machine.sim.timeNs;
    machine.ok({ op: 'device', name: 'u', kind: 'nic', domain: 'shared', untrusted: true });
    assert.equal(machine.sim.policy.queued, 0);
    assert.ok(machine.sim.timeNs > before);
    const settled = machine.sim.timeNs;
    machine.ok({ op: 'device', name: 'v', kind: 'nic', domain: 'shared', untrusted: true });
    assert.equal(machine.sim.timeNs, settled, 'a device costs nothing otherwise');
  });

  test('leaves the domain strict when it goes', () => {
    const machine = distrusting('flush-queue');
    machine.ok({ op: 'attach', device: 'm', domain: 'shared' });
    machine.ok({ op: 'detach', device: 'm' });
    assert.deepEqual(afterUnmap(machine, 's'), [false, 'fault']);
    machine.ok({ op: 'device-remove', device: 'm' });
    assert.equal(policyOf(machine, 'shared').invalidation.kind, 'strict');
    assert.deepEqual(codes(policyOf(machine, 'shared').why), ['untrusted']);
    assert.equal(machine.read<{ policy: unknown }>({ read: 'device', id: 'n' }).policy !== null, true);
  });

  test('detached has no policy', () => {
    const machine = distrusting('flush-queue');
    machine.ok({ op: 'detach', device: 'm' });
    assert.equal(machine.read<{ policy: unknown }>({ read: 'device', id: 'm' }).policy, null);
  });

  test('is like the others with force, on platforms without a word for it, and in passthrough: and the report says so', () => {
    const forced = distrusting('flush-queue', asks('flush-queue', { force: true }));
    assert.deepEqual(afterUnmap(forced, 'm'), [true, 'stale']);
    assert.deepEqual(codes(reportOf(forced).why), ['forced']);
    assert.deepEqual(codes(policyOf(forced, 'dom_2').why), ['forced']);
    assert.deepEqual(policyOf(forced, 'shared').why, []);
    const platform = distrusting('wrap');
    assert.deepEqual(afterUnmap(platform, 'm'), [true, 'stale']);
    assert.deepEqual(reportOf(platform).why, []);
    const direct = distrusting('flush-queue', { policy: { mode: 'passthrough' } });
    assert.deepEqual(codes(reportOf(direct).why), ['not-translated', 'not-translated', 'not-translated']);
    const strict = distrusting('strict');
    assert.deepEqual([reportOf(strict).why, reportOf(strict).domains], [[], []]);
  });

  test('is in the digest, and reset brings back what the spec says', () => {
    const spec = { ...asks('flush-queue'), devices: [{ name: 'm', kind: 'custom' }] };
    const trusted = new Machine(spec);
    const untrusted = new Machine({ ...spec, devices: [{ name: 'm', kind: 'custom', untrusted: true }] });
    assert.notEqual(trusted.sim.digest(), untrusted.sim.digest());
    const machine = distrusting('flush-queue');
    const fresh = machine.sim.digest();
    machine.ok({ op: 'attach', device: 'm', domain: 'shared' });
    assert.notEqual(machine.sim.digest(), fresh);
    assert.equal(distrusting('flush-queue').sim.digest(), fresh);
  });

  test('faults name the policy of their domain', () => {
    const machine = distrusting('flush-queue');
    machine.touch('m', '0x5000');
    machine.touch('n', '0x5000');
    const { items } = machine.read<{ items: { policy: string }[] }>({ read: 'faults' });
    assert.deepEqual(
      items.map(({ policy }) => policy),
      ['strict', 'flush-queue'],
    );
  });
});

/** The walk of two stages: references counted by hand, and a model of sets and one recursion over random histories. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NaiveTwoStages } from '../../oracles/two-stages.ts';
import { Dice, Machine, type Mapped } from '../build.ts';

const COLD = [0, 0, 0];

function guest(entriesPerLevel: number[], spec: Record<string, unknown> = {}): Machine {
  const { iommu, ...rest } = spec as { iommu?: Record<string, unknown> };
  return new Machine({
    policy: { mode: 'nested', allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' } },
    tenants: [{ name: 'vm', kind: 'vm' }],
    devices: [{ name: 'nic', kind: 'custom' }],
    iommu: { walkCache: { entriesPerLevel }, ...iommu },
    ...rest,
  });
}

describe('references', () => {
  test('24 with nothing cached: four translations and reads of a table, and a translation of the page', () => {
    const machine = guest(COLD);
    const { iova } = machine.map('nic', { buffer: machine.buffer(8192, { tenant: 'vm' }) });
    const piece = machine.touch('nic', iova);
    assert.deepEqual([piece.memoryReferences, piece.from, piece.verdict], [24, 'walk', 'ok']);
    assert.equal(machine.touch('nic', Number(iova) + 4096).memoryReferences, 24, 'nothing is learned by it');
    assert.deepEqual([machine.touch('nic', iova).from, machine.touch('nic', iova).memoryReferences], ['iotlb', 0]);
    assert.equal(machine.metrics().counts.memoryReferences, 48);
  });

  test('35 with five levels each', () => {
    const machine = guest([0, 0, 0, 0], { iommu: { levels: 5 } });
    const { iova } = machine.map('nic', { buffer: machine.buffer(4096, { tenant: 'vm' }) });
    assert.equal(machine.touch('nic', iova).memoryReferences, 5 * (5 + 1) + 5);
  });

  test('19 where the second stage has the page in a large one, and 15 where the first has as well', () => {
    const machine = guest(COLD);
    const buffer = machine.buffer(2 ** 21, { tenant: 'vm', physicalAddress: 0x800000 });
    const { iova } = machine.map('nic', { buffer, lengthBytes: 4096 });
    assert.equal(machine.touch('nic', iova).memoryReferences, 4 * (4 + 1) + 3);
    machine.ok({
      op: 'iommu-map',
      domain: 'dom_0',
      iova: '0x40000000',
      physicalAddress: '0x800000',
      lengthBytes: 2 ** 21,
      access: 'rw',
    });
    assert.equal(machine.touch('nic', '0x40000000').memoryReferences, 3 * (4 + 1) + 3);
    const { entries } = machine.read<{ entries: { pageSize: string; iova: string }[] }>({ read: 'iotlb' });
    assert.deepEqual(
      entries.map(({ pageSize }) => pageSize).sort(),
      ['2MiB', '4KiB'],
      'a small page in a large one is cached small',
    );
  });

  test('a large page of the guest over small ones of its host is cached small', () => {
    const machine = guest(COLD, { iommu: { superpages: ['2MiB'] } });
    // Blocks of less than 2 MiB, side by side: the host has no large page there, the guest writes one.
    for (let i = 0; i < 2; i++) machine.buffer(2 ** 20, { tenant: 'vm', physicalAddress: 0x800000 + i * 2 ** 20 });
    machine.ok({
      op: 'iommu-map',
      domain: 'dom_0',
      iova: '0x40000000',
      physicalAddress: '0x800000',
      lengthBytes: 2 ** 21,
      access: 'rw',
    });
    const piece = machine.touch('nic', 0x40000000 + 300 * 4096);
    assert.equal(Number(piece.physicalAddress), 0x800000 + 300 * 4096);
    assert.equal(piece.memoryReferences, 3 * (4 + 1) + 4);
    const { entries } = machine.read<{ entries: { pageSize: string; iova: string }[] }>({ read: 'iotlb' });
    assert.deepEqual(
      entries.map(({ pageSize, iova }) => [pageSize, Number(iova)]),
      [['4KiB', 0x40000000 + 300 * 4096]],
    );
  });

  // A walk warms the second stage by itself: the tables of one guest lie side by side in one span of 2 MiB.
  for (const [entries, first, second, why] of [
    [[16, 16, 16], 12, 2, 'both stages: a leaf of each is left'],
    [[0, 0, 16], 4 + 1 + 3 * (1 + 1) + 1, 1 + 1, 'the last levels alone are enough'],
    [
      [0, 16, 0],
      4 + 1 + 3 * (2 + 1) + 2,
      1 + (2 + 1) + 2,
      'level 2: a table of the first is left, and two of each second',
    ],
    [[16, 0, 0], 4 + 1 + 3 * (3 + 1) + 3, 1 + 2 * (3 + 1) + 3, 'level 3'],
  ] as const)
    test(`walk caches of ${entries}: ${first} cold, ${second} warm; ${why}`, () => {
      const machine = guest([...entries]);
      const { iova } = machine.map('nic', { buffer: machine.buffer(8192, { tenant: 'vm' }) });
      assert.equal(machine.touch('nic', iova).memoryReferences, first);
      const piece = machine.touch('nic', Number(iova) + 4096);
      assert.deepEqual([piece.memoryReferences, piece.from], [second, 'walk-cache']);
    });

  test('what the hypervisor’s caches hold is shown, and is of the guest', () => {
    const machine = guest([16, 16, 16]);
    const { iova } = machine.map('nic', { buffer: machine.buffer(4096, { tenant: 'vm' }) });
    machine.touch('nic', iova);
    const { secondStage } = machine.read<{ secondStage: Record<string, unknown>[] }>({ read: 'walk-cache' });
    assert.deepEqual(
      secondStage.map(({ tableLevel, tenant, guestPhysicalAddress }) => [tableLevel, tenant, guestPhysicalAddress]),
      [
        [3, 'ten_1', '0x0'],
        [2, 'ten_1', '0x0'],
        [1, 'ten_1', '0x0'],
      ],
    );
    const { secondStageWalkCaches } = machine.metrics() as unknown as {
      secondStageWalkCaches: { tableLevel: number; lookups: number; hits: number }[];
    };
    // Root, three tables and the page: the first of them cold.
    assert.deepEqual(secondStageWalkCaches[0], { tableLevel: 1, lookups: 5, hits: 4 });
  });
});

describe('faults have the reasons of scalable mode', () => {
  const reasonOf = (machine: Machine, iova: number | string, access: 'read' | 'write' = 'write') => {
    const { verdict, reason } = machine.touch('nic', iova, access);
    assert.equal(verdict, 'fault');
    return reason;
  };

  test('of the first stage, of the second, and of neither', () => {
    const machine = guest([16, 16, 16]);
    const buffer = machine.buffer(4096, { tenant: 'vm' });
    const out = machine.map('nic', { buffer, direction: 'to-device' });
    const inward = machine.map('nic', { buffer, direction: 'from-device' });
    assert.equal(reasonOf(machine, out.iova), 0x85, 'no write permission');
    assert.equal(reasonOf(machine, inward.iova, 'read'), 0x86, 'no read permission');
    assert.equal(reasonOf(machine, 0x1000), 0x71, 'not present');
    machine.ok({ op: 'free', buffer, force: true });
    assert.equal(reasonOf(machine, inward.iova), 0x79, 'the guest has it, its host has not');
    assert.equal(reasonOf(machine, 2 ** 47), 0x80, 'not canonical');
    machine.ok({
      op: 'iommu-map',
      domain: 'dom_0',
      iova: '0x40000000',
      physicalAddress: 2 ** 48,
      lengthBytes: 4096,
      access: 'rw',
    });
    assert.equal(reasonOf(machine, '0x40000000'), 0x74, 'no guest has an address like that');
    assert.equal(reasonOf(machine, '0xfee00000', 'read'), 0x87);
    machine.ok({ op: 'detach', device: 'nic' });
    assert.equal(reasonOf(machine, 0x1000), 0x59, 'in no domain');
  });

  test('the message is the kernel’s', () => {
    const machine = guest([16, 16, 16]);
    machine.touch('nic', '0x1234600000');
    const { items } = machine.read<{ items: { message: string; reason: { name: string } | string }[] }>({
      read: 'faults',
    });
    assert.equal(
      items[0]!.message,
      'DMAR: [DMA Write NO_PASID] Request device [00:02.0] fault addr 0x1234600000 [fault reason 0x71] SM: Present bit in first-level paging entry is clear',
    );
  });
});

describe('a model of sets and one recursion', () => {
  for (const [seed, capacities] of [
    [1, [0, 0, 0]],
    [2, [1, 1, 1]],
    [3, [1, 2, 3]],
    [4, [16, 16, 16]],
  ] as const)
    test(`finds, reads and caches the same over 3,000 steps: caches of ${capacities}, seed ${seed}`, () => {
      const machine = new Machine({
        policy: { mode: 'nested', allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' } },
        iommu: { walkCache: { entriesPerLevel: [...capacities] }, iotlb: { entries: 4, ways: 0 } },
        tenants: [
          { name: 'red', kind: 'vm' },
          { name: 'blue', kind: 'vm' },
        ],
        domains: ['red', 'red', 'blue'].map((tenant, i) => ({ name: `d${i}`, tenant })),
        devices: [0, 1, 2].map((i) => ({ name: `v${i}`, kind: 'custom', domain: `d${i}` })),
      });
      const model = new NaiveTwoStages(capacities);
      const dice = new Dice(seed);
      const tenantOf = (domain: number) => (domain === 2 ? 'blue' : 'red');
      const guestOf = (domain: number) => (domain === 2 ? 2 : 1);
      const domainsOf = (guestIndex: number) => (guestIndex === 2 ? [2] : [0, 1]);

      /** Where the tables on the way to a page lie is read off; the model is told, and that its guest has those frames. */
      const learn = (domain: number, page: number) => {
        const { entries } = machine.read<{ entries: { level: number; table: string }[] }>({
          read: 'page-table',
          domain: `d${domain}`,
          iova: page * 4096,
        });
        for (const { level, table } of entries) {
          const frame = Number(table) / 4096;
          model.placed(domain, level, page, frame);
          if (!model.holds(guestOf(domain), frame)) model.give(guestOf(domain), frame);
        }
      };
      for (const domain of [0, 1, 2]) learn(domain, 0);

      // Memory in large pages of the host, which stays.
      const large = ['red', 'blue'].map((tenant, i) => {
        const at = 0x800000 + i * 2 ** 22;
        const id = machine.buffer(2 ** 22, { tenant, physicalAddress: at });
        for (let page = at / 4096; page < at / 4096 + 1024; page += 512) model.give(i + 1, page, 2);
        return id;
      });
      const small: { id: string; guest: number; frame: number; pages: number }[] = [];
      const live: { id: string; domain: number; page: number; pages: number }[] = [];
      const dead: { domain: number; page: number }[] = [];
      const seen: Record<string, number> = {};

      for (let step = 0; step < 3000; step++) {
        const what = dice.below(12);
        if (what === 0 && small.length < 30) {
          const guestIndex = 1 + dice.below(2);
          const pages = 1 + dice.below(3);
          const id = machine.buffer(pages * 4096, { tenant: guestIndex === 2 ? 'blue' : 'red' });
          const frame = machine.addressOf(id) / 4096;
          for (let i = 0; i < pages; i++) model.give(guestIndex, frame + i);
          small.push({ id, guest: guestIndex, frame, pages });
        } else if (what === 1 && dice.chance(3) && small.length > 5) {
          // Whether or not it is mapped: the guest's entries stay, its host's go.
          const [{ id, guest: guestIndex, frame, pages }] = small.splice(dice.below(small.length), 1) as [
            (typeof small)[0],
          ];
          machine.ok({ op: 'free', buffer: id, force: true });
          for (let i = 0; i < pages; i++) model.take(guestIndex, frame + i, domainsOf(guestIndex));
        } else if (what < 5 && live.length < 40) {
          const domain = dice.below(3);
          const own = small.filter(({ guest: of }) => of === guestOf(domain));
          const direction = dice.pick(['to-device', 'from-device', 'bidirectional'] as const);
          const access = direction === 'to-device' ? 'r' : direction === 'from-device' ? 'w' : 'rw';
          const fromLarge = own.length === 0 || dice.chance(2);
          const chosen = fromLarge ? null : dice.pick(own);
          const pages = chosen?.pages ?? dice.pick([1, 2, 8]);
          const buffer = chosen?.id ?? large[guestOf(domain) - 1]!;
          const offset = chosen === null ? dice.below(1000) : 0;
          const frame = machine.addressOf(buffer) / 4096 + offset;
          const outcome = machine.apply({
            op: 'map',
            device: `v${domain}`,
            kind: 'single',
            direction,
            buffer,
            offsetBytes: offset * 4096,
            lengthBytes: pages * 4096,
          });
          if (outcome.status !== 'ok') continue;
          const { id, iova } = outcome.result as unknown as Mapped;
          const page = Number(iova) / 4096;
          for (let i = 0; i < pages; i++) {
            model.map(domain, page + i, frame + i, access);
            learn(domain, page + i);
          }
          live.push({ id, domain, page, pages });
        } else if (what === 5 && live.length > 10) {
          const [{ id, domain, page, pages }] = live.splice(dice.below(live.length), 1) as [(typeof live)[0]];
          machine.unmap(id);
          for (let i = 0; i < pages; i++) {
            model.unmap(domain, page + i);
            dead.push({ domain, page: page + i });
          }
        } else if (live.length > 0) {
          const aim = dice.pick(live);
          const domain = dice.chance(6) ? dice.below(3) : aim.domain;
          let page = aim.page + dice.below(aim.pages);
          if (dice.chance(6)) page = dice.below(2 ** 30);
          else if (dead.length > 0 && dice.below(6) === 1) ({ page } = dice.pick(dead));
          const access = dice.pick(['read', 'write'] as const);
          const piece = machine.touch(`v${domain}`, page * 4096, access, 4096);
          if (piece.from === 'iotlb') {
            seen.iotlb = (seen.iotlb ?? 0) + 1;
            assert.equal(piece.memoryReferences, 0);
            continue;
          }
          const found = model.walk(domain, guestOf(domain), page, access[0] as 'r' | 'w');
          const told = `step ${step}: ${access} of page ${page} in d${domain} (${tenantOf(domain)})`;
          assert.equal(piece.memoryReferences, found.references, told);
          assert.equal(piece.reason ?? null, found.reason, told);
          assert.equal(piece.verdict === 'fault' ? null : Number(piece.physicalAddress) / 4096, found.frame, told);
          if (found.frame !== null) assert.equal(piece.from, found.from, told);
          const kind = found.reason === null ? found.from : `0x${found.reason.toString(16)}`;
          seen[kind] = (seen[kind] ?? 0) + 1;
        }
      }
      for (const kind of ['0x71', '0x79', '0x85', '0x86', capacities[2] === 0 ? 'walk' : 'walk-cache'])
        assert.ok(seen[kind]! > 10, `${kind}: ${JSON.stringify(seen)}`);
    });
});

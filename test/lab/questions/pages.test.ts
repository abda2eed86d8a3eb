/** The questions: each has a page, and its own run shows what the page says. */
import assert from 'node:assert/strict';
import { existsSync, globSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { questions } from '../../../src/lab/questions/index.ts';
import type { ArmFigures, Metric } from '../../../src/lab/questions/question.ts';
import { freshen } from '../../../tools/docs/pages.ts';
import { answered, pageOf } from '../../../tools/docs/questions.ts';
import { closeScenes } from '../../../tools/thread-2008/parts.ts';

after(closeScenes);

function figures(kind: string): ArmFigures {
  const question = questions.find((each) => each.kind === `questions/${kind}`);
  assert.ok(question, kind);
  return answered(question).figures;
}
const WITHIN_REACH: Metric = 'exposure.potential.pageSeconds';

describe('pages', () => {
  for (const question of questions)
    test(`${question.kind}: the page is what its run writes, and has all parts`, async () => {
      const page = `docs/questions/${pageOf(question)}`;
      assert.ok(existsSync(page), page);
      const { text, stale, parts } = await freshen(page);
      assert.deepEqual(stale, []);
      assert.deepEqual(parts, [question.kind.replace('questions/', 'question ')]);
      assert.ok(text.startsWith(`# ${question.title}\n`), 'its title');
      for (const heading of ['## What it means', '## What the model leaves out'])
        assert.ok(text.includes(heading), heading);
      assert.ok(text.includes(`iommu-lab run ${question.kind}\n`) && text.includes(`{"preset": "${question.kind}"}`));
      for (const sentence of answered(question).sentences)
        assert.ok(!/NaN|undefined|Infinity/.test(sentence), sentence);
    });

  test('there are no others, and the index is fresh', async () => {
    const expected = ['README.md', ...questions.map(pageOf)].map((name) => `docs/questions/${name}`);
    assert.deepEqual(globSync('docs/questions/*').sort(), expected.sort());
    assert.deepEqual((await freshen('docs/questions/README.md')).stale, []);
    assert.ok(questions.length >= 12);
  });
});

describe('what the answers say', () => {
  test('lazy gives nearly all of the I/Os back, and only lazy has pages within reach and accesses that get through', () => {
    const of = figures('lazy-default');
    const [strict, lazy, none] = of.each(['strict', 'flush-queue', 'passthrough'], 'iops') as [number, number, number];
    assert.ok(lazy > 2 * strict && lazy > 0.95 * none && lazy < none);
    assert.equal(of.of('strict', WITHIN_REACH), 0);
    assert.equal(of.of('strict', 'exposure.staleAccesses'), 0);
    assert.ok(of.of('flush-queue', WITHIN_REACH) > 0 && of.of('flush-queue', 'exposure.staleAccesses') > 0);
  });

  test('without deferred flush lazy is strict to the last figure; caching mode doubles the invalidations', () => {
    const of = figures('after-the-upgrade');
    for (const metric of ['throughputGbps', 'cyclesPerOperation', 'counts.invalidationsRange', WITHIN_REACH])
      assert.equal(of.of('lazy asked, driver without deferred flush', metric), of.of('strict asked', metric));
    assert.ok(of.of('lazy, as asked', 'throughputGbps') > 2 * of.of('strict asked', 'throughputGbps'));
    const a_packet: Metric = { ratio: ['counts.invalidationsRange', 'operations'] };
    const twice = of.of('lazy asked, caching mode', a_packet) / of.of('strict asked', a_packet);
    assert.ok(Math.abs(twice - 2) < 0.02, `${twice}`);
  });

  test('amd_iommu=pt changes nothing, iommu=pt does', () => {
    const of = figures('iommu-pt');
    const lazy = of.of('iommu.strict=0', 'cyclesPerOperation');
    assert.equal(of.of('iommu.strict=0 amd_iommu=pt', 'cyclesPerOperation'), lazy);
    assert.ok(of.of('iommu.strict=0 iommu=pt', 'cyclesPerOperation') < lazy);
    assert.ok(of.of('iommu.strict=1', 'cyclesPerOperation') > lazy);
  });

  test('at 100 Gb/s strict is bound by its one queue, and by nothing with a queue a CPU or an invalidation a descriptor', () => {
    const of = figures('strict-at-100g');
    const line = of.of('passthrough', 'throughputGbps');
    assert.ok(of.of('strict, rcache', 'throughputGbps') < 0.5 * line);
    for (const label of ['strict, rcache, a queue a CPU', 'batched, contiguous, 64 pages a descriptor']) {
      assert.ok(of.of(label, 'throughputGbps') > 0.99 * line, label);
      assert.equal(of.of(label, WITHIN_REACH), 0);
    }
    assert.ok(of.of('flush-queue, rcache', WITHIN_REACH) > 0);
  });

  test('one queue saturates, a queue a CPU scales with the CPUs', () => {
    const of = figures('queue-lock');
    const rate: Metric = { ratio: ['operations', 'simulatedSeconds'] };
    const one = of.each(['1 CPUs, one queue', '8 CPUs, one queue', '16 CPUs, one queue', '32 CPUs, one queue'], rate);
    assert.ok(Math.abs(one[1]! / one[0]! / 8 - 1) < 0.05 && Math.abs(one[3]! / one[2]! - 1) < 0.02, `${one}`);
    const [first, last] = of.each(['1 CPUs, a queue a CPU', '32 CPUs, a queue a CPU'], rate) as [number, number];
    assert.ok(Math.abs(last / first / 32 - 1) < 0.05);
  });

  test('one flush queue is slower on many CPUs and holds more pages', () => {
    const of = figures('one-flush-queue');
    const rate: Metric = { ratio: ['operations', 'simulatedSeconds'] };
    for (const cpus of [1, 8, 32]) {
      const [each, one] = [`${cpus} CPUs, a queue a CPU`, `${cpus} CPUs, one queue`] as const;
      if (cpus > 1) assert.ok(of.of(one, rate) < of.of(each, rate), one);
      assert.equal(of.of(one, 'exposure.potential.peakPages'), 32_766);
      assert.ok(of.of(one, 'exposure.potential.peakPages') > of.of(each, 'exposure.potential.peakPages'), one);
    }
  });

  test('the depot of 2016 overflows under lazy alone', () => {
    const of = figures('iops-cliff');
    const missed: Metric = { ratio: ['counts.cacheMisses', 'counts.allocationAttempts'] };
    assert.ok(of.of('lazy, depot of 2016', missed) > 0.05);
    for (const label of ['lazy, depot of 2023', 'strict, depot of 2016']) assert.ok(of.of(label, missed) < 0.01, label);
  });

  test('a higher limit of the caches never costs I/Os', () => {
    const of = figures('long-buffers');
    for (const policy of ['strict', 'flush-queue'])
      assert.ok(of.of(`${policy}, cached up to 128 pages`, 'iops') > of.of(`${policy}, cached up to 32 pages`, 'iops'));
  });

  test('a pool maps nothing and is the fastest', () => {
    const of = figures('buffers-kept-mapped');
    assert.equal(of.of('page pool', 'workloads.rx.counts.maps'), 0);
    for (const label of of.labels.filter((each) => each !== 'page pool'))
      assert.ok(of.of(label, 'throughputGbps') < of.of('page pool', 'throughputGbps'), label);
  });

  test('a neighbour in the page leaves a residue under strict as under lazy, and copies do not', () => {
    const of = figures('neighbours');
    const residue = 'exposure.residualByteSeconds';
    assert.ok(
      of.of('strict, two buffers a page', residue) > 0 && of.of('flush-queue, two buffers a page', residue) > 0,
    );
    for (const label of ['strict, a page each', 'shadow copies', 'bounce'])
      assert.equal(of.of(label, residue), 0, label);
  });

  test('an untrusted device pays for strict and for the copy, with whole pages for strict alone', () => {
    const of = figures('untrusted-device');
    const cycles = of.each(['trusted, flush-queue', 'trusted, strict', 'untrusted, 1,500 bytes'], 'cyclesPerOperation');
    assert.ok(cycles[0]! < cycles[1]! && cycles[1]! < cycles[2]!, `${cycles}`);
    assert.equal(of.of('untrusted, whole pages', 'counts.bytesCopied'), 0);
    assert.equal(of.of('untrusted, 1,500 bytes', WITHIN_REACH), 0);
  });

  test('a bounce pool is full or not: its high-water mark is its size or what rings and queues hold', () => {
    const of = figures('swiotlb-size');
    for (const mib of [8, 16, 32]) {
      assert.ok(of.of(`${mib} MiB`, 'counts.bounceFailures') > 0);
      assert.ok(of.of(`${mib} MiB`, 'gauges.bounceUsedSlotsPeak') * 2048 > 0.99 * mib * 2 ** 20);
    }
    for (const label of ['64 MiB', '128 MiB']) {
      assert.equal(of.of(label, 'counts.bounceFailures'), 0);
      // 4 rings of 512 slots, 4 x 64 reads of 128 KiB.
      assert.equal(of.of(label, 'gauges.bounceUsedSlotsPeak') * 2048, 4 * 512 * 2048 + 4 * 64 * 131_072);
    }
  });

  test('registered memory takes an entry a page, a vIOMMU what rings and queues hold', () => {
    const of = figures('dma-entries');
    assert.equal(of.of('1 GiB registered, in 4 KiB', 'counts.ptesWritten'), 262_144);
    assert.equal(of.of('1 GiB registered, in 2 MiB', 'counts.ptesWritten'), 512);
    assert.equal(of.of('vIOMMU, 4 rings of 512', 'gauges.liveMappingsPeak'), 4 * 512);
    assert.equal(of.of('vIOMMU, 4 rings of 4,096', 'gauges.liveMappingsPeak'), 4 * 4096);
    assert.equal(of.of('vIOMMU, NVMe at depth 4 x 256', 'gauges.liveMappingsPeak'), 4 * 256);
  });

  test('exits leave a tenth of the line, a core that polls more, direct assignment all', () => {
    const of = figures('guest-iommu');
    const [direct, exits, sidecore] = of.each(
      ['direct', 'emulated, exits', 'emulated, sidecore'],
      'throughputGbps',
    ) as [number, number, number];
    assert.ok(exits < 0.15 * direct && sidecore > 2 * exits && sidecore < direct);
    assert.equal(of.of('direct', 'counts.vmExits'), 0);
  });

  test('honest I/Os go astray where a host drops flushes, and nowhere else', () => {
    const of = figures('deaf-host');
    const astray = 'workloads.fio.verdicts.misdirected';
    for (const label of ['strict, carried out', 'lazy, carried out']) assert.equal(of.of(label, astray), 0, label);
    for (const label of ['strict, dropped', 'lazy, dropped']) assert.ok(of.of(label, astray) > 0, label);
  });

  test('beyond the reach of the IOTLB the misses are 1 - reach / working set, in pages of either size', () => {
    const of = figures('iotlb-reach');
    const missed: Metric = { ratio: ['iotlb.misses', 'iotlb.lookups'] };
    for (const [label, reachMib, mib] of [
      ['512 KiB in 4 KiB', 0.25, 0.5],
      ['2 MiB in 4 KiB', 0.25, 2],
      ['64 MiB in 4 KiB', 0.25, 64],
      ['256 MiB in 2 MiB', 128, 256],
    ] as const)
      assert.ok(Math.abs(of.of(label, missed) - (1 - reachMib / mib)) < 0.02, label);
    for (const label of ['128 KiB in 4 KiB', '64 MiB in 2 MiB']) assert.equal(of.of(label, missed), 0, label);
  });
});

describe('the malicious guest', () => {
  const reads: Metric = 'workloads.reader.reached.crossTenant.reads';
  const writes: Metric = 'workloads.writer.reached.crossTenant.writes';
  const WAITING = /^(strict|batched|nested|direct)/;
  const DEFERRING = /^(deferred-2008|flush-queue|wrap|never|delayed \(ia64\))/;

  test('reaches nothing of the other under strict and batched, whatever the allocator, nor behind nested tables or a direct map', () => {
    const of = figures('malicious-vm');
    const labels = of.labels.filter((label) => WAITING.test(label));
    assert.ok(labels.length >= 6);
    for (const label of labels) {
      assert.equal(of.of(label, 'exposure.crossTenantAccesses'), 0, label);
      assert.equal(of.of(label, 'exposure.staleAccesses'), 0, label);
    }
  });

  test('reads and overwrites it under every policy that defers', () => {
    const of = figures('malicious-vm');
    const labels = of.labels.filter((label) => DEFERRING.test(label));
    assert.ok(labels.length >= 8, `${labels}`);
    for (const label of labels) {
      assert.ok(of.of(label, reads) > 0 && of.of(label, writes) > 0, label);
      assert.equal(of.of(label, 'workloads.reader.reached.crossTenant.writes'), 0);
      assert.equal(of.of(label, 'workloads.writer.reached.crossTenant.reads'), 0);
      const delay = (which: string) => of.of(label, `workloads.writer.reached.crossTenant.delayNs.${which}`);
      assert.ok(delay('min') >= 99 && delay('min') < 1000, `${label} ${delay('min')}`);
      assert.ok(delay('min') <= delay('p50') && delay('p50') <= delay('max'), label);
      // No window of the run is longer than the longest there was.
      const latest = of.of(label, 'workloads.patient.reached.crossTenant.delayNs.max');
      assert.ok(latest <= of.of(label, 'exposure.potential.longestWindowNs') + 1, label);
    }
  });

  test('is all that a policy with queues lets through: no honest packet is misdirected', () => {
    const of = figures('malicious-vm');
    for (const label of of.labels.filter((each) => /^(deferred-2008|flush-queue|delayed)/.test(each)))
      for (const workload of ['rx', 'tx', 'their-rx', 'their-tx'])
        assert.equal(of.of(label, `workloads.${workload}.verdicts.misdirected`), 0, label);
    assert.ok(of.of('never, rcache', 'workloads.rx.verdicts.misdirected') > 0);
  });
});

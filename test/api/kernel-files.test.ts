/** What a kernel would show: columns, widths and words as the kernel's own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dmaMapBenchmark, dmarPerfLatency, dmesg, type Latencies } from '../../src/api/kernel-files.ts';
import { createSimulator, resolveSpec } from '../../src/core/index.ts';

function meters(spec: Record<string, unknown>, forNs: number): Record<string, unknown> {
  const simulator = createSimulator(resolveSpec(spec));
  assert.equal(simulator.startRun({ forNs }).status, 'ok');
  while (!simulator.stepRun(100_000));
  const read = simulator.read({ read: 'meters' });
  assert.equal(read.status, 'ok');
  return (read as { result: Record<string, unknown> }).result;
}

test('the table has the columns of the kernel, and every invalidation in one of them', () => {
  const { histograms } = meters({ preset: 'thread-2008', policy: { invalidation: { kind: 'strict' } } }, 2_000_000);
  const { invalidation } = histograms as { invalidation: Latencies };
  const [unit, head, row, end] = dmarPerfLatency(invalidation).split('\n') as [string, string, string, string];
  assert.match(unit, /^IOMMU: dmar0 Register Base Address: [0-9a-f]+$/);
  assert.deepEqual(head.trim().split(/\s+/), [
    '<0.1us',
    '0.1us-1us',
    '1us-10us',
    '10us-100us',
    '100us-1ms',
    '1ms-10ms',
    '>=10ms',
    'min(us)',
    'max(us)',
    'average(us)',
  ]);
  assert.equal(head.length, row.length, 'columns of 12 under columns of 12');
  assert.equal(end, '');
  const [name, ...cells] = row.trim().split(/\s+/) as [string, ...string[]];
  assert.equal(name, 'inv_iotlb');
  const numbers = cells.map(Number);
  assert.ok(invalidation.count > 100);
  assert.equal(
    numbers.slice(0, 7).reduce((all, count) => all + count),
    invalidation.count,
  );
  const [least, most, average] = numbers.slice(7) as [number, number, number];
  assert.ok(least <= average && average <= most && most >= 1, row);
  assert.equal(least, Math.floor(invalidation.least! * 1e6));
});

test('by hand: each duration in its column', () => {
  const bounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5].map((each) => each / 1e7);
  // 50 ns, 300 ns, 3 us, 30 us, 300 us, 3 ms, 30 ms
  const values = [5e-8, 3e-7, 3e-6, 3e-5, 3e-4, 3e-3, 3e-2];
  const cumulated = bounds.map((bound) => values.filter((value) => value <= bound).length);
  const sum = values.reduce((all, value) => all + value);
  const [, , row] = dmarPerfLatency({ bounds, cumulated, count: 7, sum, least: 5e-8, most: 3e-2 }).split('\n');
  assert.deepEqual(row!.trim().split(/\s+/), ['inv_iotlb', '1', '1', '1', '1', '1', '1', '1', '0', '30000', '4761']);
});

test('nothing measured is zeros', () => {
  const { histograms } = meters({ policy: { mode: 'passthrough' } }, 1000);
  const [, , row] = dmarPerfLatency((histograms as { invalidation: Latencies }).invalidation).split('\n');
  assert.deepEqual(row!.trim().split(/\s+/).slice(1).map(Number), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
});

test("the benchmark's three lines are its tool's, for each such workload", () => {
  const { workloads } = meters(
    {
      devices: [{ name: 'dev', kind: 'custom' }],
      workloads: [{ kind: 'map-benchmark', device: 'dev', threads: 2, seconds: 1 }],
    },
    1_000_000,
  );
  const [first, map, unmap, end, ...rest] = dmaMapBenchmark(workloads as { lines?: string[] }[]).split('\n');
  assert.match(first!, /^dma mapping benchmark: threads:2 seconds:1 node:-1 dir:\w+ granule: 1$/);
  assert.match(map!, /^average map latency\(us\):[\d.]+ standard deviation:[\d.]+$/);
  assert.match(unmap!, /^average unmap latency\(us\):[\d.]+ standard deviation:[\d.]+$/);
  assert.deepEqual([end, ...rest], ['']);
  assert.equal(dmaMapBenchmark([{}]), '');
});

test('the log has stamps of microseconds, as the kernel writes them', () => {
  assert.equal(
    dmesg([
      { timeNs: 327_753_942_999, message: 'DMAR: one' },
      { timeNs: 1_000, message: 'DMAR: two' },
    ]),
    '[  327.753942] DMAR: one\n[    0.000001] DMAR: two\n',
  );
});

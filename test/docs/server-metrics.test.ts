import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { addConnectionFigures, addSpanFigures, createMetrics } from '../../src/server/metrics.ts';

/** A row names its first metric whole; `_rest` stands for one that begins as a whole one of the same row does. */
function namesIn(row: string): (name: string) => boolean {
  const words = [...row.matchAll(/`([a-z_]+)`/g)].map(([, word]) => word as string);
  const whole = words.filter((word) => word.startsWith('iommu_lab_'));
  const rests = words.filter((word) => word.startsWith('_'));
  return (name) =>
    whole.includes(name) ||
    rests.some(
      (rest) => name.endsWith(rest) && whole.some((word) => word.startsWith(`${name.slice(0, -rest.length)}_`)),
    );
}

test('the page of metrics names each of the server', () => {
  // No figure is read here.
  const none = {} as never;
  const registry = createMetrics(none, none, none, none);
  addConnectionFigures(registry, none, none);
  addSpanFigures(registry, none);
  const rows = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `iommu_lab_'))
    .map(namesIn);
  const names = registry
    .getMetricsAsArray()
    .map(({ name }) => name)
    .filter((name) => name.startsWith('iommu_lab_'));
  assert.ok(names.length > 40);
  assert.deepEqual(
    names.filter((name) => !rows.some((has) => has(name))),
    [],
  );
});

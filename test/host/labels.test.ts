import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LabelError, LabelTable } from '../../src/host/labels.ts';

function tableWith(results: Record<string, Record<string, unknown>>): LabelTable {
  const table = new LabelTable(1 << 20);
  for (const [label, result] of Object.entries(results)) table.define(label, result, JSON.stringify(result));
  return table;
}

function resolve(table: LabelTable, value: unknown): unknown {
  const operation: Record<string, unknown> = { op: '$op', as: '$as', value };
  table.resolve(operation);
  assert.deepEqual([operation.op, operation.as], ['$op', '$as'], '`op` and `as` are no values');
  return operation.value;
}

function codeOf(table: LabelTable, value: unknown): string {
  try {
    resolve(table, value);
  } catch (error) {
    assert.ok(error instanceof LabelError);
    assert.match(error.path, /^\/value/);
    return error.code;
  }
  return 'resolved';
}

const MAP = {
  id: 'map_1',
  iova: '0xfffffffffffff000',
  costCycles: 1.5,
  segments: [
    { iova: '0x1000', lengthBytes: 4096 },
    { iova: '0x9000', lengthBytes: 8192 },
  ],
};

test('every form of reference resolves, in any depth, and keeps its type', () => {
  const table = tableWith({ a: MAP, 'b-2_': { id: 'x' } });
  assert.equal(resolve(table, '$a'), 'map_1');
  assert.equal(resolve(table, '$b-2_'), 'x');
  assert.equal(resolve(table, '$a.iova'), '0xfffffffffffff000');
  assert.equal(resolve(table, '$a.segments[1].iova'), '0x9000');
  assert.equal(resolve(table, '$a.segments[1].lengthBytes'), 8192);
  assert.equal(resolve(table, '$a.iova+4095'), '0xffffffffffffffff', 'exact to 64 bits');
  assert.equal(resolve(table, '$a.segments[0].iova+0x10'), '0x1010');
  assert.equal(resolve(table, '$a.segments[0].lengthBytes+1'), 4097);
  assert.deepEqual(resolve(table, [{ buffer: '$a' }, { buffer: 'plain' }]), [{ buffer: 'map_1' }, { buffer: 'plain' }]);
});

test('two dollars stand for one, and a dollar further on for itself', () => {
  const table = tableWith({ a: MAP });
  assert.equal(resolve(table, '$$'), '$');
  assert.equal(resolve(table, '$$a'), '$a');
  assert.equal(resolve(table, 'a$b'), 'a$b');
  assert.equal(resolve(table, 5), 5);
});

test('what leads nowhere is refused with its place', () => {
  const table = tableWith({ a: MAP, noid: { timeNs: 1 } });
  assert.equal(codeOf(table, '$b'), 'unknown-label');
  for (const value of ['$', '$1', '$a.', '$a[0', '$a.iova-1', '$a iova', '$a.iova+', '$a.iova+x']) {
    assert.equal(codeOf(table, value), 'invalid-label', value);
  }
  for (const value of ['$noid', '$a.nothing', '$a.segments[2].iova', '$a.segments.length', '$a.iova.length', '$a[0]']) {
    assert.equal(codeOf(table, value), 'invalid-label', value);
  }
  for (const value of ['$a.id+1', '$a.segments+1']) assert.equal(codeOf(table, value), 'invalid-label', value);
  assert.equal(codeOf(table, '$a.__proto__'), 'invalid-label');
  assert.equal(codeOf(table, '$__proto__'), 'unknown-label');
  assert.equal(codeOf(table, [{ x: '$b' }]), 'unknown-label');
});

test('a label whose operation failed names that line, and may be defined by a later one', () => {
  const table = tableWith({});
  table.failed('a', 7);
  assert.throws(() => resolve(table, '$a'), /line 7/);
  assert.equal(table.refuse('a'), null);
  table.define('a', { id: 'x' }, '{"id":"x"}');
  assert.equal(resolve(table, '$a'), 'x');
  assert.equal(table.refuse('a')!.code, 'label-redefined');
  table.failed('a', 9);
  assert.equal(resolve(table, '$a'), 'x', 'a line that fails to redefine it does not undefine it');
});

test('ten thousand results are all there, the latest and those that went to the log', () => {
  const table = new LabelTable(1 << 30);
  for (let i = 0; i < 10_000; i++) {
    const result = { id: `map_${i}é`, iova: '0x1000', pad: i % 1000 === 0 ? 'p'.repeat(2 << 20) : '' };
    table.define(`m${i}`, result, JSON.stringify(result));
  }
  for (let i = 0; i < 10_000; i++) assert.equal(resolve(table, `$m${i}`), `map_${i}é`);
});

test('labels hold a bounded number of bytes', () => {
  const table = new LabelTable(10_000);
  let count = 0;
  for (; table.refuse(`l${count}`) === null; count++) table.define(`l${count}`, { id: 'x' }, '{"id":"x"}');
  assert.equal(table.refuse('more')!.code, 'too-many-labels');
  assert.ok(count > 50 && count < 100, `${count} labels of 100 bytes and more in 10,000 bytes`);
});

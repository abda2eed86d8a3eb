import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { differing, pairsOf, textOf } from '../../../src/lab/compare/pairs.ts';
import type { Arm, Plain } from '../../../src/lab/experiment.ts';

const armOf = (id: string, varied: Plain, controlId: string | null = null): Arm => ({
  id,
  label: id,
  control: id.startsWith('control'),
  controlId,
  varied,
  spec: {},
});

const named = (arms: Arm[]) => pairsOf(arms).map(({ a, b }) => `${a.id} ${b.id}`);

describe('pairs of arms that are compared', () => {
  it('are those that differ in one knob or in none, found by looking at every pair', () => {
    const value = fc.constantFrom(1, 2, 'x', [1, 2], { kind: 'a', n: 1 });
    const varied = fc.dictionary(fc.constantFrom('p', 'q', 'r'), value);
    fc.assert(
      fc.property(fc.array(varied, { maxLength: 10 }), (all) => {
        const arms = all.map((each, i) => armOf(`arm-${i}`, each));
        const expected = arms.flatMap((a, i) =>
          arms.slice(i + 1).flatMap((b) => (differing(a.varied, b.varied).length <= 1 ? `${a.id} ${b.id}` : [])),
        );
        assert.deepEqual(named(arms), expected);
      }),
    );
  });

  it('are each arm and its control too, and no control with another', () => {
    const arms = [
      armOf('arm-1', { p: 1, q: 1 }, 'control-1'),
      armOf('arm-2', { p: 2, q: 2 }, 'control-2'),
      armOf('control-1', { q: 1 }),
      armOf('control-2', { q: 2 }),
    ];
    assert.deepEqual(named(arms), ['arm-1 control-1', 'arm-2 control-2']);
    assert.deepEqual(named([armOf('control', {}), armOf('arm-1', {}, 'control'), armOf('arm-2', {}, 'gone')]), [
      'arm-1 control',
      'arm-1 arm-2',
    ]);
  });

  it('are neighbours only where a knob has many values', () => {
    const arms = Array.from({ length: 100 }, (_, i) => armOf(`arm-${i}`, { p: i }));
    assert.equal(pairsOf(arms).length, 99);
    assert.deepEqual(named(arms).slice(0, 2), ['arm-0 arm-1', 'arm-1 arm-2']);
    assert.equal(pairsOf(arms.slice(0, 24)).length, (24 * 23) / 2);
  });
});

describe('the text of a value', () => {
  it('is one for the same members in another order, and another for other values', () => {
    assert.equal(textOf({ a: 1, b: [1, { c: null }] }), textOf({ b: [1, { c: null }], a: 1 }));
    assert.notEqual(textOf({ a: 1 }), textOf({ a: '1' }));
    assert.notEqual(textOf([1, 2]), textOf([2, 1]));
    assert.deepEqual(differing({ a: { x: 1, y: 2 } }, { a: { y: 2, x: 1 } }), []);
    assert.deepEqual(differing({ a: 1 }, { b: undefined, a: 1 }), []);
  });
});

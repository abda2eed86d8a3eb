/** What is written in short on the command line, and what was probably meant. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Failure } from '../../src/cli/failure.ts';
import { seedsOf, settingsOf, untilOf, variationsOf } from '../../src/cli/settings.ts';
import { didYouMean, distance } from '../../src/cli/suggestions.ts';

describe('settings', () => {
  test('are JSON where they are some, else text; the later wins', () => {
    assert.deepEqual(settingsOf(['a.b=4', 'c=strict', 'd="4"', 'e=', 'f={"kind":"wrap","x":[1]}', 'a.b=5']), {
      'a.b': 5,
      c: 'strict',
      d: '4',
      e: '',
      f: { kind: 'wrap', x: [1] },
    });
  });

  test('to vary are lists, at commas outside of brackets and quotes', () => {
    assert.deepEqual(variationsOf(['k=strict,deferred-2008', 'n=1,2.5', 'o={"a":1,"b":[2,3]},{"a":2}', 'q="a,b",c']), {
      k: ['strict', 'deferred-2008'],
      n: [1, 2.5],
      o: [{ a: 1, b: [2, 3] }, { a: 2 }],
      q: ['a,b', 'c'],
    });
    assert.deepEqual(variationsOf(['k=["a,b",null]', 'k=c']), { k: ['a,b', null, 'c'] });
  });

  test('are the values that were written, whichever they are', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.jsonValue().filter((value) => typeof value !== 'string'),
          { minLength: 1 },
        ),
        (values) => {
          const text = values.map((value) => JSON.stringify(value)).join(',');
          const expected = values.map((value) => JSON.parse(JSON.stringify(value)));
          // A single list is the list of values.
          fc.pre(!(values.length === 1 && Array.isArray(values[0])));
          assert.deepEqual(variationsOf([`p=${text}`]), { p: expected });
        },
      ),
    );
  });

  for (const text of ['strict', '=strict', ''])
    test(`"${text}" is no setting`, () => assert.throws(() => settingsOf([text]), Failure));
  test('an empty value in a list is refused', () => assert.throws(() => variationsOf(['k=a,,b']), /empty value/));
});

describe('seeds', () => {
  test('are numbers and ranges of them', () => assert.deepEqual(seedsOf('7, 1-3,5'), [7, 1, 2, 3, 5]));
  for (const text of ['', 'a', '3-1', '1..3', '-1', '1-99999999', '1.5'])
    test(`"${text}" are none`, () => assert.throws(() => seedsOf(text), /not understood/));
});

describe('stop rules', () => {
  test('count operations or nanoseconds', () => {
    assert.deepEqual(untilOf('--until', 'operations=20_000'), { operations: 20_000 });
    assert.deepEqual(untilOf('--until', 'ns=5e6'), { ns: 5_000_000 });
  });
  for (const text of ['ns=', 'ns=0', 'ns=-1', 'ns=1.5', 'seconds=1', 'ns=1e300'])
    test(`"${text}" is none`, () => assert.throws(() => untilOf('--until', text), /--until .* is not understood/));
});

describe('did you mean', () => {
  /** By definition: the least over all ways to begin. Slow. */
  function slow(a: string, b: string): number {
    if (a === '' || b === '') return a.length + b.length;
    const [restA, restB] = [a.slice(1), b.slice(1)];
    const ways = [slow(restA, b) + 1, slow(a, restB) + 1, slow(restA, restB) + (a[0] === b[0] ? 0 : 1)];
    if (a.length > 1 && b.length > 1 && a[0] === b[1] && a[1] === b[0]) ways.push(slow(a.slice(2), b.slice(2)) + 1);
    return Math.min(...ways);
  }

  test('counts letters to change, as the definition has it', () => {
    const word = fc.string({ maxLength: 5, unit: fc.constantFrom('a', 'b', 'c') });
    fc.assert(
      fc.property(word, word, (a, b) => assert.equal(distance(a, b), slow(a, b))),
      { numRuns: 300 },
    );
  });

  const known = ['strict', 'deferred-2008', 'wrap', 'flush-queue', 'repro/eiovar15', 'questions/lazy'];
  const cases: [string, string][] = [
    ['strct', ' Did you mean strict?'],
    ['defered-2008', ' Did you mean deferred-2008?'],
    ['flush', ' Did you mean flush-queue?'],
    ['eiovar', ' Did you mean repro/eiovar15?'],
    ['something else', ''],
  ];
  for (const [word, says] of cases) test(`"${word}"`, () => assert.equal(didYouMean(word, known), says));
});

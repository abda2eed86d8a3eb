import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode as decodeByOther, encode as encodeByOther } from 'cbor2';
import fc from 'fast-check';
import { CborError, decodeCbor, encodeCbor } from '../../src/stream/cbor.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytesOf = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** RFC 8949, appendix A, where JSON has the value: in the form that is written here. */
const EXAMPLES: readonly (readonly [unknown, string])[] = [
  [0, '00'],
  [23, '17'],
  [24, '1818'],
  [100, '1864'],
  [1000, '1903e8'],
  [1_000_000, '1a000f4240'],
  [1_000_000_000_000, '1b000000e8d4a51000'],
  [-1, '20'],
  [-100, '3863'],
  [-1000, '3903e7'],
  [100_000.5, 'fa47c35040'],
  [1.1, 'fb3ff199999999999a'],
  [1e300, 'fb7e37e43c8800759c'],
  [false, 'f4'],
  [true, 'f5'],
  [null, 'f6'],
  ['', '60'],
  ['IETF', '6449455446'],
  ['ü', '62c3bc'],
  ['水', '63e6b0b4'],
  ['𐅑', '64f0908591'],
  [[], '80'],
  [[1, [2, 3], [4, 5]], '8301820203820405'],
  [{}, 'a0'],
  [{ a: 1, b: [2, 3] }, 'a26161016162820203'],
];

/** The same appendix: forms that others write. */
const READ_ONLY: readonly (readonly [unknown, string])[] = [
  [0, 'f90000'],
  [1, 'f93c00'],
  [1.5, 'f93e00'],
  [65_504, 'f97bff'],
  [2 ** -24, 'f90001'],
  [0.00006103515625, 'f90400'],
  [-4, 'f9c400'],
  [-4.1, 'fbc010666666666666'],
  ['streaming', '7f657374726561646d696e67ff'],
  [[], '9fff'],
  [[1, [2, 3], [4, 5]], '9f018202039f0405ffff'],
  [{ a: 1, b: [2, 3] }, 'bf61610161629f0203ffff'],
  [10, '1b000000000000000a'],
];

/** What JSON can say, and what it reads like after a trip through JSON. */
const json = fc
  .jsonValue({ maxDepth: 5 })
  .map((value) => JSON.parse(JSON.stringify(value)) as unknown)
  .filter((value) => !JSON.stringify(value).includes('"__proto__"'));

test('the examples of RFC 8949 are written as they stand there, and read', () => {
  for (const [value, text] of EXAMPLES) {
    assert.equal(hex(encodeCbor(value)), text);
    assert.deepEqual(decodeCbor(bytesOf(text)), value);
  }
  for (const [value, text] of READ_ONLY) assert.deepEqual(decodeCbor(bytesOf(text)), value, text);
});

test('another reader reads what is written here, and here is read what another writer writes', () => {
  fc.assert(
    fc.property(json, fc.integer({ min: 0, max: 64 }), (value, expectedBytes) => {
      const plain = JSON.stringify(value);
      const bytes = encodeCbor(value, expectedBytes);
      assert.equal(JSON.stringify(decodeByOther(bytes)), plain);
      assert.equal(JSON.stringify(decodeCbor(bytes)), plain);
      assert.equal(JSON.stringify(decodeCbor(encodeByOther(value))), plain);
    }),
    { numRuns: 500, seed: 1 },
  );
});

test('heads and texts are right around each length at which their form changes', () => {
  for (const edge of [23, 24, 40, 41, 85, 86, 255, 256, 21_845, 21_846, 65_535, 65_536]) {
    for (const letter of ['x', 'é', '水']) {
      const text = letter.repeat(edge);
      assert.equal(decodeByOther(encodeCbor(text)), text, `${edge} times ${letter}`);
      assert.equal(decodeCbor(encodeCbor(text)), text);
    }
    const items = Array.from({ length: edge }, (_, i) => i % 30);
    assert.deepEqual(decodeByOther(encodeCbor(items)), items);
  }
  for (const edge of [23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    for (const number of [edge, -edge, -edge - 1].filter(Number.isSafeInteger)) {
      assert.equal(decodeByOther(encodeCbor(number)), number);
      assert.equal(decodeCbor(encodeCbor(number)), number);
    }
  }
});

test('members that are undefined are left out, as by JSON, and what JSON cannot say is an error', () => {
  assert.deepEqual(decodeByOther(encodeCbor({ a: undefined, b: 1 })), { b: 1 });
  assert.throws(() => encodeCbor({ a: 1n }), TypeError);
});

test('a key named __proto__ is a member like any other', () => {
  const map = decodeCbor(bytesOf('a1 69 5f5f70726f746f5f5f a1 61 61 01')) as object;
  assert.deepEqual(Object.keys(map), ['__proto__']);
  assert.equal(Object.getPrototypeOf(map), Object.prototype);
  assert.equal((map as { a?: unknown }).a, undefined);
});

test('what has no value in JSON is refused with the reason', () => {
  const cases: [string, RegExp][] = [
    ['', /too soon/],
    ['0101', /behind the value/],
    ['ff', /break/],
    ['82 01', /too soon/],
    ['82 01 ff', /break/],
    ['4101', /byte strings/],
    ['c11a514b67b0', /tags/],
    ['c249010000000000000000', /tags/],
    ['f7', /simple value/],
    ['f0', /simple value/],
    ['f97e00', /not finite/],
    ['fa7f800000', /not finite/],
    ['1bffffffffffffffff', /2\^53/],
    ['9bffffffffffffffff', /2\^53/],
    ['1c', /head/],
    ['1f', /head/],
    ['a10102', /key/],
    ['a2 6161 01 6161 02', /twice/],
    ['61ff', /UTF-8/],
    ['7f 01 ff', /part of a text/],
    ['7f 7f ff ff', /head/],
    ['9a ffffffff', /too soon/],
    ['7a ffffffff 61', /too soon/],
    ['bf 6161 ff', /break/],
  ];
  for (const [text, why] of cases) {
    assert.throws(
      () => decodeCbor(bytesOf(text)),
      (error: Error) => error instanceof CborError && why.test(error.message),
      text,
    );
  }
});

test('nesting has an end before the stack has', () => {
  const nested = (depth: number): Uint8Array => Buffer.concat([Buffer.alloc(depth, 0x81), Buffer.of(0)]);
  assert.doesNotThrow(() => decodeCbor(nested(32)));
  for (const depth of [33, 60_000]) assert.throws(() => decodeCbor(nested(depth)), /nested deeper/);
});

test('bytes by chance, and every message cut short, are read or refused and nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeCbor(bytes);
      } catch (error) {
        assert.ok(error instanceof CborError, String(error));
      }
    }),
    { numRuns: 3000, seed: 1 },
  );
  const whole = encodeCbor({ type: 'subscribe', topics: ['metrics', 'runs'], everyMs: 500, epoch: 'x'.repeat(60) });
  for (let length = 0; length < whole.length; length++) {
    assert.throws(() => decodeCbor(whole.subarray(0, length)), CborError);
  }
});

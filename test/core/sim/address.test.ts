/** Address arithmetic against BigInt: addresses of 57 and 64 bits do not fit a double. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  formatAddress,
  highPageBits,
  lowPageBits,
  parseAddress,
  parsed,
  roundUpToPowerOfTwo,
} from '../../../src/core/sim/address.ts';
import { Dice } from '../build.ts';

/** Edges of every width that matters, and random values of every length. */
function addresses(): bigint[] {
  const values = new Set<bigint>();
  for (const bits of [0, 1, 11, 12, 13, 31, 32, 33, 38, 39, 40, 47, 48, 52, 53, 54, 56, 57, 58, 63, 64])
    for (const delta of [-4097n, -4096n, -2n, -1n, 0n, 1n, 4095n, 4096n]) values.add((1n << BigInt(bits)) + delta);
  const dice = new Dice(1);
  for (let i = 0; i < 20_000; i++) {
    const word = () => BigInt(dice.below(2 ** 32));
    values.add(((word() << 32n) | word()) >> BigInt(dice.below(64)));
  }
  return [...values].filter((value) => value >= 0n && value < 1n << 64n);
}

describe('addresses', () => {
  test('hex text splits into page and offset as BigInt arithmetic does, up to 64 bits', () => {
    for (const value of addresses()) {
      assert.ok(parseAddress(`0x${value.toString(16)}`));
      assert.equal(BigInt(parsed.page), value >> 12n, value.toString(16));
      assert.equal(BigInt(parsed.offset), value & 4095n);
    }
  });

  test('capitals and leading zeros make no difference', () => {
    for (const text of ['0x00000000fFfFf123', '0xFFFFF123', '0xfffff123']) {
      assert.ok(parseAddress(text));
      assert.deepEqual({ ...parsed }, { page: 0xfffff, offset: 0x123 });
    }
  });

  test('whole numbers up to 2^53 - 1 split alike', () => {
    for (const value of addresses()) {
      if (value > BigInt(Number.MAX_SAFE_INTEGER)) continue;
      assert.ok(parseAddress(Number(value)));
      assert.equal(BigInt(parsed.page), value >> 12n);
      assert.equal(BigInt(parsed.offset), value & 4095n);
    }
  });

  test('formatting gives the lower-case unpadded hex back', () => {
    for (const value of addresses()) {
      const page = Number(value >> 12n);
      assert.equal(formatAddress(page, Number(value & 4095n)), `0x${value.toString(16)}`);
    }
  });

  test('what is no address is refused', () => {
    for (const bad of ['', '0x', '123', '0x1_000', '0xg', ' 0x1', '0x1 ', '-0x1', '0x10000000000000000', '1e3'])
      assert.equal(parseAddress(bad), false, bad);
    for (const bad of [-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])
      assert.equal(parseAddress(bad), false, `${bad}`);
  });

  test('low and high page bits are the nine-bit table indexes', () => {
    for (const value of addresses()) {
      const page = value >> 12n;
      const low = lowPageBits(Number(page));
      assert.equal(BigInt(low), page & 0x7ffffffn);
      assert.equal(BigInt(highPageBits(Number(page), low)), page >> 27n);
    }
  });

  test('rounding up to a power of two', () => {
    for (let n = 1; n <= 5000; n++) {
      let expected = 1;
      while (expected < n) expected *= 2;
      assert.equal(roundUpToPowerOfTwo(n), expected);
    }
    assert.equal(roundUpToPowerOfTwo(2 ** 30), 2 ** 30);
    assert.equal(roundUpToPowerOfTwo(2 ** 29 + 1), 2 ** 30);
  });
});

/** Lines around the grammar: real ones cut, flipped, doubled, run together, with numbers that are too large and bytes that are no text. */
import type { Dice } from '../dice.ts';

const HUGE = [
  '18446744073709551615',
  '18446744073709551616',
  '9007199254740992',
  '999999999999999999999999999999',
  '0x10000000000000000',
  'ffffffffffffffff',
  '-1',
  '',
  '1e9',
];

/** @param lines what they are made of, bytes */
export function mutated(dice: Dice, lines: readonly Uint8Array[]): Uint8Array {
  let line = Buffer.from(lines[dice(lines.length)]!);
  for (let left = 1 + dice(3); left > 0; left--) line = once(dice, line, lines);
  return line;
}

function once(dice: Dice, line: Buffer<ArrayBuffer>, lines: readonly Uint8Array[]): Buffer<ArrayBuffer> {
  const at = dice(line.length + 1);
  switch (dice(10)) {
    case 0:
      return line.subarray(0, at);
    case 1:
      return line.subarray(at);
    case 2: {
      const flipped = Buffer.from(line);
      if (at < flipped.length) flipped[at]! ^= 1 << dice(8);
      return flipped;
    }
    case 3:
      return Buffer.concat([line.subarray(0, at), line.subarray(dice(at + 1))]);
    case 4: {
      const text = line.toString('latin1');
      const numbers = [...text.matchAll(/(?:0x)?[0-9a-f]{1,20}/g)];
      if (numbers.length === 0) return line;
      const { index, 0: number } = numbers[dice(numbers.length)]!;
      return Buffer.from(text.slice(0, index) + HUGE[dice(HUGE.length)]! + text.slice(index + number.length), 'latin1');
    }
    case 5:
      return Buffer.concat([line.subarray(0, at), Buffer.alloc(1 + dice(4)), line.subarray(at)]);
    case 6: {
      const cut = line.lastIndexOf('{');
      return cut < 0 ? line : line.subarray(0, cut + dice(line.length - cut));
    }
    case 7: {
      const other = lines[dice(lines.length)]!;
      return Buffer.concat([line.subarray(0, at), other.subarray(dice(other.length))]);
    }
    case 8:
      return Buffer.concat([line.subarray(0, at), Buffer.from([128 + dice(128), dice(256)]), line.subarray(at)]);
    default: {
      // An array, or a name, that goes on for long; seldom longer than a line may be.
      const piece = line.subarray(at, at + 12);
      const times = dice(200) === 0 ? 8_000 : dice(40);
      return Buffer.concat([line.subarray(0, at), ...Array.from({ length: times }, () => piece), line.subarray(at)]);
    }
  }
}

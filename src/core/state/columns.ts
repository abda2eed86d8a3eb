/**
 * Columns (typed arrays) short: a stretch that is one value over and over is that value and how often; all else as it stands.
 *
 * What is not used of a column holds one value, 0 or that of "none", so a column takes what is in it and not what it could hold.
 * Values are compared and kept as bits, in words of 8, 4 or 1 bytes: -0 and every NaN come back as they were.
 */
import type { ImageReader, ImageWriter } from './bytes.ts';
import { StateImageError } from './image-error.ts';

export type Column = InstanceType<(typeof COLUMNS)[number]>;

/** By their number in an image. */
const COLUMNS = [
  Float64Array,
  Int32Array,
  Uint8Array,
  Uint32Array,
  Uint16Array,
  Int16Array,
  Int8Array,
  Float32Array,
  Uint8ClampedArray,
  BigInt64Array,
  BigUint64Array,
] as const;

/** @returns -1 for what is none */
export function columnType(value: object): number {
  return COLUMNS.indexOf(Object.getPrototypeOf(value).constructor);
}

export function columnClass(type: number): (typeof COLUMNS)[number] {
  const found = COLUMNS[type];
  if (found === undefined) throw new StateImageError('misfit', `the image has a column of an unknown type, ${type}`);
  return found;
}

/** Repetitions from which on it is worth to break off what stands as it is, by bytes of a word. */
const WORTH: Record<number, number> = { 8: 3, 4: 4, 1: 12 };

function wordBytes(elementBytes: number, bytes: number): number {
  return elementBytes === 8 ? 8 : bytes % 4 === 0 ? 4 : 1;
}

/** @param bytes a whole buffer */
export function writeColumn(writer: ImageWriter, bytes: Uint8Array, elementBytes: number): void {
  const size = wordBytes(elementBytes, bytes.length);
  const units = size === 1 ? bytes : new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const words = bytes.length / size;
  const pair = size === 8;
  const worth = WORTH[size]!;
  let from = 0;
  let at = 0;
  while (at < words) {
    let end = at + 1;
    if (pair) {
      const low = units[2 * at]!;
      const high = units[2 * at + 1]!;
      while (end < words && units[2 * end] === low && units[2 * end + 1] === high) end++;
    } else {
      const word = units[at]!;
      while (end < words && units[end] === word) end++;
    }
    if (end - at >= worth) {
      if (at > from) {
        writer.count((at - from) * 2);
        writer.stretch(bytes, from * size, at * size);
      }
      writer.count((end - at) * 2 + 1);
      writer.stretch(bytes, at * size, (at + 1) * size);
      from = end;
    }
    at = end;
  }
  if (words > from) {
    writer.count((words - from) * 2);
    writer.stretch(bytes, from * size, words * size);
  }
}

/** @param bytes a whole buffer, of the length that was written; what is in it does not matter */
export function readColumn(reader: ImageReader, bytes: Uint8Array, elementBytes: number): void {
  const size = wordBytes(elementBytes, bytes.length);
  for (let at = 0; at < bytes.length; ) {
    const form = reader.count();
    const end = at + Math.floor(form / 2) * size;
    if (end > bytes.length || end === at) throw new StateImageError('misfit', 'a column of the image overflows');
    if (form % 2 === 0) bytes.set(reader.stretch(end - at), at);
    else {
      const word = reader.stretch(size);
      if (size !== 1 && word.some((byte) => byte !== word[0])) {
        bytes.set(word, at);
        for (let done = size; at + done < end; done *= 2)
          bytes.copyWithin(at + done, at, Math.min(at + done, end - done));
      } else bytes.fill(word[0]!, at, end);
    }
    at = end;
  }
}

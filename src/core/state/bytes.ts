/**
 * Bytes of an image, written and read in order: numbers, texts, stretches.
 *
 * Whole numbers are written seven bits a byte, lowest first (LEB128), signed ones folded so that small ones stay short; doubles as
 * their eight bytes; a text that was written before as its number. A reader trusts nothing: every length is held against the bytes
 * that are left before anything is made of it.
 */
import { StateImageError } from './image-error.ts';

const INITIAL_BYTES = 65_536;

export class ImageWriter {
  private bytes = new Uint8Array(INITIAL_BYTES);
  private view = new DataView(this.bytes.buffer);
  private readonly texts = new Map<string, number>();
  length = 0;

  private room(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  byte(value: number): void {
    this.room(1);
    this.bytes[this.length++] = value;
  }

  /** A whole number from 0 to 2^53. */
  count(value: number): void {
    this.room(8);
    let rest = value;
    while (rest >= 2 ** 31) {
      this.bytes[this.length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    while (rest >= 128) {
      this.bytes[this.length++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.bytes[this.length++] = rest;
  }

  /** A whole number of 32 bits, with its sign. */
  whole(value: number): void {
    this.count(((value << 1) ^ (value >> 31)) >>> 0);
  }

  double(value: number): void {
    this.room(8);
    this.view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  text(value: string): void {
    const known = this.texts.get(value);
    if (known !== undefined) {
      this.count(known);
      return;
    }
    this.count(this.texts.size);
    this.texts.set(value, this.texts.size);
    let wide = false;
    for (let i = 0; i < value.length && !wide; i++) wide = value.charCodeAt(i) > 255;
    this.count(value.length * 2 + (wide ? 1 : 0));
    this.room(value.length * 2);
    for (let i = 0; i < value.length; i++) {
      const unit = value.charCodeAt(i);
      this.bytes[this.length++] = unit & 255;
      if (wide) this.bytes[this.length++] = unit >> 8;
    }
  }

  stretch(from: Uint8Array, start: number, end: number): void {
    this.room(end - start);
    if (end - start < 32) for (let i = start; i < end; i++) this.bytes[this.length++] = from[i]!;
    else {
      this.bytes.set(from.subarray(start, end), this.length);
      this.length += end - start;
    }
  }

  /** What was written, behind so many bytes that are left empty. */
  behind(bytes: number): Uint8Array {
    const out = new Uint8Array(bytes + this.length);
    out.set(this.bytes.subarray(0, this.length), bytes);
    return out;
  }
}

export class ImageReader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly texts: string[] = [];
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  /** @param each bytes that one of so many things takes at least */
  private need(many: number, each: number): void {
    if (many * each > this.left) throw new StateImageError('misfit', 'the image ends in the middle of its content');
  }

  byte(): number {
    this.need(1, 1);
    return this.bytes[this.at++]!;
  }

  /** The next byte, which stays the next one. */
  peek(): number {
    this.need(1, 1);
    return this.bytes[this.at]!;
  }

  count(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 53; scale *= 128) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new StateImageError('misfit', 'a number of the image has no end');
  }

  /** How many things follow, each of which takes at least `each` bytes. */
  countOf(each: number): number {
    const many = this.count();
    this.need(many, each);
    return many;
  }

  whole(): number {
    const folded = this.count();
    return (folded >>> 1) ^ -(folded & 1);
  }

  double(): number {
    this.need(8, 1);
    const value = this.view.getFloat64(this.at, true);
    this.at += 8;
    return value;
  }

  text(): string {
    const index = this.count();
    const known = this.texts[index];
    if (known !== undefined) return known;
    if (index !== this.texts.length)
      throw new StateImageError('misfit', 'the image names a text that it does not have');
    const form = this.count();
    const wide = form % 2 === 1;
    const length = Math.floor(form / 2);
    this.need(length, wide ? 2 : 1);
    const units: string[] = [];
    for (let i = 0; i < length; i++) {
      const low = this.bytes[this.at++]!;
      units.push(String.fromCharCode(wide ? low | (this.bytes[this.at++]! << 8) : low));
    }
    const text = units.join('');
    this.texts.push(text);
    return text;
  }

  /** Bytes of the image themselves: to be copied, not kept. */
  stretch(bytes: number): Uint8Array {
    this.need(bytes, 1);
    const from = this.at;
    this.at += bytes;
    return this.bytes.subarray(from, this.at);
  }
}

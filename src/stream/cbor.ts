/**
 * CBOR as far as JSON has values for it: maps with text keys, arrays, texts, integers, floats, booleans, null. Nothing here needs Node.
 *
 * Source: RFC 8949. Departs: written are definite lengths and the shortest integers, and floats of 32 or 64 bits, not 16. Read is
 * whatever has a value in JSON, in any length; byte strings, tags, `undefined` and keys that are no texts are refused.
 *
 * By hand, because a general library takes 30 to 60 times as long, 15 ms for metrics of 20 kB, ten times a second on the thread that
 * answers everybody: `bench/stream-encodings.bench.ts`.
 */

/** Deeper than anything of the stream; keeps the reader from running out of stack. */
const DEEPEST = 32;

const UNSIGNED = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const TAG = 6;

const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;
const FLOAT_32 = 0xfa;
const FLOAT_64 = 0xfb;
const BREAK = 0xff;

const TWO_32 = 2 ** 32;
/** Longer texts are faster by the platform's encoder than by a loop. */
const SHORT_TEXT = 40;

/**
 * @param value as from `JSON.parse`; members that are undefined are left out
 * @param expectedBytes more or less; too little costs a copy
 */
export function encodeCbor(value: unknown, expectedBytes = 256): Uint8Array {
  const writer = new Writer(expectedBytes);
  writer.write(value);
  return writer.written();
}

class Writer {
  private bytes: Uint8Array;
  private view: DataView;
  private at = 0;
  private readonly encoder = new TextEncoder();

  constructor(expectedBytes: number) {
    this.bytes = new Uint8Array(expectedBytes);
    this.view = new DataView(this.bytes.buffer);
  }

  written(): Uint8Array {
    return this.bytes.subarray(0, this.at);
  }

  write(value: unknown): void {
    switch (typeof value) {
      case 'number':
        this.writeNumber(value);
        break;
      case 'string':
        this.writeText(value);
        break;
      case 'boolean':
        this.writeByte(value ? TRUE : FALSE);
        break;
      case 'object':
        if (value === null) this.writeByte(NULL);
        else if (Array.isArray(value)) this.writeArray(value);
        else this.writeMap(value as Record<string, unknown>);
        break;
      default:
        throw new TypeError(`JSON has no ${typeof value}`);
    }
  }

  private writeByte(byte: number): void {
    this.room(1);
    this.bytes[this.at++] = byte;
  }

  private writeArray(items: readonly unknown[]): void {
    this.writeHead(ARRAY, items.length);
    for (const item of items) this.write(item);
  }

  private writeMap(value: Record<string, unknown>): void {
    const keys = Object.keys(value);
    let count = keys.length;
    for (const key of keys) if (value[key] === undefined) count--;
    this.writeHead(MAP, count);
    for (const key of keys) {
      const member = value[key];
      if (member === undefined) continue;
      this.writeText(key);
      this.write(member);
    }
  }

  private writeNumber(value: number): void {
    if (Number.isSafeInteger(value)) {
      if (value < 0) this.writeHead(NEGATIVE, -1 - value);
      else this.writeHead(UNSIGNED, value);
      return;
    }
    this.room(9);
    if (Math.fround(value) === value) {
      this.bytes[this.at] = FLOAT_32;
      this.view.setFloat32(this.at + 1, value);
      this.at += 5;
    } else {
      this.bytes[this.at] = FLOAT_64;
      this.view.setFloat64(this.at + 1, value);
      this.at += 9;
    }
  }

  private writeText(text: string): void {
    if (!this.wroteShortAscii(text)) this.writeLongText(text);
  }

  private wroteShortAscii(text: string): boolean {
    const { length } = text;
    if (length > SHORT_TEXT) return false;
    this.room(length + 2);
    const start = this.at + (length < 24 ? 1 : 2);
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) return false;
      this.bytes[start + i] = code;
    }
    this.writeHead(TEXT, length);
    this.at += length;
    return true;
  }

  private writeLongText(text: string): void {
    // At most three bytes for each code unit, and five for the head, which is written when the length is known.
    this.room(text.length * 3 + 5);
    const widest = headBytes(text.length * 3);
    const { written } = this.encoder.encodeInto(text, this.bytes.subarray(this.at + widest));
    const head = headBytes(written);
    if (head < widest) this.bytes.copyWithin(this.at + head, this.at + widest, this.at + widest + written);
    this.writeHead(TEXT, written);
    this.at += written;
  }

  private writeHead(major: number, argument: number): void {
    this.room(9);
    const { bytes, view } = this;
    const first = major << 5;
    if (argument < 24) {
      bytes[this.at++] = first | argument;
    } else if (argument < 0x100) {
      bytes[this.at] = first | 24;
      bytes[this.at + 1] = argument;
      this.at += 2;
    } else if (argument < 0x10000) {
      bytes[this.at] = first | 25;
      view.setUint16(this.at + 1, argument);
      this.at += 3;
    } else if (argument < TWO_32) {
      bytes[this.at] = first | 26;
      view.setUint32(this.at + 1, argument);
      this.at += 5;
    } else {
      bytes[this.at] = first | 27;
      view.setUint32(this.at + 1, Math.floor(argument / TWO_32));
      view.setUint32(this.at + 5, argument % TWO_32);
      this.at += 9;
    }
  }

  private room(bytes: number): void {
    if (this.at + bytes <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.at + bytes));
    larger.set(this.bytes);
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }
}

function headBytes(argument: number): number {
  return argument < 24 ? 1 : argument < 0x100 ? 2 : argument < 0x10000 ? 3 : 5;
}

/** Why bytes are not what is read here. */
export class CborError extends Error {
  override name = 'CborError';
}

/** @param bytes one value and nothing behind it @throws CborError */
export function decodeCbor(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = reader.read(0);
  reader.end();
  return value;
}

/** In the place of a value: the end of an array or a map of indefinite length. */
const END = Symbol('break');

class Reader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  read(depth: number): unknown {
    const value = this.readOrEnd(depth);
    if (value === END) throw this.error('a break stands where a value should');
    return value;
  }

  end(): void {
    if (this.at < this.bytes.length) throw this.error('there is something behind the value');
  }

  private readOrEnd(depth: number): unknown {
    if (depth > DEEPEST) throw this.error(`it is nested deeper than ${DEEPEST}`);
    const first = this.byte();
    if (first === BREAK) return END;
    const major = first >> 5;
    const info = first & 31;
    if (major === 7) return this.readSimple(info);
    if (major === BYTES) throw this.error('byte strings are not used');
    if (major === TAG) throw this.error('tags are not used');
    // Null: of indefinite length.
    const argument = info === 31 && major >= TEXT ? null : this.argument(info);
    switch (major) {
      case TEXT:
        return argument === null ? this.readChunks() : this.text(argument);
      case ARRAY:
        return this.readArray(argument, depth);
      case MAP:
        return this.readMap(argument, depth);
      default:
        return major === UNSIGNED ? argument : -1 - argument!;
    }
  }

  private readArray(length: number | null, depth: number): unknown[] {
    // Each item takes a byte at least, so a length that is made up ends soon.
    const items: unknown[] = [];
    for (let i = 0; length === null || i < length; i++) {
      const item = length === null ? this.readOrEnd(depth + 1) : this.read(depth + 1);
      if (item === END) break;
      items.push(item);
    }
    return items;
  }

  private readMap(length: number | null, depth: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (let i = 0; length === null || i < length; i++) {
      const key = length === null ? this.readOrEnd(depth + 1) : this.read(depth + 1);
      if (key === END) break;
      if (typeof key !== 'string') throw this.error('a key is no text');
      if (Object.hasOwn(map, key)) throw this.error('a key stands twice in a map');
      const value = this.read(depth + 1);
      // As JSON.parse does it: assigned, this one key would change what the map is.
      if (key === '__proto__')
        Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
      else map[key] = value;
    }
    return map;
  }

  /** A text in parts, each a text of definite length. */
  private readChunks(): string {
    let text = '';
    for (;;) {
      const first = this.byte();
      if (first === BREAK) return text;
      if (first >> 5 !== TEXT) throw this.error('a part of a text is none');
      text += this.text(this.argument(first & 31));
    }
  }

  private text(length: number): string {
    const start = this.take(length);
    return this.shortAscii(start, length) ?? this.longText(start);
  }

  private shortAscii(start: number, length: number): string | null {
    if (length > SHORT_TEXT) return null;
    let text = '';
    for (let i = start; i < start + length; i++) {
      const code = this.bytes[i]!;
      if (code > 0x7f) return null;
      text += String.fromCharCode(code);
    }
    return text;
  }

  private longText(start: number): string {
    try {
      return this.decoder.decode(this.bytes.subarray(start, this.at));
    } catch {
      throw this.error('a text is not UTF-8');
    }
  }

  private readSimple(info: number): unknown {
    switch (info) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
        return null;
      case 25:
        return this.finite(float16(this.view.getUint16(this.take(2))));
      case 26:
        return this.finite(this.view.getFloat32(this.take(4)));
      case 27:
        return this.finite(this.view.getFloat64(this.take(8)));
      default:
        throw this.error('a simple value is neither true, false nor null');
    }
  }

  private finite(value: number): number {
    if (!Number.isFinite(value)) throw this.error('a float is not finite');
    return value;
  }

  private argument(info: number): number {
    if (info < 24) return info;
    switch (info) {
      case 24:
        return this.byte();
      case 25:
        return this.view.getUint16(this.take(2));
      case 26:
        return this.view.getUint32(this.take(4));
      case 27: {
        const start = this.take(8);
        const value = this.view.getUint32(start) * TWO_32 + this.view.getUint32(start + 4);
        if (value > Number.MAX_SAFE_INTEGER) throw this.error('a number is larger than 2^53 - 1');
        return value;
      }
      default:
        throw this.error('a head is none');
    }
  }

  private byte(): number {
    return this.bytes[this.take(1)]!;
  }

  /** @returns where they begin */
  private take(length: number): number {
    const start = this.at;
    if (length > this.bytes.length - start) throw this.error('it ends too soon');
    this.at = start + length;
    return start;
  }

  private error(why: string): CborError {
    return new CborError(`${why}, at byte ${this.at}`);
  }
}

/** RFC 8949, appendix D. */
function float16(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (fraction + 1024) * 2 ** (exponent - 25);
}

/**
 * CBOR (RFC 8949) as the stream's binary frames use it: definite lengths, no tags. Anything else is an error, as is a message with more
 * or less than one value in it.
 */
import { platform } from './platform.ts';

/** Deeper than any frame; so that a hostile message cannot exhaust the stack. */
const MOST_DEPTH = 100;

export function decodeCbor(bytes: Uint8Array): unknown {
  const decoder = new Decoder(bytes);
  const value = decoder.value(0);
  if (decoder.at !== bytes.byteLength) throw new Error(`CBOR: ${bytes.byteLength - decoder.at} bytes after the value`);
  return value;
}

class Decoder {
  at = 0;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly text = new platform.TextDecoder('utf-8', { fatal: true });

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  value(depth: number): unknown {
    if (depth > MOST_DEPTH) throw new Error('CBOR: nested too deeply');
    const first = this.view.getUint8(this.at++);
    const info = first & 0x1f;
    switch (first >> 5) {
      case 0:
        return this.count(info);
      case 1:
        return -1 - this.count(info);
      case 2:
        return this.take(this.count(info)).slice();
      case 3:
        return this.text.decode(this.take(this.count(info)));
      case 4: {
        const length = this.count(info);
        const items: unknown[] = [];
        for (let i = 0; i < length; i++) items.push(this.value(depth + 1));
        return items;
      }
      case 5: {
        const length = this.count(info);
        const members: [string, unknown][] = [];
        for (let i = 0; i < length; i++) {
          const name = this.value(depth + 1);
          if (typeof name !== 'string') throw new Error('CBOR: the name of a member is no text');
          members.push([name, this.value(depth + 1)]);
        }
        // As JSON.parse does, so that a member named __proto__ is a member.
        return Object.fromEntries(members);
      }
      case 7:
        return this.simple(info);
      default:
        throw new Error('CBOR: tags are not used here');
    }
  }

  private count(info: number): number {
    if (info < 24) return info;
    const from = this.at;
    switch (info) {
      case 24:
        this.at += 1;
        return this.view.getUint8(from);
      case 25:
        this.at += 2;
        return this.view.getUint16(from);
      case 26:
        this.at += 4;
        return this.view.getUint32(from);
      case 27:
        this.at += 8;
        return this.view.getUint32(from) * 2 ** 32 + this.view.getUint32(from + 4);
      default:
        throw new Error('CBOR: lengths that are not known in advance are not used here');
    }
  }

  private take(length: number): Uint8Array {
    const end = this.at + length;
    if (end > this.bytes.byteLength) throw new Error('CBOR: the message ends too early');
    const part = this.bytes.subarray(this.at, end);
    this.at = end;
    return part;
  }

  private simple(info: number): unknown {
    const from = this.at;
    switch (info) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
        return null;
      case 23:
        return undefined;
      case 25:
        this.at += 2;
        return half(this.view.getUint16(from));
      case 26:
        this.at += 4;
        return this.view.getFloat32(from);
      case 27:
        this.at += 8;
        return this.view.getFloat64(from);
      default:
        throw new Error(`CBOR: simple value ${info} is not used here`);
    }
  }
}

/** A float of 16 bits, for which not every engine has a reader. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

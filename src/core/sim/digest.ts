/**
 * The state digest: 64 hex digits over everything that future behaviour depends on.
 *
 * Eight 32-bit lanes, each one step of the multiply-rotate hash of xxHash32 (Collet) per word, folded together at the end. It is no
 * defence against an adversary who chooses the state; it tells two states apart, at about a nanosecond a word, which SHA-256 in
 * JavaScript does not.
 */
import type { DigestSink } from './digest-sink.ts';

const PRIME_1 = 0x9e3779b1 | 0;
const PRIME_2 = 0x85ebca77 | 0;
const PRIME_3 = 0xc2b2ae3d | 0;

const splitter = new Float64Array(1);
const halves = new Int32Array(splitter.buffer);

function round(lane: number, word: number): number {
  const mixed = (lane + Math.imul(word, PRIME_2)) | 0;
  return Math.imul((mixed << 13) | (mixed >>> 19), PRIME_1);
}

export class Digest implements DigestSink {
  private readonly lanes = new Int32Array(8);
  private position = 0;
  private words = 0;

  constructor() {
    for (let i = 0; i < 8; i++) this.lanes[i] = Math.imul(PRIME_1, i + 1) ^ Math.imul(PRIME_2, 2 * i + 1);
  }

  word(value: number): void {
    const at = this.position;
    this.lanes[at] = round(this.lanes[at]!, value);
    this.position = (at + 1) & 7;
    this.words++;
  }

  number(value: number): void {
    splitter[0] = value + 0; // -0 becomes 0: they compare equal everywhere else
    this.word(halves[0]!);
    this.word(halves[1]!);
  }

  column(values: Float64Array | Int32Array | Uint32Array | Uint16Array | Uint8Array, count: number): void {
    this.word(count);
    const bytes = count * values.BYTES_PER_ELEMENT;
    const whole = bytes >>> 2;
    const words = new Int32Array(values.buffer, values.byteOffset, whole);
    const { lanes } = this;
    let at = this.position;
    for (let i = 0; i < whole; i++) {
      lanes[at] = round(lanes[at]!, words[i]!);
      at = (at + 1) & 7;
    }
    this.position = at;
    this.words += whole;
    if (bytes & 3) {
      const rest = new Uint8Array(values.buffer, values.byteOffset + whole * 4, bytes & 3);
      for (const byte of rest) this.word(byte);
    }
  }

  text(value: string): void {
    this.word(value.length);
    for (let i = 0; i < value.length; i++) this.word(value.charCodeAt(i));
  }

  hex(): string {
    let hash = this.words | 0;
    for (let i = 0; i < 8; i++) hash = round(hash ^ this.lanes[i]!, i + 1);
    let out = '';
    for (let i = 0; i < 8; i++) {
      hash = round(hash, this.lanes[i]! ^ Math.imul(i + 1, PRIME_3));
      let h = hash ^ this.lanes[(i + 3) & 7]!;
      h = Math.imul(h ^ (h >>> 15), PRIME_2);
      h = Math.imul(h ^ (h >>> 13), PRIME_3);
      h ^= h >>> 16;
      out += (h >>> 0).toString(16).padStart(8, '0');
    }
    return out;
  }
}

/**
 * The words of a payload, `key=value` and what stands between, into numbers: one pass over the bytes, no string and no object made.
 *
 * Fields came and went between kernels, so they are read by name and never by place; a key that is not known is passed over, a bare word
 * that is not known or a key that comes twice (two lines run together) is an error. Hexadecimal with `0x` or without. An address is a
 * page and an offset, so that all 64 bits are kept.
 */
import { MOST_RANGES } from '../range-list.ts';
import { decimal, isSame, small } from './digits.ts';
import { QiDescriptor } from './qi-descriptor.ts';
import { Words } from './words.ts';

/** Bits of `Fields.present`. */
export const IOVA = 1;
export const PHYSICAL = 2;
export const SIZE = 4;
export const UNMAPPED = 8;
export const DIRECTION = 16;
export const ATTRIBUTES = 32;
export const RANGE_END = 64;
export const VIRTUAL = 128;
export const FLAGS = 256;
export const IOVAS = 512;
export const SIZES = 1024;
export const PHYSICALS = 2048;
export const NENTS = 4096;
export const ENTS = 8192;
export const ERROR = 16384;
export const DEVICE = 32768;
export const GROUP = 65536;
export const TRUNCATED = 131072;
export const OP = 262144;
export const PICOSECONDS = 524288;
export const BUFFER = 1048576;
export const OWNER = 2097152;
export const SCOPE = 4194304;
export const DOMAIN = 8388608;
export const VERDICT = 16777216;
export const MASK = 33554432;

const SPACE = 0x20;
const EQUALS = 0x3d;
const NOT_A_DIGIT = 255;

/** [byte]: value of a hexadecimal digit. */
const HEX = new Uint8Array(256).fill(NOT_A_DIGIT);
for (let i = 0; i < 16; i++) {
  HEX['0123456789abcdef'.charCodeAt(i)] = i;
  HEX['0123456789ABCDEF'.charCodeAt(i)] = i;
}

const encoder = new TextEncoder();

/** Four letters as one integer, first in the lowest byte, so that keys are compared four bytes at a time. */
function letters(text: string): number {
  return text.charCodeAt(0) | (text.charCodeAt(1) << 8) | (text.charCodeAt(2) << 16) | (text.charCodeAt(3) << 24);
}

/** Keys of the common events, by length: two to four letters at either end say all of them. */
const IOVA_KEY = letters('iova');
const SIZE_KEY = letters('size');
const DMA_ = letters('dma_');
const ADDR = letters('addr');
const PHYS = letters('phys');
const _ADD = letters('_add');
const ATTR = letters('attr');
const PADD = letters('padd');
const UNMA = letters('unma');
const PPED = letters('pped');

/** All keys but those of `keyOf`, by length: few each, so they are compared one after the other. */
const RARE_KEYS: readonly (readonly [key: string, bit: number])[] = [
  ['virt_addr', VIRTUAL],
  ['flags', FLAGS],
  ['dma_addrs', IOVAS],
  ['sizes', SIZES],
  ['phys_addrs', PHYSICALS],
  ['nents', NENTS],
  ['ents', ENTS],
  ['err', ERROR],
  ['dev', DEVICE],
  ['device', DEVICE],
  ['groupID', GROUP],
  ['dev_addr', IOVA],
  ['dma_mask', MASK],
  ['op', OP],
  ['ps', PICOSECONDS],
  ['buffer', BUFFER],
  ['owner', OWNER],
  ['scope', SCOPE],
  ['domain', DOMAIN],
  ['verdict', VERDICT],
];
const LONGEST_KEY = 13;
/** [length of the key]. */
const KEYS_BY_LENGTH: { bytes: Uint8Array; bit: number }[][] = Array.from({ length: LONGEST_KEY + 1 }, () => []);
for (const [key, bit] of RARE_KEYS) KEYS_BY_LENGTH[key.length]!.push({ bytes: encoder.encode(key), bit });

const DIRECTION_NAMES = ['BIDIRECTIONAL', 'TO_DEVICE', 'FROM_DEVICE', 'NONE'].map((name) => encoder.encode(name));
const TRUNCATED_WORD = encoder.encode('[TRUNCATED]');

export class Fields {
  /** For payloads that have no keys. */
  readonly words = new Words();
  readonly descriptor = new QiDescriptor();
  /** Which fields the payload has. */
  present = 0;
  /** Words whose key is not known. */
  unknownKeys = 0;
  iovaPage = 0;
  iovaOffset = 0;
  endPage = 0;
  endOffset = 0;
  physicalPage = 0;
  physicalOffset = 0;
  size = 0;
  unmapped = 0;
  direction = 0;
  /** Of a fault; the GFP flags of an allocation are words, and -1. */
  flags = -1;
  /** The pointer is all zeros. */
  isVirtualNull = false;
  error = 0;
  group = 0;
  nents = 0;
  ents = 0;
  picoseconds = 0;
  buffer = 0;
  owner = 0;
  domain = 0;
  /** Where the values of `dev`, `op`, `scope` and `verdict` are. */
  deviceStart = 0;
  deviceEnd = 0;
  opStart = 0;
  opEnd = 0;
  scopeStart = 0;
  scopeEnd = 0;
  verdictStart = 0;
  verdictEnd = 0;
  readonly iovaPages = new Float64Array(MOST_RANGES);
  readonly iovaOffsets = new Float64Array(MOST_RANGES);
  iovaCount = 0;
  readonly sizeList = new Float64Array(MOST_RANGES);
  sizeCount = 0;
  readonly physicalPages = new Float64Array(MOST_RANGES);
  readonly physicalOffsets = new Float64Array(MOST_RANGES);
  physicalCount = 0;
  /** Of the number last read. */
  private page = 0;
  private offset = 0;

  /** @returns '', or what is wrong with the words from `start` to before `end` */
  read(bytes: Uint8Array, start: number, end: number): string {
    this.present = 0;
    this.unknownKeys = 0;
    this.flags = -1;
    let at = start;
    while (at < end) {
      if (bytes[at] === SPACE) {
        at++;
        continue;
      }
      const wordStart = at;
      while (at < end && bytes[at] !== EQUALS && bytes[at] !== SPACE) at++;
      if (at === end || bytes[at] === SPACE) {
        const wrong = this.bareWord(bytes, wordStart, at);
        if (wrong !== '') return wrong;
        continue;
      }
      const bit = keyOf(bytes, wordStart, at);
      at++;
      let valueEnd = at;
      while (valueEnd < end && bytes[valueEnd] !== SPACE) valueEnd++;
      if ((this.present & bit) !== 0) return 'a key that comes twice';
      this.present |= bit;
      switch (bit) {
        case IOVA: {
          if (!this.hex(bytes, at, valueEnd)) return 'an address that is no number';
          this.iovaPage = this.page;
          this.iovaOffset = this.offset;
          // `iova=0x1000 - 0x2000`: the end, which is not part of the range.
          if (valueEnd + 3 < end && bytes[valueEnd + 1] === 0x2d && bytes[valueEnd + 2] === SPACE) {
            const endStart = valueEnd + 3;
            valueEnd = endStart;
            while (valueEnd < end && bytes[valueEnd] !== SPACE) valueEnd++;
            if (!this.hex(bytes, endStart, valueEnd)) return 'an address that is no number';
            this.endPage = this.page;
            this.endOffset = this.offset;
            this.present |= RANGE_END;
          }
          break;
        }
        case PHYSICAL:
          if (!this.hex(bytes, at, valueEnd)) return 'an address that is no number';
          this.physicalPage = this.page;
          this.physicalOffset = this.offset;
          break;
        case SIZE:
          this.size = decimal(bytes, at, valueEnd);
          if (this.size < 0) return 'a size that is no number below 2^53';
          break;
        case UNMAPPED:
          this.unmapped = decimal(bytes, at, valueEnd);
          if (this.unmapped < 0) return 'a size that is no number below 2^53';
          break;
        case DIRECTION:
          this.direction = directionOf(bytes, at, valueEnd);
          if (this.direction < 0) return 'a direction that there is not';
          break;
        case ATTRIBUTES:
        case MASK:
          break;
        default: {
          const wrong = this.rareValue(bit, bytes, at, valueEnd);
          if (wrong !== '') return wrong;
        }
      }
      at = valueEnd;
    }
    return '';
  }

  private bareWord(bytes: Uint8Array, start: number, end: number): string {
    if (!isSame(bytes, start, end, TRUNCATED_WORD)) return 'a word that is not understood';
    this.present |= TRUNCATED;
    return '';
  }

  private rareValue(bit: number, bytes: Uint8Array, start: number, end: number): string {
    switch (bit) {
      case 0:
        this.unknownKeys++;
        return '';
      case VIRTUAL:
        this.isVirtualNull = isNullPointer(bytes, start, end);
        return '';
      case FLAGS:
        // GFP_KERNEL|__GFP_ZERO, or 0x0001.
        if (this.hex(bytes, start, end)) this.flags = this.page * 4096 + this.offset;
        return '';
      case IOVAS:
        this.iovaCount = this.list(bytes, start, end, this.iovaPages, this.iovaOffsets);
        return this.iovaCount < 0 ? 'a list that is cut or no list' : '';
      case PHYSICALS:
        this.physicalCount = this.list(bytes, start, end, this.physicalPages, this.physicalOffsets);
        return this.physicalCount < 0 ? 'a list that is cut or no list' : '';
      case SIZES: {
        // Above 2^53 they are no longer exact, and no size is.
        this.sizeCount = this.list(bytes, start, end, this.sizeList, null);
        return this.sizeCount < 0 ? 'a list that is cut or no list' : '';
      }
      case NENTS:
        this.nents = totalOf(bytes, start, end);
        return this.nents < 0 ? 'a count that is no number' : '';
      case ENTS:
        this.ents = totalOf(bytes, start, end);
        return this.ents < 0 ? 'a count that is no number' : '';
      case ERROR: {
        const isNegative = bytes[start] === 0x2d;
        const value = decimal(bytes, isNegative ? start + 1 : start, end);
        this.error = isNegative ? -value : value;
        return value < 0 || value > 4095 ? 'an error that is no number' : '';
      }
      case GROUP:
        this.group = small(bytes, start, end);
        return this.group < 0 ? 'a number that is none below 2^31' : '';
      case PICOSECONDS:
        this.picoseconds = small(bytes, start, end);
        return this.picoseconds < 0 || this.picoseconds > 999 ? 'picoseconds that are not below 1000' : '';
      case BUFFER:
        this.buffer = small(bytes, start, end);
        return this.buffer < 0 ? 'a number that is none below 2^31' : '';
      case OWNER:
        this.owner = small(bytes, start, end);
        return this.owner < 0 ? 'a number that is none below 2^31' : '';
      case DOMAIN:
        this.domain = small(bytes, start, end);
        return this.domain < 0 ? 'a number that is none below 2^31' : '';
      case DEVICE:
        this.deviceStart = start;
        this.deviceEnd = end;
        return '';
      case OP:
        this.opStart = start;
        this.opEnd = end;
        return '';
      case SCOPE:
        this.scopeStart = start;
        this.scopeEnd = end;
        return '';
      case VERDICT:
        this.verdictStart = start;
        this.verdictEnd = end;
        return '';
      default:
        throw new Error(`no value is read for bit ${bit}`);
    }
  }

  /** @returns whether it is a number of at most 64 bits, in `page` and `offset` then */
  private hex(bytes: Uint8Array, start: number, end: number): boolean {
    let at = start;
    if (end - at > 2 && bytes[at] === 0x30 && (bytes[at + 1]! | 0x20) === 0x78) at += 2;
    const digits = end - at;
    if (digits < 1 || digits > 16) return false;
    // Half of what the kernel prints.
    while (at < end && bytes[at] === 0x30) at++;
    // The three last digits are the offset, seven before them fit an integer, what is left is above.
    const offsetStart = Math.max(at, end - 3);
    const lowStart = Math.max(at, end - 10);
    let wrong = 0;
    let high = 0;
    let low = 0;
    let offset = 0;
    for (; at < lowStart; at++) {
      const digit = HEX[bytes[at]!]!;
      wrong |= digit;
      high = (high << 4) | digit;
    }
    for (; at < offsetStart; at++) {
      const digit = HEX[bytes[at]!]!;
      wrong |= digit;
      low = (low << 4) | digit;
    }
    for (; at < end; at++) {
      const digit = HEX[bytes[at]!]!;
      wrong |= digit;
      offset = (offset << 4) | digit;
    }
    this.page = high * 0x1000_0000 + low;
    this.offset = offset;
    return wrong < 16;
  }

  /**
   * `{0x1000,0x2000}`, `{}`.
   *
   * @param offsets null: whole numbers go to `pages`
   * @returns how many, or -1
   */
  private list(
    bytes: Uint8Array,
    start: number,
    end: number,
    pages: Float64Array,
    offsets: Float64Array | null,
  ): number {
    if (end - start < 2 || bytes[start] !== 0x7b || bytes[end - 1] !== 0x7d) return -1;
    if (end - start === 2) return 0;
    let count = 0;
    for (let at = start + 1; at < end; ) {
      let numberEnd = at;
      while (numberEnd < end - 1 && bytes[numberEnd] !== 0x2c) numberEnd++;
      if (count === MOST_RANGES || !this.hex(bytes, at, numberEnd)) return -1;
      if (offsets === null) pages[count] = this.page * 4096 + this.offset;
      else {
        pages[count] = this.page;
        offsets[count] = this.offset;
      }
      count++;
      at = numberEnd + 1;
    }
    return count;
  }
}

function four(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

/** @returns the bit of a key, 0 for one that is not known */
function keyOf(bytes: Uint8Array, start: number, end: number): number {
  switch (end - start) {
    case 3:
      if (bytes[start] === 0x64 && bytes[start + 1] === 0x69 && bytes[start + 2] === 0x72) return DIRECTION;
      break;
    case 4: {
      const word = four(bytes, start);
      if (word === SIZE_KEY) return SIZE;
      if (word === IOVA_KEY) return IOVA;
      break;
    }
    case 5: {
      const word = four(bytes, start);
      if (word === ATTR && bytes[start + 4] === 0x73) return ATTRIBUTES;
      if (word === PADD && bytes[start + 4] === 0x72) return PHYSICAL;
      break;
    }
    case 8:
      if (four(bytes, start) === DMA_ && four(bytes, start + 4) === ADDR) return IOVA;
      break;
    case 9:
      if (four(bytes, start) === PHYS && four(bytes, start + 4) === _ADD && bytes[start + 8] === 0x72) return PHYSICAL;
      break;
    case 13: {
      const isUnmapped =
        four(bytes, start) === UNMA &&
        four(bytes, start + 4) === PPED &&
        bytes[start + 8] === 0x5f &&
        four(bytes, start + 9) === SIZE_KEY;
      if (isUnmapped) return UNMAPPED;
    }
  }
  return rareKeyOf(bytes, start, end);
}

function rareKeyOf(bytes: Uint8Array, start: number, end: number): number {
  if (end - start > LONGEST_KEY) return 0;
  for (const { bytes: key, bit } of KEYS_BY_LENGTH[end - start]!) if (isSame(bytes, start, end, key)) return bit;
  return 0;
}

/** `2/5`: traced and all there are; `5`. @returns all, or -1 */
function totalOf(bytes: Uint8Array, start: number, end: number): number {
  let slash = start;
  while (slash < end && bytes[slash] !== 0x2f) slash++;
  if (slash === end) return small(bytes, start, end);
  return small(bytes, start, slash) < 0 ? -1 : small(bytes, slash + 1, end);
}

function directionOf(bytes: Uint8Array, start: number, end: number): number {
  // All differ in length.
  switch (end - start) {
    case 13:
      return isSame(bytes, start, end, DIRECTION_NAMES[0]!) ? 0 : -1;
    case 9:
      return isSame(bytes, start, end, DIRECTION_NAMES[1]!) ? 1 : -1;
    case 11:
      return isSame(bytes, start, end, DIRECTION_NAMES[2]!) ? 2 : -1;
    case 4:
      return isSame(bytes, start, end, DIRECTION_NAMES[3]!) ? 3 : -1;
    default:
      return -1;
  }
}

/** `0000000000000000`, `(null)`. */
function isNullPointer(bytes: Uint8Array, start: number, end: number): boolean {
  if (bytes[start] === 0x28) return true;
  for (let i = start; i < end; i++) if (bytes[i] !== 0x30 && bytes[i] !== 0x78) return false;
  return end > start;
}

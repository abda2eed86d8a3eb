/**
 * Events of the Intel driver: the only ones that show what is invalidated, when and for which domain.
 *
 * Source: Linux `drivers/iommu/intel/trace.h`. `qi_submit` is the descriptor as the hardware gets it (`qi-descriptor.ts`); `cache_tag_*`
 * say the same one layer above, with the device. The name of the unit, `dmar2`, is no device.
 */
import { ABSENT, EVENT_KINDS } from '../event.ts';
import type { Intake } from '../intake.ts';
import { decimal, small } from './digits.ts';
import type { Fields } from './fields.ts';
import { GRANULARITY, QI_TYPES } from './qi-descriptor.ts';
import type { Words } from './words.ts';

const encoder = new TextEncoder();
const TYPE_WORDS = Object.entries(QI_TYPES).map(([name, type]) => ({ type, word: encoder.encode(name) }));
const TYPE = encoder.encode('type');
const DID = encoder.encode('did');
const PASID = encoder.encode('pasid');
const REF = encoder.encode('ref');
const ADDR = encoder.encode('addr');
const PAGES = encoder.encode('pages');
const MASK = encoder.encode('mask');
const SEQUENCE = encoder.encode('seq#');
const CACHES = [
  'iotlb',
  'devtlb',
  'nesting_iotlb',
  'nesting_devtlb',
  'nesting_parent_iotlb',
  'nesting_parent_devtlb',
].map((name) => encoder.encode(name));
const SLASH = 0x2f;
const BRACKET = 0x5b;
const CLOSING = 0x5d;
const PAGE_BYTES = 4096;

/** `iotlb_inv dmar2: 0x800f2 0xf9a00005 0x0 0x0`. */
export function readQiSubmit(
  intake: Intake,
  { words, descriptor }: Fields,
  bytes: Uint8Array,
  start: number,
  end: number,
): string {
  words.open(bytes, start, end);
  if (!words.next()) return 'no type';
  const named = TYPE_WORDS.find(({ word }) => words.is(word));
  if (named === undefined) return 'a type of descriptor that there is not';
  if (!words.next() || bytes[words.end - 1] !== 0x3a) return 'no unit';
  if (!words.next() || !words.hex()) return 'not four words of 64 bits';
  const high0 = words.high;
  const low0 = words.low;
  if (!words.next() || !words.hex()) return 'not four words of 64 bits';
  const high1 = words.high;
  const low1 = words.low;
  for (let i = 2; i < 4; i++) if (!words.next() || !words.hex()) return 'not four words of 64 bits';
  if (words.next()) return 'more than four words';
  if (!descriptor.decode(high0, low0, high1, low1)) return 'a descriptor that there is not';
  if (descriptor.type !== named.type) return 'the word of the type and the descriptor disagree';
  const { event } = intake;
  const { type, granularity } = descriptor;
  event.domain = descriptor.domain;
  if (descriptor.pages !== ABSENT) {
    event.iovaPage = descriptor.page;
    event.iovaOffset = 0;
    event.lengthBytes = descriptor.pages * PAGE_BYTES;
  }
  switch (type) {
    case QI_TYPES.iotlb_inv:
    case QI_TYPES.p_iotlb_inv:
      event.detail = granularity;
      intake.emit(EVENT_KINDS.invalidate);
      break;
    case QI_TYPES.dev_tlb_inv:
    case QI_TYPES.p_dev_tlb_inv:
      event.detail = granularity;
      event.domain = descriptor.source;
      intake.emit(EVENT_KINDS.invalidateDevice);
      break;
    case QI_TYPES.inv_wait:
      intake.emit(EVENT_KINDS.invalidationWait);
      break;
    case QI_TYPES.page_grp_resp:
      intake.emit(EVENT_KINDS.pageResponse);
      break;
    default:
      event.detail = type === QI_TYPES.cc_inv ? 1 : type === QI_TYPES.pc_inv ? 2 : 3;
      intake.emit(EVENT_KINDS.invalidateTables);
  }
  return '';
}

/** `type devtlb`. @returns -1 when it is none, 0 for the IOMMU's own, 1 for a device's */
function cacheType(words: Words): number {
  if (!words.next() || !words.is(TYPE) || !words.next()) return -1;
  const index = CACHES.findIndex((name) => words.is(name));
  return index < 0 ? -1 : index % 2;
}

/** A word and a decimal after it. @returns the number, below 2^31, or -1 */
function numbered(words: Words, name: Uint8Array): number {
  return words.next() && words.is(name) && words.next() ? small(words.bytes, words.start, words.end) : -1;
}

/** A word and a hexadecimal after it. */
function hexed(words: Words, name: Uint8Array): boolean {
  return words.next() && words.is(name) && words.next() && words.hex();
}

/** `dmar6/0000:8a:00.0 type iotlb did 7 pasid 0 ref 1`; `what`: 1 assigned, 0 taken away, -1 all of it is flushed. */
export function readCacheTag(
  intake: Intake,
  { words }: Fields,
  bytes: Uint8Array,
  start: number,
  end: number,
  what: number,
): string {
  words.open(bytes, start, end);
  if (!words.next()) return 'no unit';
  const slash = words.find(SLASH);
  if (slash < 0) return 'no unit and device';
  const deviceEnd = words.end;
  const cache = cacheType(words);
  if (cache < 0) return 'no type of cache';
  const domain = numbered(words, DID);
  if (domain < 0 || numbered(words, PASID) < 0 || numbered(words, REF) < 0) return 'no did, pasid or ref';
  if (words.next()) return 'a word that is not understood';
  const unnamed = intake.device(bytes, slash + 1, deviceEnd);
  if (unnamed !== '') return unnamed;
  const { event } = intake;
  event.domain = domain;
  if (what >= 0) {
    event.detail = what;
    intake.emit(EVENT_KINDS.cacheTag);
    return '';
  }
  // A device's TLB knows no domain: all of that device.
  event.detail = cache === 0 ? GRANULARITY.domain : GRANULARITY.all;
  intake.emit(cache === 0 ? EVENT_KINDS.invalidate : EVENT_KINDS.invalidateDevice);
  return '';
}

/** `dmar1 0000:00:1b.0[0] type iotlb did 9 [0xeab00000-0xeab1afff] addr 0xeab00000 pages 0x20 mask 0x5`. */
export function readCacheTagRange(
  intake: Intake,
  { words }: Fields,
  bytes: Uint8Array,
  start: number,
  end: number,
): string {
  words.open(bytes, start, end);
  if (!words.next() || !words.next()) return 'no unit and device';
  const bracket = words.find(BRACKET);
  const hasPasid = bracket > 0 && bytes[words.end - 1] === CLOSING && decimal(bytes, bracket + 1, words.end - 1) >= 0;
  if (!hasPasid) return 'no device and PASID';
  const deviceStart = words.start;
  const cache = cacheType(words);
  if (cache < 0) return 'no type of cache';
  const domain = numbered(words, DID);
  if (domain < 0) return 'no did';
  if (!words.next() || bytes[words.start] !== BRACKET || bytes[words.end - 1] !== CLOSING) return 'no range';
  const dash = words.find(0x2d);
  if (dash < 0 || !words.hex(words.start + 1, dash) || !words.hex(dash + 1, words.end - 1)) return 'no range';
  if (!hexed(words, ADDR)) return 'no addr';
  const page = words.high * 2 ** 20 + Math.floor(words.low / PAGE_BYTES);
  const offset = words.low % PAGE_BYTES;
  if (!hexed(words, PAGES)) return 'no pages';
  const pages = words.high * 2 ** 32 + words.low;
  if (!hexed(words, MASK)) return 'no mask';
  // Of what is no power of two the mask covers more: that is what the hardware drops.
  const mask = words.high * 2 ** 32 + words.low;
  if (words.next()) return 'a word that is not understood';
  const unnamed = intake.device(bytes, deviceStart, bracket);
  if (unnamed !== '') return unnamed;
  const { event } = intake;
  event.domain = domain;
  if (pages >= 2 ** 51 || mask >= 51) event.detail = cache === 0 ? GRANULARITY.domain : GRANULARITY.all;
  else {
    event.detail = GRANULARITY.pages;
    event.iovaPage = page;
    event.iovaOffset = offset;
    event.lengthBytes = Math.max(pages, 2 ** mask) * PAGE_BYTES;
  }
  intake.emit(cache === 0 ? EVENT_KINDS.invalidate : EVENT_KINDS.invalidateDevice);
  return '';
}

/** `dmar9/0000:00:01.0 seq# 12: rid=0x8 addr=0x7f0000001000 r---l pasid=0x1 index=0x0`; the address where the request has one. */
export function readPageRequest(
  intake: Intake,
  { words }: Fields,
  bytes: Uint8Array,
  start: number,
  end: number,
): string {
  words.open(bytes, start, end);
  if (!words.next()) return 'no unit and device';
  const slash = words.find(SLASH);
  const deviceEnd = words.end;
  if (slash < 0) return 'no unit and device';
  if (!words.next() || !words.is(SEQUENCE) || !words.next() || bytes[words.end - 1] !== 0x3a)
    return 'no sequence number';
  if (decimal(bytes, words.start, words.end - 1) < 0) return 'no sequence number';
  const { event } = intake;
  while (words.next()) {
    const equals = words.find(0x3d);
    if (equals < 0 || !words.spans(words.start, equals, ADDR)) continue;
    if (!words.hex(equals + 1, words.end)) return 'an address that is no number';
    event.iovaPage = words.high * 2 ** 20 + Math.floor(words.low / PAGE_BYTES);
    event.iovaOffset = words.low % PAGE_BYTES;
  }
  const unnamed = intake.device(bytes, slash + 1, deviceEnd);
  if (unnamed !== '') return unnamed;
  intake.emit(EVENT_KINDS.pageRequest);
  return '';
}

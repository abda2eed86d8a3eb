/**
 * The form of an image, for those that write and read it.
 *
 * Header, 96 bytes, numbers lowest byte first unless they say in which order the rest is:
 *
 *     0  8  "iommulab"
 *     8  2  FORMAT
 *    10  2  0xfeff in the machine's own order, which is that of columns
 *    12  4  0
 *    16  8  bytes of content, a double
 *    24  8  bytes that its columns unfold to, a double
 *    32 32  coreVersion, ASCII, filled up with 0
 *    64 32  checksum over the 64 bytes before it and the content
 *
 * Content: the spec's digest; what `grow.ts` needs; how many objects are `fixed`; the shapes of the objects that were there before
 * (simulator, domains, devices, workloads); then each object's fields, in the order in which objects were first met. An object is named
 * by that order. Where it is met first stands its head (kind, shape or length), so that a reader can find or make it before it reads
 * what is in it.
 */
import { Digest } from '../sim/digest.ts';
import { sorted } from '../sim/sorted.ts';
import type { Simulator } from '../simulator.ts';
import type { ResolvedSpec } from '../spec.ts';
import { coreVersion } from '../version.ts';
import { StateImageError } from './image-error.ts';

export const HEADER_BYTES = 96;
const CHECKSUM_AT = 64;
const VERSION_AT = 32;
const MAGIC = 'iommulab';
/** Raised when the form changes; what an image *says* of a class's fields is a matter of `coreVersion`. */
const FORMAT = 1;

/** What a value begins with. */
export const VALUE = {
  undefined: 0,
  null: 1,
  false: 2,
  true: 3,
  whole: 4,
  double: 5,
  text: 6,
  bigint: 7,
  negativeBigint: 8,
  /** A function that stays as it is. */
  kept: 9,
  /** So many elements that are not there. */
  hole: 10,
  /** An object that was met before. */
  known: 11,
  /** One that was not; beside it, its kind. */
  object: 16,
} as const;

export const KIND = {
  instance: 0,
  plain: 1,
  frozenPlain: 2,
  array: 3,
  frozenArray: 4,
  map: 5,
  set: 6,
  column: 7,
  /** A column on another one's memory. */
  view: 8,
  /** Memory that views are on and no column of its own. */
  buffer: 9,
} as const;

/** Class name of objects without one. */
export const PLAIN = 'Object';
export const BARE = '';

/** What is there before the rest, in this order: closures know them. */
export function* firstOf({ domains, everyDevice, workloadAt }: Simulator): Generator<object> {
  yield* domains;
  yield* everyDevice;
  for (const workload of workloadAt) if (workload !== undefined) yield workload;
}

/** Of everything in a spec, names and titles too: replies have them. */
export function specDigest(spec: ResolvedSpec): string {
  const digest = new Digest();
  digest.text(JSON.stringify(sorted(spec)));
  return digest.hex();
}

function writeAscii(into: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) into[at + i] = text.charCodeAt(i);
}

function readAscii(from: Uint8Array, at: number, bytes: number): string {
  let text = '';
  for (let i = at; i < at + bytes && from[i] !== 0; i++) text += String.fromCharCode(from[i]!);
  return text;
}

/** @param image begins on a multiple of four bytes of its buffer */
function checksumOf(image: Uint8Array): Uint8Array {
  const digest = new Digest();
  digest.column(image.subarray(0, CHECKSUM_AT), CHECKSUM_AT);
  digest.column(image.subarray(HEADER_BYTES), image.length - HEADER_BYTES);
  const hex = digest.hex();
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

/** @param image content behind a header that is still empty */
export function fillHeader(image: Uint8Array, unfoldedBytes: number): void {
  const view = new DataView(image.buffer, image.byteOffset);
  writeAscii(image, 0, MAGIC);
  view.setUint16(8, FORMAT, true);
  image.set(new Uint8Array(Uint16Array.of(0xfeff).buffer), 10);
  view.setFloat64(16, image.length - HEADER_BYTES, true);
  view.setFloat64(24, unfoldedBytes, true);
  writeAscii(image, VERSION_AT, coreVersion);
  seal(image);
}

/** Writes the checksum of all else. */
export function seal(image: Uint8Array): void {
  image.set(checksumOf(image), CHECKSUM_AT);
}

export interface Header {
  /** Bytes that its columns unfold to. */
  unfoldedBytes: number;
  coreVersion: string;
  /** Begins on a multiple of four. */
  content: Uint8Array;
}

/** @throws StateImageError unless it is whole; it may still be of another core or spec */
export function readHeader(given: Uint8Array): Header {
  // A Buffer of Node is one too, with a `slice` of its own.
  const aligned = given.byteOffset % 4 === 0;
  const image = aligned ? new Uint8Array(given.buffer, given.byteOffset, given.length) : new Uint8Array(given);
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  if (image.length < 8 || readAscii(image, 0, 8) !== MAGIC)
    throw new StateImageError('foreign', 'these bytes are no image of a simulation');
  if (image.length < HEADER_BYTES)
    throw new StateImageError('length', `the image ends in its header, after ${image.length} bytes`);
  const format = view.getUint16(8, true);
  if (format !== FORMAT)
    throw new StateImageError('format', `the image has the form ${format}; this code reads the form ${FORMAT}`);
  if (new Uint16Array(image.slice(10, 12).buffer)[0] !== 0xfeff)
    throw new StateImageError('byte-order', 'the image was written on a machine of the other byte order');
  const length = view.getFloat64(16, true);
  if (length !== image.length - HEADER_BYTES)
    throw new StateImageError(
      'length',
      `the image says that it has ${length} bytes behind its header; there are ${image.length - HEADER_BYTES}`,
    );
  const stated = image.subarray(CHECKSUM_AT, HEADER_BYTES);
  if (checksumOf(image).some((byte, i) => byte !== stated[i]))
    throw new StateImageError('corrupt', 'the image is damaged: its checksum is another');
  return {
    unfoldedBytes: view.getFloat64(24, true),
    coreVersion: readAscii(image, VERSION_AT, CHECKSUM_AT - VERSION_AT),
    content: image.subarray(HEADER_BYTES),
  };
}

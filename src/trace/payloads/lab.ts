/** `iommu_lab:*`: what no kernel traces, in recordings that were exported here. The lines are defined in `docs/trace-format.md`. */
import { ABSENT, EVENT_KINDS } from '../event.ts';
import type { Intake } from '../intake.ts';
import { isSame } from './digits.ts';
import { readDeviceAndFields } from './dma.ts';
import { BUFFER, DOMAIN, type Fields, IOVA, OP, OWNER, PHYSICAL, PICOSECONDS, SCOPE, SIZE, VERDICT } from './fields.ts';

/** By their code, as the core has them. */
export const VERDICT_NAMES = [
  'ok',
  'fault',
  'subpage',
  'unprotected',
  'stale',
  'stale-reused',
  'misdirected',
  'stale-cross-tenant',
] as const;

/** Ops of `iommu_lab:call`, by their code. */
export const CALL_OPS = [
  'map-single',
  'map-page',
  'map-sg',
  'alloc',
  'unmap',
  'iommu-map',
  'iommu-unmap',
  'sync',
] as const;

const encoder = new TextEncoder();
const VERDICTS = VERDICT_NAMES.map((name) => encoder.encode(name));
const OPS = CALL_OPS.map((name) => encoder.encode(name));
const READ = encoder.encode('read');
const WRITE = encoder.encode('write');
/** By their granularity - 1. */
const SCOPES = ['global', 'domain', 'range'].map((name) => encoder.encode(name));

/** Our own lines have nothing but what is defined. */
const UNKNOWN_KEY = 'a key that is not defined';

function codeOf(words: readonly Uint8Array[], bytes: Uint8Array, start: number, end: number): number {
  return words.findIndex((word) => isSame(bytes, start, end, word));
}

export function readAccess(intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number): string {
  const needed = OP | IOVA | SIZE | PICOSECONDS;
  const wrong = readDeviceAndFields(intake, fields, bytes, start, end, needed, 'no op, iova, size or ps');
  if (wrong !== '') return wrong;
  if (fields.unknownKeys > 0) return UNKNOWN_KEY;
  const { event } = intake;
  const isWrite = isSame(bytes, fields.opStart, fields.opEnd, WRITE);
  if (!isWrite && !isSame(bytes, fields.opStart, fields.opEnd, READ)) return 'an op that is no read or write';
  if ((fields.present & VERDICT) !== 0) {
    event.detail = codeOf(VERDICTS, bytes, fields.verdictStart, fields.verdictEnd);
    if (event.detail < 0) return 'a verdict that there is not';
  }
  event.write = isWrite ? 1 : 0;
  event.iovaPage = fields.iovaPage;
  event.iovaOffset = fields.iovaOffset;
  event.lengthBytes = fields.size;
  event.timePs = fields.picoseconds;
  intake.emit(EVENT_KINDS.access);
  return '';
}

export function readInvalidate(intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number): string {
  const wrong = fields.read(bytes, start, end);
  if (wrong !== '') return wrong;
  if ((fields.present & (SCOPE | PICOSECONDS)) !== (SCOPE | PICOSECONDS)) return 'no scope or ps';
  const scope = codeOf(SCOPES, bytes, fields.scopeStart, fields.scopeEnd);
  if (scope < 0) return 'a scope that there is not';
  const needed = scope === 0 ? 0 : scope === 1 ? DOMAIN : DOMAIN | IOVA | SIZE;
  if ((fields.present & (DOMAIN | IOVA | SIZE)) !== needed) return 'not what its scope needs';
  if (fields.unknownKeys > 0) return UNKNOWN_KEY;
  const { event } = intake;
  event.detail = scope + 1;
  event.timePs = fields.picoseconds;
  if (scope > 0) event.domain = fields.domain;
  if (scope === 2) {
    event.iovaPage = fields.iovaPage;
    event.iovaOffset = fields.iovaOffset;
    event.lengthBytes = fields.size;
  }
  intake.emit(EVENT_KINDS.invalidate);
  return '';
}

export function readBuffer(intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number): string {
  const wrong = fields.read(bytes, start, end);
  if (wrong !== '') return wrong;
  const needed = BUFFER | OWNER | PHYSICAL | SIZE | PICOSECONDS;
  if ((fields.present & needed) !== needed) return 'no buffer, owner, paddr, size or ps';
  if (fields.unknownKeys > 0) return UNKNOWN_KEY;
  const { event } = intake;
  event.detail = fields.buffer;
  event.domain = fields.owner;
  event.physicalPage = fields.physicalPage;
  event.physicalOffset = fields.physicalOffset;
  event.lengthBytes = fields.size;
  event.timePs = fields.picoseconds;
  intake.emit(EVENT_KINDS.buffer);
  return '';
}

export function readBufferFree(intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number): string {
  const wrong = fields.read(bytes, start, end);
  if (wrong !== '') return wrong;
  if ((fields.present & (BUFFER | PICOSECONDS)) !== (BUFFER | PICOSECONDS)) return 'no buffer or ps';
  if (fields.unknownKeys > 0) return UNKNOWN_KEY;
  intake.event.detail = fields.buffer;
  intake.event.timePs = fields.picoseconds;
  intake.emit(EVENT_KINDS.bufferFree);
  return '';
}

export function readCall(intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number): string {
  // The device may be missing: `op=` is first then.
  const hasDevice = !(
    end - start > 3 &&
    bytes[start] === 0x6f &&
    bytes[start + 1] === 0x70 &&
    bytes[start + 2] === 0x3d
  );
  const wrong = hasDevice
    ? readDeviceAndFields(intake, fields, bytes, start, end, OP | PICOSECONDS, 'no op or ps')
    : fields.read(bytes, start, end);
  if (wrong !== '') return wrong;
  if ((fields.present & (OP | PICOSECONDS)) !== (OP | PICOSECONDS)) return 'no op or ps';
  const op = codeOf(OPS, bytes, fields.opStart, fields.opEnd);
  if (op < 0) return 'an op that there is not';
  if (fields.unknownKeys > 0) return UNKNOWN_KEY;
  if (!hasDevice) intake.event.device = ABSENT;
  intake.event.detail = op;
  intake.event.timePs = fields.picoseconds;
  intake.emit(EVENT_KINDS.call);
  return '';
}

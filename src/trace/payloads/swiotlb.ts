/**
 * `swiotlb_bounced`: a buffer is copied, since the device cannot reach it or may not.
 *
 * Source: Linux `include/trace/events/swiotlb.h`: `dev_name: <dev> dma_mask=<hex> dev_addr=<hex> size=<dec> NORMAL|FORCE`; kernels
 * before 4.3 print `swiotlb_force=...` as a number, newer ones another last word.
 */
import { EVENT_KINDS } from '../event.ts';
import type { Intake } from '../intake.ts';
import { isSame } from './digits.ts';
import { type Fields, IOVA, SIZE } from './fields.ts';

const TITLE = new TextEncoder().encode('dev_name:');
const SPACE = 0x20;

export function readBounced(intake: Intake, fields: Fields, bytes: Uint8Array, start: number, end: number): string {
  const titleEnd = start + TITLE.length;
  if (titleEnd > end || !isSame(bytes, start, titleEnd, TITLE)) return 'no dev_name:';
  let deviceStart = titleEnd;
  while (deviceStart < end && bytes[deviceStart] === SPACE) deviceStart++;
  let deviceEnd = deviceStart;
  while (deviceEnd < end && bytes[deviceEnd] !== SPACE) deviceEnd++;
  const wrong = fields.read(bytes, deviceEnd, withoutLastWord(bytes, deviceEnd, end));
  if (wrong !== '') return wrong;
  if ((fields.present & (IOVA | SIZE)) !== (IOVA | SIZE)) return 'no dev_addr or size';
  const unnamed = intake.device(bytes, deviceStart, deviceEnd);
  if (unnamed !== '') return unnamed;
  const { event } = intake;
  // What the device would have been given: a physical address as seen from the bus.
  event.physicalPage = fields.iovaPage;
  event.physicalOffset = fields.iovaOffset;
  event.lengthBytes = fields.size;
  intake.emit(EVENT_KINDS.bounced);
  return '';
}

/** The last word is another in each kernel, and says nothing that is asked for: it is left out when it is letters alone. */
function withoutLastWord(bytes: Uint8Array, start: number, end: number): number {
  let at = end;
  while (at > start && isLetter(bytes[at - 1]!)) at--;
  return at > start && bytes[at - 1] === SPACE ? at : end;
}

function isLetter(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || byte === 0x5f;
}

/** What pcap and pcapng have in common: a packet becomes an event of its time, its length and, where the link type says it, its direction. */
import { ABSENT, DIRECTIONS, EVENT_KINDS } from '../event.ts';
import type { Intake } from '../intake.ts';

/** Link types that are met: Ethernet says nothing of the direction, Linux's cooked one does. */
export const LINK_ETHERNET = 1;
export const LINK_LINUX_SLL = 113;
/** `PACKET_OUTGOING` of Linux; 0 to 3 were received. */
const SLL_SENT = 4;
/** Packets longer than that there are not: libpcap's own bound. */
export const LARGEST_PACKET = 262_144;

/**
 * @param sllType first two bytes of the packet where the link type is Linux's cooked one, else ABSENT
 * @returns '', or why it is skipped
 */
export function passPacket(
  intake: Intake,
  seconds: number,
  nanoseconds: number,
  lengthBytes: number,
  sllType: number,
  device: number,
): string {
  const event = intake.clear();
  const wrong = intake.at(seconds, nanoseconds, ABSENT);
  if (wrong !== '') return wrong;
  event.lengthBytes = lengthBytes;
  event.device = device;
  if (sllType >= 0 && sllType <= SLL_SENT) {
    event.write = sllType === SLL_SENT ? 0 : 1;
    event.direction = sllType === SLL_SENT ? DIRECTIONS.toDevice : DIRECTIONS.fromDevice;
  }
  intake.emit(EVENT_KINDS.packet);
  return '';
}

export function warnOfLink(intake: Intake, linkType: number): void {
  if (linkType === LINK_LINUX_SLL) return;
  intake.account.warn(
    linkType === LINK_ETHERNET
      ? 'Ethernet packets do not say whether they were sent or received'
      : `packets of link type ${linkType}: only time and length are read`,
  );
}

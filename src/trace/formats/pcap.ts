/**
 * pcap: when packets came and how long they were; nothing else of them is read.
 *
 * Source: the pcap capture file format (IETF opsawg). A header of 24 bytes, whose magic says the order of bytes and whether fractions are
 * microseconds or nanoseconds, then for each packet 16 bytes and what was captured of it. Times may run backwards. There is no way to
 * find the next packet once one is damaged, so the import ends there, and says where.
 */
import { ABSENT } from '../event.ts';
import type { Intake } from '../intake.ts';
import { ByteFeed } from '../lines/byte-feed.ts';
import type { FormatEntry, FormatReader } from './format.ts';
import { LARGEST_PACKET, LINK_LINUX_SLL, passPacket, warnOfLink } from './packets.ts';

const HEADER_BYTES = 24;
const PACKET_BYTES = 16;
const MICROSECONDS = 0xa1b2c3d4;
const NANOSECONDS = 0xa1b23c4d;

interface Magic {
  littleEndian: boolean;
  /** Nanoseconds in one unit of a fraction. */
  unit: number;
}

function magicOf(bytes: Uint8Array): Magic | null {
  if (bytes.length < 4) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const littleEndian of [true, false]) {
    const magic = view.getUint32(0, littleEndian);
    if (magic === MICROSECONDS) return { littleEndian, unit: 1000 };
    if (magic === NANOSECONDS) return { littleEndian, unit: 1 };
  }
  return null;
}

class PcapReader implements FormatReader {
  private readonly intake: Intake;
  private readonly feed = new ByteFeed(this, HEADER_BYTES);
  private magic: Magic | null = null;
  private linkType = 0;
  private largest = LARGEST_PACKET;
  /** Of the packet whose first two bytes are waited for. */
  private seconds = 0;
  private nanoseconds = 0;
  private length = 0;
  private captured = ABSENT;

  constructor(intake: Intake) {
    this.intake = intake;
    this.feed.want(HEADER_BYTES);
  }

  write(chunk: Uint8Array): void {
    this.feed.write(chunk);
  }

  end(): void {
    const { feed, intake } = this;
    if (this.magic !== null && !feed.isWithin && this.captured === ABSENT) return;
    if (this.magic === null && feed.length === 0) return;
    if (this.captured === ABSENT) intake.account.line++;
    this.damaged(feed.length, 'the file ends in the middle');
  }

  take(bytes: Uint8Array): void {
    if (this.magic === null) this.header(bytes);
    else if (this.captured !== ABSENT) this.beginning(bytes);
    else this.packet(bytes);
  }

  private header(bytes: Uint8Array): void {
    const magic = magicOf(bytes);
    if (magic === null) {
      this.intake.account.line++;
      this.damaged(0, 'no magic of pcap');
      return;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.magic = magic;
    this.largest = Math.max(LARGEST_PACKET, Math.min(view.getUint32(16, magic.littleEndian), 2 ** 27));
    // The upper bits have other uses.
    this.linkType = view.getUint32(20, magic.littleEndian) % 65_536;
    warnOfLink(this.intake, this.linkType);
    this.feed.want(PACKET_BYTES);
  }

  private packet(bytes: Uint8Array): void {
    const { littleEndian, unit } = this.magic!;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const fraction = view.getUint32(4, littleEndian) * unit;
    const captured = view.getUint32(8, littleEndian);
    this.intake.account.line++;
    if (captured > this.largest) {
      this.damaged(this.feed.offset, `a packet of ${captured} bytes`);
      return;
    }
    this.seconds = view.getUint32(0, littleEndian);
    this.nanoseconds = fraction;
    this.length = view.getUint32(12, littleEndian);
    if (this.linkType === LINK_LINUX_SLL && captured >= 2) {
      this.captured = captured;
      this.feed.want(2);
      return;
    }
    this.feed.pass(captured);
    this.pass(ABSENT);
  }

  /** The first two bytes of a packet in Linux's cooked form: who sent it to whom. */
  private beginning(bytes: Uint8Array): void {
    this.feed.pass(this.captured - 2);
    this.captured = ABSENT;
    this.feed.want(PACKET_BYTES);
    this.pass(bytes[0]! * 256 + bytes[1]!);
  }

  private pass(sllType: number): void {
    const { intake, seconds, nanoseconds, length } = this;
    const wrong =
      nanoseconds >= 1e9
        ? 'a fraction that is no fraction of a second'
        : passPacket(intake, seconds, nanoseconds, length, sllType, ABSENT);
    if (wrong === '') intake.account.understood++;
    else intake.account.skip(wrong);
  }

  private damaged(offset: number, what: string): void {
    this.feed.close();
    this.captured = ABSENT;
    this.intake.account.warn(`damaged at byte ${offset}: ${what}; what follows is not read`);
    this.intake.account.skip(`damaged at byte ${offset}: ${what}`);
  }
}

export const pcap: FormatEntry = {
  kind: 'pcap',
  title: 'pcap',
  recognisedBy: 'its magic, a1b2c3d4 or a1b23c4d, in either order of bytes',
  options: {},
  source: 'IETF draft-ietf-opsawg-pcap',
  becomes: '`packet`: time, original length, and the direction where the link type is Linux cooked (113)',
  recognise({ bytes }) {
    const magic = magicOf(bytes);
    if (magic === null) return null;
    return `it has the magic of pcap, ${magic.littleEndian ? 'little' : 'big'}-endian, with ${magic.unit === 1 ? 'nanoseconds' : 'microseconds'}`;
  },
  open: (intake) => new PcapReader(intake),
};

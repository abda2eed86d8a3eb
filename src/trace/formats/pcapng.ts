/**
 * pcapng: when packets came and how long they were. Blocks of other kinds are passed over by their length.
 *
 * Source: the pcapng capture file format (IETF opsawg). Each section has an order of bytes of its own; each interface a link type, a
 * resolution of its clock (`if_tsresol`, microseconds where it is not said) and an offset (`if_tsoffset`). A timestamp has 64 bits, so
 * it is divided as a BigInt. A block whose two lengths differ is damage, and what follows is not read.
 */
import { ABSENT } from '../event.ts';
import type { Intake } from '../intake.ts';
import { ByteFeed } from '../lines/byte-feed.ts';
import type { FormatEntry, FormatReader } from './format.ts';
import { LINK_LINUX_SLL, passPacket, warnOfLink } from './packets.ts';

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const OLD_PACKET = 2;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;
const BYTE_ORDER = 0x1a2b3c4d;
const HEAD_BYTES = 12;
/** Of a block as much is read at most: the fields, the first bytes of a packet, options of an interface. */
const MOST_READ = 4096;
const LARGEST_BLOCK = 2 ** 27;
const MOST_INTERFACES = 4096;
const OPTION_NAME = 2;
const OPTION_RESOLUTION = 9;
const OPTION_OFFSET = 14;

interface Interface {
  linkType: number;
  /** Units of the clock in a second. */
  unitsPerSecond: bigint;
  offsetSeconds: number;
  /** The sink's index, ABSENT without a name. */
  device: number;
}

class PcapngReader implements FormatReader {
  private readonly intake: Intake;
  private readonly feed = new ByteFeed(this, MOST_READ);
  private littleEndian = true;
  private isBegun = false;
  private interfaces: Interface[] = [];
  /** What of the block is waited for. */
  private awaits: 'head' | 'body' | 'tail' = 'head';
  private type = 0;
  private length = 0;
  /** First word of the body, which comes with the head, and how much of it comes after. */
  private first = 0;
  private bodyBytes = 0;
  private blockOffset = 0;
  /** Why the block is skipped; null: it is passed over, '': understood. */
  private verdict: string | null = null;

  constructor(intake: Intake) {
    this.intake = intake;
    this.feed.want(HEAD_BYTES);
  }

  write(chunk: Uint8Array): void {
    this.feed.write(chunk);
  }

  end(): void {
    const { feed } = this;
    if (feed.length === 0 || (this.isBegun && this.awaits === 'head' && !feed.isWithin)) return;
    if (feed.isClosed) return;
    if (this.awaits === 'head') this.intake.account.line++;
    this.damaged(feed.length, 'the file ends in the middle of a block');
  }

  take(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.awaits === 'head') this.head(view);
    else if (this.awaits === 'body') this.body(view, bytes);
    else this.tail(view);
  }

  private head(view: DataView): void {
    const { feed, intake } = this;
    intake.account.line++;
    this.blockOffset = feed.offset;
    this.type = view.getUint32(0, true);
    if (this.type === SECTION) {
      // The same in both orders; what tells them apart is the first word of its body.
      const order = view.getUint32(8, true);
      this.littleEndian = order === BYTE_ORDER;
      if (!this.littleEndian && view.getUint32(8, false) !== BYTE_ORDER) {
        this.damaged(feed.offset, 'a section without its order of bytes');
        return;
      }
      this.interfaces = [];
      this.isBegun = true;
    } else {
      this.type = view.getUint32(0, this.littleEndian);
      if (!this.isBegun) {
        this.damaged(feed.offset, 'no section of pcapng');
        return;
      }
    }
    this.length = view.getUint32(4, this.littleEndian);
    if (this.length < HEAD_BYTES || this.length % 4 !== 0 || this.length > LARGEST_BLOCK) {
      this.damaged(feed.offset, `a block of ${this.length} bytes`);
      return;
    }
    this.verdict = null;
    // The head has the first four bytes of the body, or, of an empty block, its second length.
    this.bodyBytes = this.length - HEAD_BYTES - 4;
    if (this.bodyBytes < 0) {
      this.bodyBytes = 0;
      if (view.getUint32(8, this.littleEndian) !== this.length) this.damaged(feed.offset, 'a block with two lengths');
      else this.close();
      return;
    }
    const isRead = this.type === INTERFACE || this.type === ENHANCED_PACKET || this.type === OLD_PACKET;
    if (this.type === SIMPLE_PACKET) this.verdict = 'a simple packet block, which has no time';
    this.first = view.getUint32(8, this.littleEndian);
    if (isRead && this.bodyBytes > 0) {
      this.awaits = 'body';
      feed.want(Math.min(this.bodyBytes, this.type === INTERFACE ? MOST_READ : 20));
      return;
    }
    if (isRead) this.verdict = 'a block that is too short';
    this.toTail(0);
  }

  private toTail(read: number): void {
    this.feed.pass(this.bodyBytes - read);
    this.awaits = 'tail';
    this.feed.want(4);
  }

  private body(view: DataView, bytes: Uint8Array): void {
    this.verdict = this.type === INTERFACE ? this.readInterface(view, bytes) : this.readPacket(view);
    this.toTail(bytes.length);
  }

  private tail(view: DataView): void {
    if (view.getUint32(0, this.littleEndian) !== this.length) {
      this.damaged(this.blockOffset, 'a block with two lengths');
      return;
    }
    this.close();
  }

  /** The block ends well. */
  private close(): void {
    const { account } = this.intake;
    if (this.verdict === null) account.comments++;
    else if (this.verdict === '') account.understood++;
    else account.skip(this.verdict);
    this.awaits = 'head';
    this.feed.want(HEAD_BYTES);
  }

  /** @returns null, as it is no packet, or why it is skipped */
  private readInterface(view: DataView, bytes: Uint8Array): string | null {
    if (this.interfaces.length === MOST_INTERFACES) return `more than ${MOST_INTERFACES} interfaces`;
    const { littleEndian } = this;
    const linkType = littleEndian ? this.first % 65_536 : Math.floor(this.first / 65_536);
    const found: Interface = { linkType, unitsPerSecond: 1_000_000n, offsetSeconds: 0, device: ABSENT };
    // After the snap length.
    for (let at = 4; at + 4 <= view.byteLength; ) {
      const option = view.getUint16(at, littleEndian);
      const length = view.getUint16(at + 2, littleEndian);
      const value = at + 4;
      if (option === 0 || value + length > view.byteLength) break;
      if (option === OPTION_RESOLUTION && length === 1) {
        const resolution = view.getUint8(value);
        const power = BigInt(resolution % 128);
        found.unitsPerSecond = resolution >= 128 ? 2n ** power : 10n ** power;
      } else if (option === OPTION_OFFSET && length === 8)
        found.offsetSeconds = Number(view.getBigInt64(value, littleEndian));
      else if (option === OPTION_NAME && this.intake.device(bytes, value, value + length) === '')
        found.device = this.intake.event.device;
      at = value + Math.ceil(length / 4) * 4;
    }
    warnOfLink(this.intake, linkType);
    this.interfaces.push(found);
    return null;
  }

  /** @returns '' when it became an event, or why it is skipped */
  private readPacket(view: DataView): string {
    const { littleEndian, first, intake } = this;
    if (view.byteLength < 16) return 'a block that is too short';
    const number = this.type === ENHANCED_PACKET ? first : littleEndian ? first % 65_536 : Math.floor(first / 65_536);
    const from = this.interfaces[number];
    if (from === undefined) return 'a packet of an interface that there is not';
    const high = view.getUint32(0, littleEndian);
    const low = view.getUint32(4, littleEndian);
    const captured = view.getUint32(8, littleEndian);
    const original = view.getUint32(12, littleEndian);
    if (captured > this.bodyBytes - 16) return 'a packet that is longer than its block';
    const units = (BigInt(high) << 32n) | BigInt(low);
    const whole = units / from.unitsPerSecond;
    const nanoseconds = ((units - whole * from.unitsPerSecond) * 1_000_000_000n) / from.unitsPerSecond;
    const seconds = Number(whole) + from.offsetSeconds;
    if (!Number.isSafeInteger(seconds)) return 'a time that is none';
    const isCooked = from.linkType === LINK_LINUX_SLL && captured >= 2 && view.byteLength >= 18;
    const sllType = isCooked ? view.getUint16(16, false) : ABSENT;
    return passPacket(intake, seconds, Number(nanoseconds), original, sllType, from.device);
  }

  private damaged(offset: number, what: string): void {
    this.feed.close();
    this.intake.account.warn(`damaged at byte ${offset}: ${what}; what follows is not read`);
    this.intake.account.skip(`damaged at byte ${offset}: ${what}`);
  }
}

export const pcapng: FormatEntry = {
  kind: 'pcapng',
  title: 'pcapng',
  recognisedBy: 'its first block, 0a0d0d0a',
  options: {},
  source: 'IETF draft-ietf-opsawg-pcapng',
  becomes: 'as of pcap; devices are the interfaces that have a name',
  recognise({ bytes }) {
    const isSection =
      bytes.length >= 12 && bytes[0] === 0x0a && bytes[1] === 0x0d && bytes[2] === 0x0d && bytes[3] === 0x0a;
    return isSection ? 'it begins with a section of pcapng' : null;
  },
  open: (intake) => new PcapngReader(intake),
};

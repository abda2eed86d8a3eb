/** Captures of packets, made byte by byte: both orders of bytes, both magics, sections and interfaces. */

export interface Capture {
  format: 'pcap' | 'pcapng';
  name: string;
  bytes: Uint8Array;
}

export interface PacketSpec {
  seconds: number;
  /** Units of the clock. */
  fraction: number;
  original: number;
  /** What was captured of it. */
  data: Uint8Array;
}

export class Writer {
  private readonly pieces: Buffer[] = [];
  readonly littleEndian: boolean;

  constructor(littleEndian: boolean) {
    this.littleEndian = littleEndian;
  }

  u32(...values: number[]): this {
    for (const value of values) {
      const piece = Buffer.alloc(4);
      if (this.littleEndian) piece.writeUInt32LE(value);
      else piece.writeUInt32BE(value);
      this.pieces.push(piece);
    }
    return this;
  }

  u16(...values: number[]): this {
    for (const value of values) {
      const piece = Buffer.alloc(2);
      if (this.littleEndian) piece.writeUInt16LE(value);
      else piece.writeUInt16BE(value);
      this.pieces.push(piece);
    }
    return this;
  }

  /** Filled up to whole words of four bytes when `padded`. */
  raw(bytes: Uint8Array, padded = false): this {
    this.pieces.push(Buffer.from(bytes));
    if (padded && bytes.length % 4 > 0) this.pieces.push(Buffer.alloc(4 - (bytes.length % 4)));
    return this;
  }

  bytes(): Buffer<ArrayBuffer> {
    return Buffer.concat(this.pieces);
  }
}

export function pcapOf(
  packets: readonly PacketSpec[],
  { littleEndian = true, nanoseconds = false, linkType = 1 } = {},
): Uint8Array {
  const writer = new Writer(littleEndian);
  writer
    .u32(nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4)
    .u16(2, 4)
    .u32(0, 0, 65_535, linkType);
  for (const { seconds, fraction, original, data } of packets)
    writer.u32(seconds, fraction, data.length, original).raw(data);
  return writer.bytes();
}

/** A block around its body. */
export function blockOf(type: number, body: Uint8Array, littleEndian: boolean): Uint8Array {
  const length = 12 + body.length;
  return new Writer(littleEndian).u32(type, length).raw(body).u32(length).bytes();
}

export function sectionOf(littleEndian: boolean): Uint8Array {
  return blockOf(
    0x0a0d0d0a,
    new Writer(littleEndian).u32(0x1a2b3c4d).u16(1, 0).u32(0xffffffff, 0xffffffff).bytes(),
    littleEndian,
  );
}

export function interfaceOf(littleEndian: boolean, linkType: number, { resolution = -1, name = '' } = {}): Uint8Array {
  const body = new Writer(littleEndian).u16(linkType, 0).u32(65_535);
  if (name !== '') body.u16(2, name.length).raw(Buffer.from(name), true);
  if (resolution >= 0) body.u16(9, 1).raw(Buffer.from([resolution]), true);
  if (name !== '' || resolution >= 0) body.u16(0, 0);
  return blockOf(1, body.bytes(), littleEndian);
}

/** @param units 64 bits of the interface's clock */
export function packetOf(
  littleEndian: boolean,
  { from = 0, units, original, data }: { from?: number; units: bigint; original: number; data: Uint8Array },
): Uint8Array {
  const body = new Writer(littleEndian).u32(
    from,
    Number(units >> 32n),
    Number(units & 0xffffffffn),
    data.length,
    original,
  );
  return blockOf(6, body.raw(data, true).bytes(), littleEndian);
}

const SENT = Buffer.from([0, 4, 0, 1, 9, 9]);
const RECEIVED = Buffer.from([0, 0, 0, 1, 9, 9, 9]);
const PACKETS: PacketSpec[] = [
  { seconds: 100, fraction: 5, original: 1500, data: SENT },
  { seconds: 100, fraction: 900_000, original: 60, data: RECEIVED },
  { seconds: 99, fraction: 1, original: 9000, data: Buffer.alloc(0) },
];

function pcapngOf(littleEndian: boolean): Uint8Array {
  return Buffer.concat([
    sectionOf(littleEndian),
    interfaceOf(littleEndian, 113, { name: 'eth0' }),
    interfaceOf(littleEndian, 1, { resolution: 9 }),
    packetOf(littleEndian, { units: 1_700_000_000_000_001n, original: 1500, data: SENT }),
    blockOf(4, Buffer.alloc(8), littleEndian),
    packetOf(littleEndian, { from: 1, units: 1_700_000_000_000_001_234n, original: 60, data: RECEIVED }),
  ]);
}

export const captures: readonly Capture[] = [true, false].flatMap((littleEndian) => {
  const order = littleEndian ? 'little' : 'big';
  return [
    { format: 'pcap' as const, name: `${order}, µs, Ethernet`, bytes: pcapOf(PACKETS, { littleEndian }) },
    {
      format: 'pcap' as const,
      name: `${order}, ns, cooked`,
      bytes: pcapOf(PACKETS, { littleEndian, nanoseconds: true, linkType: 113 }),
    },
    { format: 'pcapng' as const, name: order, bytes: pcapngOf(littleEndian) },
  ];
});

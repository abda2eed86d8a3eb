import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type UnpackLimits, unpack } from '../../../src/trace/archive/unpack.ts';
import type { Encoding } from '../../../src/trace/trace.ts';
import { dice } from '../tape/events.ts';

const LIMITS: UnpackLimits = { unpackedBytes: 1e9, ratio: 1000, freeUnpackedBytes: 1e8 };
const PACK = { gzip: gzipSync, zstd: zstdCompressSync };

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function unpacked(bytes: Buffer, encoding: Encoding, size = 1 << 20, limits = LIMITS): Promise<Buffer> {
  const blocks: Buffer[] = [];
  await unpack(inPieces(bytes, size), encoding, limits, (block) => void blocks.push(Buffer.from(block)));
  return Buffer.concat(blocks);
}

function text(bytes: number, seed: number): Buffer {
  const throwDice = dice(seed);
  const lines: string[] = [];
  for (let length = 0; length < bytes; length += 40) lines.push(`line ${throwDice(1e6)} of ${throwDice(1e9)}`);
  return Buffer.from(lines.join('\n'));
}

function code(wanted: string): (error: unknown) => boolean {
  return (error) => {
    assert.equal((error as { code?: string }).code, wanted, String(error));
    return true;
  };
}

describe('Unpacking', () => {
  it('gives back what was packed, in whatever pieces it comes', async () => {
    const plain = text(900_000, 1);
    assert.ok((await unpacked(plain, 'identity', 777)).equals(plain));
    for (const encoding of ['gzip', 'zstd'] as const) {
      const packed = PACK[encoding](plain);
      for (const size of [100, 4096, packed.length])
        assert.ok((await unpacked(packed, encoding, size)).equals(plain), `${encoding} by ${size}`);
    }
  });

  it('goes on behind the first frame or member, also when the next one begins in the same piece', async () => {
    const parts = [text(3_000, 2), text(10, 3), text(20_000, 4)];
    const plain = Buffer.concat(parts);
    for (const encoding of ['gzip', 'zstd'] as const) {
      const packed = Buffer.concat(parts.map((part) => PACK[encoding](part)));
      for (const size of [7, 999, packed.length])
        assert.ok((await unpacked(packed, encoding, size)).equals(plain), `${encoding} by ${size}`);
    }
    const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
    const around = Buffer.concat([skippable, zstdCompressSync(plain), skippable]);
    assert.ok((await unpacked(around, 'zstd')).equals(plain));
  });

  it('takes zeros behind a gzip file for padding, and nothing else', async () => {
    const plain = text(5_000, 5);
    const padded = Buffer.concat([gzipSync(plain), Buffer.alloc(512)]);
    assert.ok((await unpacked(padded, 'gzip')).equals(plain));
    for (const encoding of ['gzip', 'zstd'] as const)
      await assert.rejects(
        unpacked(Buffer.concat([PACK[encoding](plain), Buffer.from('and more')]), encoding),
        code('invalid-encoding'),
      );
  });

  it('refuses what was cut short, is damaged, or is something else', async () => {
    const plain = text(100_000, 6);
    for (const encoding of ['gzip', 'zstd'] as const) {
      const packed = PACK[encoding](plain);
      const damaged = Buffer.from(packed);
      damaged[packed.length >> 1] = (damaged[packed.length >> 1] as number) ^ 0xff;
      for (const bad of [packed.subarray(0, -5), packed.subarray(0, 9), damaged, plain, Buffer.alloc(0)])
        await assert.rejects(unpacked(bad, encoding), code('invalid-encoding'));
      await assert.rejects(unpacked(bad(packed), encoding, 64), code('invalid-encoding'));
    }
    function bad(packed: Buffer): Buffer {
      return packed.subarray(0, packed.length - 1);
    }
  });

  it('cuts what unpacks to too much, before it has all of it', async () => {
    const bomb = Buffer.alloc(64 << 20);
    for (const encoding of ['gzip', 'zstd'] as const) {
      const packed = PACK[encoding](bomb);
      const limits = { ...LIMITS, ratio: 100, freeUnpackedBytes: 1 << 20 };
      let taken = 0;
      await assert.rejects(
        unpack(inPieces(packed, packed.length), encoding, limits, (block) => {
          taken += block.length;
        }),
        code('unpacks-too-large'),
      );
      assert.ok(taken <= Math.max(100 * packed.length, 1 << 20), `${encoding} gave ${taken} bytes`);
      await assert.rejects(
        unpacked(packed, encoding, 4096, { ...LIMITS, unpackedBytes: 1e6 }),
        code('unpacks-too-large'),
      );
    }
    await assert.rejects(
      unpacked(bomb, 'identity', 65_536, { ...LIMITS, unpackedBytes: 1e6 }),
      code('unpacks-too-large'),
    );
  });

  it('ends with what its taker throws', async () => {
    const packed = gzipSync(text(500_000, 7));
    const end = new Error('enough');
    for (const encoding of ['gzip', 'identity'] as const)
      await assert.rejects(
        unpack(inPieces(packed, 1000), encoding, LIMITS, () => {
          throw end;
        }),
        end,
      );
  });
});

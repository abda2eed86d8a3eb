/**
 * Packed bytes in, unpacked ones to `take`, one block at a time in bounded memory; whatever unpacks to too much is cut.
 *
 * Node's zstd stream forgets what follows a frame in the same block, and reports nothing (24.21): `pzstd` and `zstd --rsyncable` make
 * several frames, and of such a file all but the first would be lost in silence. So what an engine has left of a block is given to it
 * again. gzip has members in the place of frames, and files padded with zeros.
 */
import { once } from 'node:events';
import { constants, createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress } from 'node:zlib';
import type { Encoding } from '../trace.ts';

const BLOCK_BYTES = 256 * 1024;
/** 128 MiB: what `zstd` itself takes without `--long`. A larger window would be memory that the sender decides about. */
const ZSTD_WINDOW_LOG = 27;

export class UnpackError extends Error {
  override name = 'UnpackError';
  readonly code: 'invalid-encoding' | 'unpacks-too-large';

  constructor(code: UnpackError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export interface UnpackLimits {
  unpackedBytes: number;
  ratio: number;
  freeUnpackedBytes: number;
}

/**
 * @param take throws to end it; the bytes may be used again when it returns
 * @throws UnpackError, or what `take` or `packed` throw
 */
export async function unpack(
  packed: AsyncIterable<Uint8Array>,
  encoding: Encoding,
  limits: UnpackLimits,
  take: (bytes: Uint8Array) => void,
): Promise<void> {
  let packedBytes = 0;
  let unpackedBytes = 0;
  const counted = (bytes: Uint8Array): void => {
    unpackedBytes += bytes.length;
    if (unpackedBytes > limits.unpackedBytes)
      throw new UnpackError('unpacks-too-large', `Unpacked it has more than ${limits.unpackedBytes} bytes.`);
    if (encoding !== 'identity' && unpackedBytes > Math.max(limits.freeUnpackedBytes, limits.ratio * packedBytes))
      throw new UnpackError(
        'unpacks-too-large',
        `Its first ${packedBytes} bytes unpack to more than ${limits.ratio} times as many, which no recording does.`,
      );
    take(bytes);
  };
  if (encoding === 'identity') {
    for await (const bytes of packed) {
      packedBytes += bytes.length;
      counted(bytes);
    }
    return;
  }
  const engine = new Engine(encoding, counted);
  try {
    for await (const bytes of packed) {
      packedBytes += bytes.length;
      await engine.write(bytes);
    }
    await engine.end();
  } finally {
    engine.close();
  }
}

class Engine {
  private readonly encoding: Encoding;
  private readonly stream: Gunzip | ZstdDecompress;
  private failure: Error | null = null;
  /** An error may come between two writes, to whom nobody listens then. */
  private readonly failed: Promise<never>;

  constructor(encoding: 'gzip' | 'zstd', take: (bytes: Uint8Array) => void) {
    this.encoding = encoding;
    this.stream =
      encoding === 'gzip'
        ? createGunzip({ chunkSize: BLOCK_BYTES })
        : createZstdDecompress({
            chunkSize: BLOCK_BYTES,
            params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG },
          });
    this.stream.on('data', (bytes: Buffer) => {
      if (this.failure !== null) return;
      try {
        take(bytes);
      } catch (error) {
        this.failure = error as Error;
        this.stream.destroy(this.failure);
      }
    });
    this.failed = new Promise((_resolve, reject) => {
      this.stream.on('error', (error) => {
        this.failure ??= new UnpackError('invalid-encoding', `It is not ${encoding}, as was said: ${error.message}.`);
        reject(this.failure);
      });
    });
    this.failed.catch(() => {});
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      const before = this.stream.bytesWritten;
      await this.writeOnce(rest);
      const used = this.stream.bytesWritten - before;
      if (used === 0 && this.encoding === 'gzip' && rest.every((byte) => byte === 0)) return;
      if (used === 0)
        throw new UnpackError('invalid-encoding', `Behind its end there is more that is not ${this.encoding}.`);
      rest = rest.subarray(used);
    }
  }

  private async writeOnce(bytes: Uint8Array): Promise<void> {
    if (this.failure !== null) throw this.failure;
    await Promise.race([
      new Promise<void>((resolve) => {
        // An error has come by `failed`.
        this.stream.write(bytes, () => resolve());
      }),
      this.failed,
    ]);
    if (this.failure !== null) throw this.failure;
  }

  async end(): Promise<void> {
    if (this.failure !== null) throw this.failure;
    this.stream.end();
    await Promise.race([once(this.stream, 'end'), this.failed]);
    if (this.failure !== null) throw this.failure;
  }

  close(): void {
    this.stream.destroy();
  }
}

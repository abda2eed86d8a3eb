/**
 * Packed bytes in, unpacked ones to `take`, one block at a time in bounded memory; whatever unpacks to too much is cut.
 *
 * Node's zstd stream forgets what follows a frame in the same block, and reports nothing (24.21): `pzstd` and `zstd --rsyncable` make
 * several frames, and of such a file all but the first would be lost in silence. So what an engine has left of a block is given to a new
 * one. gzip has members in the place of frames, which Node does go on with, and files that are padded with zeros.
 */
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
  private readonly encoding: 'gzip' | 'zstd';
  private readonly take: (bytes: Uint8Array) => void;
  private stream!: Gunzip | ZstdDecompress;
  private ended!: Promise<unknown>;
  private failure: Error | null = null;
  /** An error may come between two writes, when nobody listens. */
  private readonly failed: Promise<never>;
  private reject: (error: Error) => void = () => {};
  /** The file is at its end; only zeros may follow. */
  private padded = false;

  constructor(encoding: 'gzip' | 'zstd', take: (bytes: Uint8Array) => void) {
    this.encoding = encoding;
    this.take = take;
    this.failed = new Promise((_resolve, reject) => {
      this.reject = reject;
    });
    this.failed.catch(() => {});
    this.begin();
  }

  private begin(): void {
    const stream =
      this.encoding === 'gzip'
        ? createGunzip({ chunkSize: BLOCK_BYTES })
        : createZstdDecompress({
            chunkSize: BLOCK_BYTES,
            params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG },
          });
    stream.on('data', (bytes: Buffer) => {
      if (this.failure !== null) return;
      try {
        this.take(bytes);
      } catch (error) {
        this.fail(error as Error);
        stream.destroy();
      }
    });
    stream.on('error', (error) => {
      this.fail(new UnpackError('invalid-encoding', `It is not ${this.encoding}, as was said: ${error.message}.`));
    });
    this.ended = new Promise((resolve) => stream.once('end', resolve));
    this.stream = stream;
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.reject(this.failure);
  }

  async write(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0 && !this.padded) {
      const { stream, ended } = this;
      const before = stream.bytesWritten;
      // Node calls back when it has had all of it, and ends when it wants no more.
      await this.unlessFailed(Promise.race([new Promise<void>((done) => stream.write(rest, () => done())), ended]));
      rest = rest.subarray(stream.bytesWritten - before);
      if (rest.length === 0) return;
      await this.unlessFailed(ended);
      if (this.encoding === 'gzip') this.padded = true;
      else this.begin();
    }
    if (rest.some((byte) => byte !== 0))
      throw new UnpackError('invalid-encoding', 'Behind the end of the gzip file there is something else.');
  }

  private async unlessFailed(work: Promise<unknown>): Promise<void> {
    if (this.failure === null) await Promise.race([work, this.failed]);
    if (this.failure !== null) throw this.failure;
  }

  async end(): Promise<void> {
    if (this.padded) return;
    this.stream.end();
    await this.unlessFailed(this.ended);
  }

  close(): void {
    this.stream.destroy();
  }
}

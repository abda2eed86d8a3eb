/**
 * Bodies in gzip (`Content-Encoding: gzip`), unpacked as they are read and counted while they are: a body that unpacks to a thousand
 * times its size is cut at the limit, with no more of it in memory than two blocks.
 *
 *     socket ── pipe ──> gunzip ── pipe ──> UnpackedBody ──> parser, or the lines of `ops`
 *        ^ the rest of a body that was cut is read and thrown away, packed, so that the client can finish and read the reply
 *
 * Own code, and not the other half of @fastify/compress: when that body is over the limit it goes on to unpack what nobody reads, and
 * it would destroy the connection before the lines of `ops` that were applied are answered.
 */
import { Transform, type TransformCallback } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { FastifyReply, FastifyRequest, RequestPayload } from 'fastify';
import { LIMITS } from '../src/api/limits.ts';
import { ProblemError } from '../src/api/problem.ts';

const BLOCK = 65_536;

export class UnpackedBody extends Transform {
  /** Bytes that came over the wire, for Fastify, which compares them with `Content-Length`. */
  receivedEncodedLength = 0;
  /** Why it ended early, or null. */
  failure: ProblemError | null = null;
  private readonly limitBytes: number;
  private readonly letGo: () => void;
  private bytes = 0;

  constructor(packed: RequestPayload, limitBytes: number) {
    super({ readableHighWaterMark: BLOCK, writableHighWaterMark: BLOCK });
    this.limitBytes = limitBytes;
    // Who reads hears of it; of a request that is refused before that, nobody does, and it must not end the process.
    this.on('error', () => {});
    const gunzip = createGunzip({ chunkSize: BLOCK });
    const count = (bytes: Buffer): void => {
      this.receivedEncodedLength += bytes.length;
    };
    const fail = (error: Error): void => {
      this.destroy(error);
    };
    const unreadable = (error: Error): void => fail(notGzip(error.message));
    // Of a client that went away: `error` comes only to who has not read the end.
    const broken = (): void => {
      if (!packed.readableEnded) fail(new Error('the request body broke off'));
    };
    packed.on('data', count).on('error', fail).on('close', broken);
    gunzip.on('error', unreadable);
    packed.pipe(gunzip).pipe(this);
    this.letGo = () => {
      packed.off('data', count).off('error', fail).off('close', broken);
      packed.unpipe(gunzip);
      // What still comes is no concern of anybody's, errors included.
      packed.on('error', () => {});
      packed.resume();
      gunzip.off('error', unreadable).on('error', () => {});
      gunzip.destroy();
    };
  }

  override _transform(bytes: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.bytes += bytes.length;
    if (this.bytes > this.limitBytes) done(tooLarge(this.limitBytes));
    else done(null, bytes);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (error instanceof ProblemError) this.failure = error;
    this.letGo();
    done(error);
  }
}

function tooLarge(limitBytes: number): ProblemError {
  return new ProblemError({
    code: 'body-too-large',
    detail: `The body has more than ${limitBytes} bytes when unpacked.`,
  });
}

function notGzip(message: string): ProblemError {
  return new ProblemError({
    code: 'bad-request',
    detail: `The body is not gzip, as its Content-Encoding says: ${message}.`,
  });
}

/** For `preParsing`. @param limitBytes of a body when unpacked; that of its route unless given */
export function unpackBodies(limitBytes?: number) {
  return (
    request: FastifyRequest,
    _reply: FastifyReply,
    payload: RequestPayload,
    done: (error: Error | null, payload?: RequestPayload) => void,
  ): void => {
    const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? '';
    if (encoding === '' || encoding === 'identity' || !hasBody(request)) {
      done(null, payload);
      return;
    }
    if (encoding === 'gzip' || encoding === 'x-gzip') {
      done(null, new UnpackedBody(payload, limitBytes ?? request.routeOptions.bodyLimit ?? LIMITS.bodyBytes));
      return;
    }
    const detail = `The server takes bodies as they are and in gzip, not in ${JSON.stringify(encoding.slice(0, 60))}.`;
    // RFC 9110 section 12.5.3: in a reply it says what the client may use.
    done(new ProblemError({ code: 'unsupported-media-type', detail }, { 'accept-encoding': 'gzip' }));
  };
}

function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

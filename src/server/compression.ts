/**
 * Replies in gzip for those who accept it.
 *
 * Not `ops`: its lines are answered while others are still sent, and a compressor would keep them until it has enough, or compress
 * each for itself to a tenth of the gain and a multiple of the time. Nor the stream: see `websocketOptions`.
 */
import compress from '@fastify/compress';
import type { FastifyInstance } from 'fastify';

/** A shorter body fits one packet either way. */
const THRESHOLD_BYTES = 1_024;
/** A third of the time of zlib's own choice, 6, and 5 % more bytes, for the JSON of this server. */
const LEVEL = 3;
const TYPES = /^(?:text\/|application\/(?:[a-z0-9.-]+\+)?(?:json|yaml|javascript|openmetrics-text)(?:;|$))/i;

/** To be awaited before routes are registered. */
export async function compressReplies(app: FastifyInstance): Promise<void> {
  app.addHook('onRoute', (route) => {
    if (route.url.endsWith('/ops')) route.compress = false;
  });
  await app.register(compress, {
    globalCompression: true,
    // Of requests: see `packed-bodies.ts`.
    globalDecompression: false,
    encodings: ['gzip'],
    threshold: THRESHOLD_BYTES,
    zlibOptions: { level: LEVEL },
    customTypes: TYPES,
  });
}

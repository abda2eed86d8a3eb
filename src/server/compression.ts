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
/** Compressed where it stands, some 0.1 ms of the main thread; what is larger, in a thread of libuv's. */
const SYNC_BYTES = 16_384;
/** 2.3 to 3.7 times as fast as zlib's own choice, 6, and an eighth more bytes: 200 kB of a list of mappings, and the contract (Node 24). */
const LEVEL = 3;
const TYPES = /^(?:text\/|application\/(?:[a-z0-9.-]+\+)?(?:json|yaml|javascript|openmetrics-text)(?:;|$))/i;

/** To be awaited before routes are registered. */
export async function compressReplies(app: FastifyInstance): Promise<void> {
  app.addHook('onRoute', (route) => {
    // Their replies begin long before they end.
    if (route.url.endsWith('/ops') || (route.url === '/v1/traces' && route.method === 'POST')) route.compress = false;
  });
  await app.register(compress, {
    globalCompression: true,
    // Of requests: see `packed-bodies.ts`.
    globalDecompression: false,
    encodings: ['gzip'],
    threshold: THRESHOLD_BYTES,
    syncThreshold: SYNC_BYTES,
    zlibOptions: { level: LEVEL },
    customTypes: TYPES,
  });
}

/** What connections may cost: how many there are, how many header fields they send, how long one does not read what waits for it. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { ProblemError } from '../api/problem.ts';
import type { Crowding } from './crowding.ts';
import { HEADER_FIELDS } from './limits.ts';

/** When there are too many connections, those that wait for a next request are closed, this often at most. */
const MAKE_ROOM_MS = 1_000;

export interface ConnectionLimits {
  connections: number;
  /** Of one address; absent: as many as there may be. */
  crowding?: Crowding;
  /** Without a byte taken by a client for whom bytes wait. */
  stallMs: number;
}

export interface ConnectionFigures {
  open: number;
  /** Not taken, because there were as many as there may be, or as many of the same address. */
  refused: number;
  /** Ended, because the client did not read. */
  stalled: number;
}

/** @returns what has happened so far, to be read at any time */
export function limitConnections(app: FastifyInstance, limits: ConnectionLimits): ConnectionFigures {
  const { server } = app;
  const figures: ConnectionFigures = { open: 0, refused: 0, stalled: 0 };
  server.maxConnections = limits.connections;
  // Node would drop the rest in silence; they are counted below.
  server.maxHeadersCount = 0;
  server.on('connection', (socket: Socket) => {
    const left = limits.crowding?.enter(socket.remoteAddress ?? '');
    if (left === null) {
      figures.refused++;
      socket.destroy();
      return;
    }
    figures.open++;
    socket.once('close', () => {
      figures.open--;
      left?.();
    });
  });
  let madeRoomMs = Number.NEGATIVE_INFINITY;
  server.on('drop', () => {
    figures.refused++;
    const now = performance.now();
    if (now - madeRoomMs < MAKE_ROOM_MS) return;
    madeRoomMs = now;
    server.closeIdleConnections();
  });

  // Nothing has moved on the socket for `stallMs`, which Fastify was given as `connectionTimeout`.
  function whenStill(this: ServerResponse, socket: Socket): void {
    if (socket.writableLength === 0) {
      // It is the server that has nothing to say yet.
      socket.setTimeout(limits.stallMs);
      return;
    }
    figures.stalled++;
    socket.destroy();
  }
  app.addHook('onRequest', (request, reply, done) => {
    reply.raw.on('timeout', whenStill);
    const fields = request.raw.rawHeaders.length / 2;
    if (fields <= HEADER_FIELDS) return done();
    const detail = `The request has ${fields} header fields; at most ${HEADER_FIELDS} are possible.`;
    done(new ProblemError({ code: 'header-too-large', detail }));
  });
  return figures;
}

/** The settings of @fastify/websocket, and the part of the opening handshake (RFC 6455 section 4.2) that is refused with reasons. */

import type { WebSocket } from '@fastify/websocket';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ProblemError } from '../api/problem.ts';
import type { StreamHub } from './hub.ts';

export const SUBPROTOCOL = 'iommu-lab.v1';
/** Messages are CBOR. */
export const BINARY_SUBPROTOCOL = 'iommu-lab.v1.cbor';
const SUBPROTOCOLS: readonly string[] = [SUBPROTOCOL, BINARY_SUBPROTOCOL];
/** Beside it, in base64url and without padding: the token of a client that can set no header, as browsers cannot. */
export const BEARER_SUBPROTOCOL = 'bearer.';

/** 16 bytes in base64. */
const KEY_FORM = /^[+/0-9A-Za-z]{22}==$/;
/** A comma-separated list of tokens (RFC 9110 section 5.6.2). */
const TOKEN_FORM = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** For `app.register(fastifyWebsocket, websocketOptions(hub))`. */
export function websocketOptions(hub: StreamHub) {
  return {
    options: {
      maxPayload: hub.limits.messageBytes,
      // Compression costs a quarter of a megabyte a client (zlib's windows) and most of the speed.
      perMessageDeflate: false,
      // Pings of clients are counted as messages and answered only when there is room.
      autoPong: false,
      closeTimeout: hub.limits.closeMs,
      clientTracking: false,
      // `checkHandshake` has seen to it that there is one.
      handleProtocols: (offered: Set<string>) => [...offered].find((token) => SUBPROTOCOLS.includes(token)) ?? false,
    },
    preClose(this: FastifyInstance, done: () => void): void {
      void hub.close().then(() => {
        this.websocketServer.close();
        done();
      });
    },
    /** The library has sent the close code that fits (1002, 1007, 1009) when it comes here; a dead connection needs none. */
    errorHandler(error: Error, socket: WebSocket, request: FastifyRequest): void {
      request.log.info({ err: error }, 'a stream ended with an error');
      if (socket.readyState === socket.OPEN) socket.close(1011);
    },
  };
}

/** Checks what the library would refuse without a problem document, or accept without asking. */
export function checkHandshake(request: FastifyRequest): void {
  const { headers } = request;
  const version = headers['sec-websocket-version'];
  if (version !== '13') {
    const detail = `The server speaks version 13 of WebSocket (RFC 6455), not ${JSON.stringify(version ?? '')}.`;
    throw new ProblemError(
      { code: 'upgrade-required', detail },
      { upgrade: 'websocket', 'sec-websocket-version': '13' },
    );
  }
  if (!KEY_FORM.test(headers['sec-websocket-key'] ?? '')) {
    const detail = 'Sec-WebSocket-Key must be 16 bytes in base64.';
    throw new ProblemError({ code: 'invalid-header', detail });
  }
  checkSubprotocols(headers['sec-websocket-protocol']);
}

function checkSubprotocols(header: string | undefined): void {
  if (header === undefined) return;
  const offered = header.split(',').map((token) => token.trim());
  if (!offered.every((token) => TOKEN_FORM.test(token)) || new Set(offered).size < offered.length) {
    const detail = 'Sec-WebSocket-Protocol must be a list of different tokens.';
    throw new ProblemError({ code: 'invalid-header', detail });
  }
  if (offered.some((token) => SUBPROTOCOLS.includes(token))) return;
  const others = offered.filter((token) => !token.startsWith(BEARER_SUBPROTOCOL));
  const detail =
    others.length === 0
      ? `A token in the subprotocols stands beside ${SUBPROTOCOLS.join(' or ')}, which is the one that is answered.`
      : `The server speaks the subprotocols ${SUBPROTOCOLS.join(' and ')}, not ${others.join(', ')}.`;
  throw new ProblemError({ code: 'unsupported-subprotocol', detail });
}

/** What a request and its connection may cost before anybody looks at what it asks. `docs/operations.md` has them in a table. */

/** All of a request's header fields, and its request line. What is larger is refused by Node's parser: see `client-errors.ts`. */
export const HEADER_BYTES = 16_384;
export const HEADER_FIELDS = 100;

export interface ServerLimits {
  /** From the first byte of a request, or of a connection, to the end of the headers; and of a TLS handshake. */
  headersMs: number;
  /** Of everything but `ops`. */
  bodyMs: number;
  /** A client that does not read what waits for it. */
  stallMs: number;
  /** A connection between two requests; longer than the usual minute of proxies, so that they are the ones who close it. */
  keepAliveMs: number;
}

export const SERVER_LIMITS: Readonly<ServerLimits> = {
  headersMs: 10_000,
  bodyMs: 30_000,
  stallMs: 60_000,
  keepAliveMs: 65_000,
};

/** What the server is given of `telemetry.ts`, which is loaded only where traces are wanted. */
import type { FastifyInstance } from 'fastify';
import type { RequestTracing } from '../access/origins.ts';
import type { Tracing } from '../host/tracing.ts';

/** Of spans that have ended, since the start. */
export interface SpanFigures {
  exported: number;
  /** The queue was full, or the collector had not taken them when the server ended. */
  dropped: number;
  queued: number;
  /** Exports that the collector did not take. */
  failures: number;
}

export interface Telemetry extends RequestTracing {
  readonly tracing: Tracing;
  /** Before anything else is registered. */
  register(app: FastifyInstance): Promise<void>;
  figures(): SpanFigures;
  /** Sends what waits, within its limit. */
  close(): Promise<void>;
}

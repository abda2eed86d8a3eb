/** What stands before the streams where not everybody may open all: see `src/access/stream-door.ts`. */
import type { FastifyRequest } from 'fastify';
import type { CloseCause } from './close-codes.ts';

/** Who may open which stream; without one everybody may open all. */
export interface StreamDoor {
  /** The id of the session that a request may open the stream of. @throws ProblemError */
  admit(request: FastifyRequest, session: string): string;
  /** Looked at last, when all else is right. @throws ProblemError */
  count(request: FastifyRequest): void;
  /** @returns to be called when the stream has ended */
  opened(request: FastifyRequest, session: string, close: (cause: CloseCause) => void): () => void;
}

/** Who may open which stream, and the end of those that have lost the right to it. */
import { ProblemError } from '../api/problem.ts';
import { CLOSE } from '../stream/close-codes.ts';
import type { StreamDoor } from '../stream/door.ts';
import type { AccessControl } from './control.ts';
import { whoOf } from './guard.ts';

export function streamDoor(access: AccessControl): StreamDoor {
  return {
    admit(request, session) {
      const { id, problem } = access.reach(whoOf(request), session, 'read');
      if (problem !== null) throw new ProblemError(problem);
      return id;
    },
    count(request) {
      access.admitStream(whoOf(request));
    },
    opened(request, session, close) {
      const end = (cause: 'credential-ended' | 'share-ended'): void =>
        close(cause === 'credential-ended' ? CLOSE.credentialEnded : CLOSE.shareEnded);
      return access.leases.take({ kind: 'stream', who: whoOf(request), session, end });
    },
  };
}

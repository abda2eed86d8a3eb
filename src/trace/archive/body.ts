/** The bytes of a request, one block after another, with an end to every wait. */
import type { Readable } from 'node:stream';

export type BodyEnd =
  /** All of it is there. */
  | 'whole'
  /** The connection broke. */
  | 'broken'
  /** Nothing came for too long. */
  | 'idle'
  /** `signal` said so. */
  | 'stopped';

/**
 * Hands all blocks to `take`, which holds the sender back until its promise resolves.
 *
 * @returns how it ended; the body may not be at its end then, and is left to the caller
 * @throws what `take` throws
 */
export async function takeBody(
  body: Readable,
  { idleMs, signal }: { idleMs: number; signal: AbortSignal },
  take: (bytes: Uint8Array) => Promise<void>,
): Promise<BodyEnd> {
  let end: BodyEnd | null = null;
  let wake = (): void => {};
  const finish = (how: BodyEnd) => (): void => {
    end ??= how;
    wake();
  };
  // While bytes are taken nobody waits for the sender.
  let taking = false;
  const timer = setTimeout(() => {
    if (!taking) finish('idle')();
  }, idleMs);
  const onReadable = (): void => wake();
  const onEnd = finish('whole');
  const onBroken = finish('broken');
  const onStop = finish('stopped');
  if (signal.aborted) onStop();
  if (body.readableEnded) onEnd();
  else if (body.destroyed) onBroken();
  body.on('readable', onReadable).on('end', onEnd).on('error', onBroken).on('close', onBroken);
  signal.addEventListener('abort', onStop);
  try {
    while (end === null) {
      const bytes = body.read() as Buffer | null;
      if (bytes === null) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      taking = true;
      await take(bytes);
      taking = false;
      timer.refresh();
    }
    return end;
  } finally {
    clearTimeout(timer);
    body.off('readable', onReadable).off('end', onEnd).off('error', onBroken).off('close', onBroken);
    // What still goes wrong with it is no concern of anybody's here, and must not end the process.
    body.on('error', () => {});
    signal.removeEventListener('abort', onStop);
  }
}

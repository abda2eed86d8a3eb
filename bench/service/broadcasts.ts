/** What both servers of the stream bench send, and how they are told to. */

export interface Emit {
  frames: number;
}

export interface Emitted {
  /** Of the sending process, user and system, while it sent. */
  cpuSeconds: number;
}

export const EPOCH = 'epoch0000000000a';
export const SESSION = 'ses_bench';
/** About a batch of ten events, and half of a metrics frame. */
const DATA_BYTES = 2000;
export const DATA = JSON.stringify({ items: [{ timeNs: 1, type: 'bench', pad: 'x'.repeat(DATA_BYTES) }], dropped: 0 });
/** While so much waits in the first socket, no further frame is sent: the client is behind, and what it takes is not the question. */
const BEHIND_BYTES = 64 * 1024;

/** One frame a turn of the event loop, as a session's frames come in turns of their own. */
export function answerEmits(frame: () => void, waitingBytes: () => number): void {
  process.on('message', async ({ frames }: Emit) => {
    const before = process.cpuUsage();
    for (let sent = 0; sent < frames; sent++) {
      frame();
      do await new Promise(setImmediate);
      while (waitingBytes() > BEHIND_BYTES);
    }
    const { user, system } = process.cpuUsage(before);
    const emitted: Emitted = { cpuSeconds: (user + system) / 1e6 };
    process.send!(emitted);
  });
  process.on('disconnect', () => process.exit());
}

/** What the two servers of the proof are asked, and answer. */

/** Milliseconds of the monotonic clock that all processes of a machine share. */
export function sharedClockMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export interface Recorded {
  sequence: number;
  metrics: boolean;
  /** When it was put into the history, or, by the bare server, made. */
  atMs: number;
}

export interface Measured {
  recorded: Recorded[];
  /** Of a core meanwhile, user and system: the thread that sends, and all threads together. */
  sendingSeconds: number;
  processSeconds: number;
}

/** @returns to be asked later: what has been taken of a core since */
export function coreTime(): () => Pick<Measured, 'sendingSeconds' | 'processSeconds'> {
  const thread = process.threadCpuUsage();
  const all = process.cpuUsage();
  const seconds = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1e6;
  return () => ({
    sendingSeconds: seconds(process.threadCpuUsage(thread)),
    processSeconds: seconds(process.cpuUsage(all)),
  });
}

export interface Weighed {
  /** After a collection of garbage. What is resident may hide growth into room that was there; what JavaScript uses does not. */
  residentBytes: number;
  usedBytes: number;
  /** Sockets in which so much waits that the client is behind. */
  behind: number;
  /** In the fullest of them. */
  mostWaitingBytes: number;
}

export interface ServerGreeting {
  port: number;
  session: string;
}

/** `drive`: the session changes for so long, and with it go its frames. */
export type ServerQuestion = { ask: 'drive'; seconds: number } | { ask: 'weigh'; behindBytes: number };

/** The same frames at the same pace. */
export interface BareQuestion {
  frames: string[];
  everyMs: number;
}

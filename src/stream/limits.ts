/** The bounds of the stream, in one place. Each is what one client, one session or the server may cost at most. */

export interface StreamLimits {
  /**
   * Frames of a session kept for those who come back, whichever of the first three bounds is met first. A run with all workloads of
   * `thread-2008` fills 1.5 MB a second, so that even then it is the two minutes that count.
   */
  historyFrames: number;
  historyMs: number;
  historyBytes: number;
  /** Of all sessions together; beyond it the fullest history gives up its oldest frames. */
  totalHistoryBytes: number;
  /** A larger frame is not sent; a `gap` stands in its place. */
  frameBytes: number;
  sockets: number;
  socketsPerSession: number;
  /**
   * What may wait in one socket for the client to read, in bytes and in messages. One frame may go over it, and a message shorter
   * than 4 KiB may keep the 8 KiB of Node's buffer pool alive that it stands in: a client that reads nothing costs less than 1 MiB.
   */
  bufferedBytes: number;
  bufferedMessages: number;
  /** A client that does not take what waits for it within this time is cut. */
  stallMs: number;
  /** Between two pings of the server; cut when two have had no answer. */
  heartbeatMs: number;
  /** Largest message of a client. */
  messageBytes: number;
  /** Messages and pings of a client: a bucket of `messageBurst`, refilled at this rate. */
  messagesPerSecond: number;
  messageBurst: number;
  /** Messages that were none, within a minute. */
  badMessagesPerMinute: number;
  /** How long a close handshake may take before the connection is dropped. */
  closeMs: number;
}

export const STREAM_LIMITS: Readonly<StreamLimits> = {
  historyFrames: 10_000,
  historyMs: 120_000,
  historyBytes: 192 * 1024 * 1024,
  totalHistoryBytes: 256 * 1024 * 1024,
  frameBytes: 512 * 1024,
  sockets: 10_000,
  socketsPerSession: 4_096,
  bufferedBytes: 128 * 1024,
  bufferedMessages: 32,
  stallMs: 30_000,
  heartbeatMs: 20_000,
  messageBytes: 65_536,
  messagesPerSecond: 20,
  messageBurst: 100,
  badMessagesPerMinute: 10,
  closeMs: 2_000,
};

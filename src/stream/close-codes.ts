/**
 * Why the server ends a connection. 4000 to 4499: come back, and resume. 4500 to 4999: coming back as you are will not help.
 * RFC 6455 section 7.4.2 leaves 4000 to 4999 to applications.
 */
export const CLOSE = {
  goingAway: { code: 1001, reason: 'the server is shutting down' },
  /** Sent by the WebSocket library itself. */
  messageTooBig: { code: 1009, reason: '' },
  internal: { code: 1011, reason: 'the server failed' },
  slowReader: { code: 4000, reason: 'the client does not read what is sent to it' },
  heartbeat: { code: 4001, reason: 'two pings went unanswered' },
  tooManyMessages: { code: 4002, reason: 'too many messages' },
  sessionDeleted: { code: 4500, reason: 'the session was deleted' },
  badMessages: { code: 4501, reason: 'too many messages that are none of the stream' },
  sessionFailed: { code: 4502, reason: 'the session failed' },
  credentialEnded: { code: 4503, reason: 'the token was revoked or has expired' },
  shareEnded: { code: 4504, reason: 'the session is no longer shared with you' },
} as const;

export type CloseCause = (typeof CLOSE)[keyof typeof CLOSE];

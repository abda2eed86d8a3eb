/** The limits that clients meet, in one place: `GET /v1` lists them, and a test compares them with the contract. */
export const LIMITS = {
  /** Largest JSON body; `ops` has no such limit. */
  bodyBytes: 1_048_576,
  /** Of a session that is created: a snapshot may be in it. */
  sessionBodyBytes: 16_777_216,
  opsLineBytes: 65_536,
  /** Of an `ops` body that comes in gzip, unpacked; one that comes as it is has no such limit, as its sender pays for each byte. */
  opsUnpackedBytes: 268_435_456,
  opsArrayOperations: 10_000,
  /** Replies of one `ops` request kept for a client that does not read yet. */
  opsBufferedReplyBytes: 67_108_864,
  /** 2^20 pages of 4 KiB. */
  operationBytes: 4_294_967_296,
  accessBytes: 16_777_216,
  segments: 4_096,
  pageItems: 1_000,
  simulatedTimeNs: Number.MAX_SAFE_INTEGER,
} as const;

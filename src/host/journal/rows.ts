/** What the journal is told and tells: rows, changes, stretches of entries. */
import type { SnapshotDocument } from '../host.ts';
import type { KeyMark } from '../retry.ts';

/** When a commit counts as done: once the disk has it, or once the operating system has. */
export type Sync = 'commit' | 'never';

/** A session's row, as the main thread gives it. */
export interface SessionRow {
  /** Rises with each creation. */
  number: number;
  id: string;
  /** Names the principal it belongs to. */
  owner: string;
  name?: string;
  title?: string;
  /** ISO 8601. */
  createdAt: string;
  /** ISO 8601. */
  expiresAt?: string;
  coreVersion: string;
  /** As resolved. */
  spec: Record<string, unknown>;
  /** The `Idempotency-Key` under which it was created. */
  made?: KeyMark;
}

export interface StoredSession extends SessionRow {
  /** As it was when it was last put to rest, and whether nothing was done to it since; null before. */
  rest: { status: Record<string, unknown>; current: boolean } | null;
  /** What is kept of it: spec, entries, images, snapshots. */
  bytes: number;
  /** Why it cannot be used, or null. */
  damage: string | null;
}

export type Change =
  | { do: 'add'; session: SessionRow }
  /** Name or title changed. */
  | { do: 'change'; session: SessionRow }
  | { do: 'remove'; number: number }
  /** Lines of records; `reset` when they begin with one. */
  | { do: 'append'; number: number; body: Uint8Array; reset: boolean }
  | { do: 'rest'; number: number; status: Record<string, unknown> }
  /** How it is after all that was appended: it need not be done again. */
  | { do: 'image'; number: number; body: Uint8Array }
  /** The same, to be kept under a name; `body` is as that of an image. */
  | { do: 'snapshot'; number: number; snapshot: SnapshotRow; body: Uint8Array }
  /** A session that begins as a snapshot has it. Nothing when that is gone. */
  | { do: 'fork'; session: SessionRow; of: string }
  | { do: 'forget-snapshot'; id: string }
  /** Writes so much in the place of what the last one wrote, to see whether that is possible. */
  | { do: 'probe'; bytes: number };

export interface StoredImage {
  /** Entries up to this one are in it. */
  seq: number;
  body: Uint8Array;
}

export interface SnapshotRow extends SnapshotDocument {
  /** The `Idempotency-Key` under which it was taken. */
  made?: KeyMark & { at: number };
}

/** With its place in the order in which all were taken, from 1. */
export interface PlacedSnapshot {
  place: number;
  snapshot: SnapshotRow;
}

/** Entries of a session since its last reset, in order. */
export interface Stretch {
  bodies: Uint8Array[];
  /** The first entry that counts: of the session's beginning, or its last reset. */
  base: number;
  /** They are those of the session that this one was forked of. */
  inherited: boolean;
  /** Where the next one goes on; null at the end. */
  after: number | null;
}

/** The words between the journal's thread and those who write: the main thread and each session worker, over a port each. */
import type { MessagePort } from 'node:worker_threads';
import type { Change, PlacedSnapshot, SnapshotRow, StoredImage, StoredSession, Stretch, Sync } from './rows.ts';

/** What the thread is started with. */
export interface JournalSettings {
  /** The file. */
  path: string;
  sync: Sync;
}

export type ToJournal =
  /** To be made durable as one; tickets rise. */
  { kind: 'write'; ticket: number; changes: Change[] } | { kind: 'read'; call: number; ask: Ask };

/** What can be read; each is a method of the database. */
export type Ask =
  | { of: 'stretch'; number: number; after: number }
  | { of: 'image'; number: number }
  | { of: 'snapshots'; number: number }
  | { of: 'snapshot'; id: string }
  | { of: 'snapshot-stretch'; id: string; after: number }
  | { of: 'snapshot-body'; id: string };

export interface Answers {
  stretch: Stretch;
  image: StoredImage | null;
  snapshots: PlacedSnapshot[];
  snapshot: SnapshotRow | null;
  'snapshot-stretch': Stretch;
  'snapshot-body': Uint8Array;
}

/** Numbers of sessions of which more or less is kept now, and how many bytes. */
export type Sizes = [number, number][];

export type FromJournal =
  /** It is durable; or, with a reason, it is not. */
  | { kind: 'written'; ticket: number; failure: string | null; sizes: Sizes }
  | { kind: 'answer'; call: number; answer: Answers[keyof Answers] }
  | { kind: 'unreadable'; call: number; reason: string };

/** To the thread itself, from the main thread. `writer`: a worker's, of whose writes the main thread is told, and not the worker. */
export type ToThread = { kind: 'port'; port: MessagePort; writer: number | null } | { kind: 'close' };

/** From the thread itself. */
export type FromThread =
  | { kind: 'open'; sessions: StoredSession[]; warnings: string[] }
  | { kind: 'refused'; reason: string }
  /** Of a writer, in the order of its tickets. After one failure there are only failures. */
  | { kind: 'settled'; writer: number; ticket: number; failure: string | null; sizes: Sizes }
  | { kind: 'closed' };

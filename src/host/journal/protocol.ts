/** The words between the journal's thread and those who write: the main thread and each session worker, over a port each. */
import type { MessagePort } from 'node:worker_threads';
import type { Change, ImageKind, SnapshotRow, StoredImage, StoredSession, Stretch, Sync } from './database.ts';

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
  | { of: 'image'; number: number; kind?: ImageKind }
  | { of: 'snapshots'; number: number }
  | { of: 'snapshot-body'; id: string };

export interface Answers {
  stretch: Stretch;
  image: StoredImage | null;
  snapshots: SnapshotRow[];
  'snapshot-body': Uint8Array;
}

/** Numbers of sessions of which more or less is kept now, and how many bytes. */
export type Sizes = [number, number][];

export type FromJournal =
  /** All tickets up to this one are durable; or, with a reason, this one and what came with it is not. */
  | { kind: 'written'; ticket: number; failure: string | null; sizes: Sizes }
  | { kind: 'answer'; call: number; answer: Answers[keyof Answers] }
  | { kind: 'unreadable'; call: number; reason: string };

/** To the thread itself, from the main thread. */
export type ToThread = { kind: 'port'; port: MessagePort } | { kind: 'close' };

/** From the thread itself. */
export type FromThread =
  | { kind: 'open'; sessions: StoredSession[]; warnings: string[] }
  | { kind: 'refused'; reason: string }
  | { kind: 'closed' };

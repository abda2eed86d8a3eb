/**
 * What will be known of a session when it is had again: the records that its journal gets, images that save doing them again, and what was
 * told under which `Idempotency-Key`.
 */
import type { Operation, Outcome } from '../core/operations.ts';
import type { SimulatorApi } from '../core/simulator-api.ts';
import type { AnsweredLines, ToldLine } from './host.ts';
import type { JournalRecord } from './journal/records.ts';
import type { SnapshotRow } from './journal/rows.ts';
import type { SessionJournal } from './journal/session-journal.ts';
import { KeyedReplies, type Told } from './keyed-replies.ts';
import type { SnapshotBegun } from './protocol.ts';
import type { KeyMark } from './retry.ts';
import { type RunRecord, type RunRecords, runId } from './run-records.ts';
import { NO_KEYS, pack, type StoredKeys } from './session-image.ts';

/** What an operation takes when it is done again, about. */
const OPERATION_MS = 0.004;
/** So much is not worth an image when a session is put to rest. */
const WORTH_AN_IMAGE_MS = 4;

/** The session as it is now. */
export interface Present {
  simulator: SimulatorApi;
  runs: RunRecords;
  active: RunRecord | null;
}

export class SessionMemory {
  /** Null: sessions end with the server. */
  private readonly journal: SessionJournal | null;
  /** Under which the journal knows the session. */
  private readonly number: number;
  /** A session whose journal would take about so long to do again gets an image. */
  private readonly replayMs: number;
  readonly keyed: KeyedReplies;
  /** How long it would take, about, to do again what was done since the last image. */
  private toReplayMs = 0;

  constructor(journal: SessionJournal | null, number: number, replayMs: number, keyed = new KeyedReplies()) {
    this.journal = journal;
    this.number = number;
    this.replayMs = replayMs;
    this.keyed = keyed;
  }

  /** What is posted after this is held until it is there. @param ms what it takes to do it again */
  note(record: JournalRecord, ms = 0): void {
    this.journal?.append(this.number, record);
    this.toReplayMs = 'reset' in record ? 0 : this.toReplayMs + ms;
  }

  noteOperation(operation: Operation, outcome: Outcome): void {
    if (outcome.status !== 'refused') this.note(operation, OPERATION_MS);
  }

  /** The record before it was asked for under this key. */
  noteKey(retry: KeyMark, told: Told): void {
    const at = Date.now();
    this.keyed.add(retry, at, told);
    this.note({ ...retry, at });
  }

  noteLine(key: string, told: ToldLine, carriedOut: boolean): void {
    const { line, print, reply } = told;
    this.keyed.addLine(key, told);
    this.note(carriedOut ? { line, of: key, print } : { line, of: key, print, reply });
  }

  answered(key: string): AnsweredLines {
    return this.keyed.answered(key);
  }

  /** Whether there is so much to do again that an image is due. */
  get imageIsDue(): boolean {
    return this.toReplayMs >= this.replayMs;
  }

  /** Whether an image is worth it before the session rests. */
  get worthAnImage(): boolean {
    return this.toReplayMs >= Math.min(WORTH_AN_IMAGE_MS, this.replayMs);
  }

  /** So that what came before need not be done again; none where it would be too much, or an operation is suspended. */
  takeImage(now: Present): void {
    this.toReplayMs = 0;
    const keys = this.journal !== null && now.simulator.savable ? this.keyed.stored() : null;
    if (keys !== null) this.journal!.image(this.number, imageOf(now, keys));
  }

  /** Throws what `save` throws. */
  takeSnapshot(facts: SnapshotBegun, now: Present): SnapshotRow {
    const { simulator, active } = now;
    const image = imageOf(now, NO_KEYS);
    const snapshot: SnapshotRow = {
      ...facts,
      timeNs: simulator.timeNs,
      timePs: simulator.timePs,
      digest: simulator.digest(),
      operations: simulator.operations,
      activeRun: active === null ? null : runId(active.number),
      lengthBytes: image.length,
    };
    this.journal!.snapshot(this.number, snapshot, image);
    return snapshot;
  }
}

function imageOf({ simulator, runs, active }: Present, keys: StoredKeys): Uint8Array {
  return pack({ runs: runs.stored(), active: active?.number ?? null, keys }, simulator.save());
}

/** What was done in a session since it began or was reset, from its journal: what acts on the simulation, and nothing of who asked for it. */
import type { Operation, RunRequest } from '../core/operations.ts';
import { Gone, readUnlessGone } from './gone.ts';
import type { HostProblem } from './host.ts';
import type { Journal } from './journal/journal.ts';
import { type JournalRecord, parseRecord, type RunEnd } from './journal/records.ts';
import type { Stretch } from './journal/rows.ts';

/** A run's end without what it took of wall time; `mark`: how far a run is known to have come that has not ended. */
export type HistoryRecord = Operation | { run: RunRequest } | { end: RunEnd; events: number } | { mark: number };

export interface SessionHistory {
  /** Resolved. */
  spec: Record<string, unknown>;
  coreVersion: string;
  /** In stretches, as they are read. */
  records: AsyncIterable<HistoryRecord[]>;
}

/** Drops what a journal has beside; keeps the last mark of a run that goes on. */
export class HistoryFilter {
  private mark: { mark: number } | null = null;

  /** @returns what is to be told now, in order */
  take(record: JournalRecord): HistoryRecord[] {
    if ('op' in record) return [record as Operation];
    if ('mark' in record) {
      this.mark = record;
      return [];
    }
    if ('end' in record) {
      this.mark = null;
      return [{ end: record.end, events: record.events }];
    }
    if (!('run' in record)) return [];
    const { onRestart: _onRestart, ...run } = record.run;
    return [{ run }];
  }

  /** There are no more. */
  end(): HistoryRecord[] {
    return this.mark === null ? [] : [this.mark];
  }
}

/**
 * @param gone why there is no such session any more, or null
 * @throws Gone when the session is deleted or reset meanwhile: no part of what comes after a reset is told behind one of before
 */
export async function* historyOf(
  journal: Journal,
  number: number,
  gone: () => HostProblem | null,
): AsyncIterable<HistoryRecord[]> {
  const filter = new HistoryFilter();
  const decoder = new TextDecoder();
  let base: number | null = null;
  for (let after: number | null = 0; after !== null; ) {
    const stretch: Stretch = await readUnlessGone(journal.read({ of: 'stretch', number, after }), gone);
    base ??= stretch.base;
    if (stretch.base !== base)
      throw new Gone({ code: 'session-reset', detail: 'The session was reset while its history was read.' });
    for (const body of stretch.bodies) {
      const lines = decoder.decode(body).split('\n').slice(0, -1);
      const told = lines.flatMap((line) => filter.take(parseRecord(line)));
      if (told.length > 0) yield told;
    }
    after = stretch.after;
  }
  yield filter.end();
}

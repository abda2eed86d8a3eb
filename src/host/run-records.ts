/** The runs of one session: the active one and the last ended ones, under ids that count from 1 since creation or reset. */
import type { RunRequest } from '../core/operations.ts';
import type { HostProblem, RunDocument } from './host.ts';

export interface RunRecord {
  /** 1 for the first run of the session; `run_<number>` is its id. */
  number: number;
  state: RunDocument['state'];
  request: RunRequest;
  /** Simulated time when it ended, whole nanoseconds. */
  timeNs: number;
  progress: number | null;
  /** Null until it ends. */
  result: Record<string, unknown> | null;
  problem: HostProblem | null;
  /** Computing time of its slices, milliseconds of wall time. */
  computedMs: number;
}

export function runId(number: number): string {
  return `run_${number}`;
}

export class RunRecords {
  private readonly kept: number;
  /** By number; a `Map` keeps the order of insertion, which is the order of creation. */
  private readonly records = new Map<number, RunRecord>();
  private lastNumber = 0;

  /** @param kept records kept; the oldest goes first */
  constructor(kept: number) {
    this.kept = kept;
  }

  begin(request: RunRequest, timeNs: number): RunRecord {
    const record: RunRecord = {
      number: ++this.lastNumber,
      state: 'running',
      request,
      timeNs,
      progress: 0,
      result: null,
      problem: null,
      computedMs: 0,
    };
    this.records.set(record.number, record);
    if (this.records.size > this.kept) {
      for (const oldest of this.records.keys()) {
        this.records.delete(oldest);
        break;
      }
    }
    return record;
  }

  find(id: string): RunRecord | undefined {
    const match = /^run_([1-9][0-9]{0,14})$/.exec(id);
    return match === null ? undefined : this.records.get(Number(match[1]));
  }

  remove(record: RunRecord): void {
    this.records.delete(record.number);
  }

  /** Up to `limit` records with numbers above `after`, oldest first. */
  page(after: number, limit: number): RunRecord[] {
    const page: RunRecord[] = [];
    for (const record of this.records.values()) {
      if (record.number <= after) continue;
      page.push(record);
      if (page.length === limit) break;
    }
    return page;
  }
}

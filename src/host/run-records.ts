/** The runs of one session: the active one and the last ended ones, under ids that count from 1 since creation or reset. */
import type { Outcome, RunRequest } from '../core/operations.ts';
import type { SimulatorApi } from '../core/simulator-api.ts';
import { withHdr } from './hdr.ts';
import type { HostProblem, RunDocument } from './host.ts';
import type { RunEnd } from './journal/records.ts';
import type { HostPart } from './session-image.ts';

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

/** The result of the simulator's active or last run, with what only wall time tells. */
export function resultOf(simulator: SimulatorApi, computedMs: number): Record<string, unknown> {
  const wallSeconds = computedMs / 1000;
  const realTimeFactor = wallSeconds > 0 ? simulator.runWireSeconds() / wallSeconds : null;
  return { ...simulator.runResult(), wallSeconds, realTimeFactor };
}

/** Writes down how the simulator's run ended. */
export function endRun(record: RunRecord, end: RunEnd, simulator: SimulatorApi): void {
  const finished = end === 'finished';
  record.state = finished ? 'finished' : 'cancelled';
  record.timeNs = simulator.timeNs;
  record.progress = finished ? 1 : simulator.runProgress();
  record.result = withHdr(resultOf(simulator, record.computedMs));
  if (end !== 'interrupted') return;
  const detail = `The server ended while this run was active. It stands where it last left a mark, after ${simulator.runEvents} events.`;
  record.problem = { code: 'run-interrupted', detail };
}

/** Starts the simulator's run: of the request, what is not the host's own business. */
export function startRun(simulator: SimulatorApi, request: RunRequest): Outcome {
  const { onRestart: _onRestart, ...rule } = request;
  return simulator.startRun(rule);
}

export function runId(number: number): string {
  return `run_${number}`;
}

export class RunRecords {
  private readonly kept: number;
  /** By number; a `Map` keeps the order of insertion, which is the order of creation. */
  private readonly records = new Map<number, RunRecord>();
  private lastNumber = 0;

  /**
   * @param kept records kept; the oldest goes first
   * @param stored what an image kept of them
   */
  constructor(kept: number, stored: HostPart['runs'] | null = null) {
    this.kept = kept;
    if (stored === null) return;
    this.lastNumber = stored.last;
    for (const record of stored.records) this.records.set(record.number, { ...record });
  }

  stored(): HostPart['runs'] {
    return { last: this.lastNumber, records: [...this.records.values()] };
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

  /** Up to `limit` records with numbers above `after`, oldest first. @param state of these; null: of any */
  page(after: number, limit: number, state: RunRecord['state'] | null = null): RunRecord[] {
    const page: RunRecord[] = [];
    for (const record of this.records.values()) {
      if (record.number <= after || (state !== null && record.state !== state)) continue;
      page.push(record);
      if (page.length === limit) break;
    }
    return page;
  }
}

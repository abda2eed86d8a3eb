/**
 * What a session tells its subscribers, gathered in the worker. Notices and metrics leave at most ten times a second, one frame a
 * topic, so that their cost does not grow with the speed of the simulation; what the core's ring could not hold is counted in
 * `dropped`. The history exists whether anybody listens or not, so this runs always.
 */
import type { SimulatorApi } from '../core/simulator-api.ts';
import type { RunDocument, SessionFrame } from './host.ts';

/** Notices in one batch: at 200 bytes each 50 kB, ten times a second. The rest waits in the core's ring. */
const NOTICES_PER_BATCH = 256;

export class FrameRecorder {
  private readonly simulator: SimulatorApi;
  /** Version of the state in the last metrics frame; -1 before the first. */
  private recordedVersion = -1;
  private lastBatchMs = Number.NEGATIVE_INFINITY;
  private runs: RunDocument[] = [];

  constructor(simulator: SimulatorApi) {
    this.simulator = simulator;
  }

  /** A change of a run's state, which does not wait for the rhythm of the rest. */
  runChanged(document: RunDocument): void {
    this.runs.push(document);
    this.lastBatchMs = Number.NEGATIVE_INFINITY;
  }

  /** The changes of runs alone: all that is told of a session whose simulator can no longer be asked. */
  takeRuns(): SessionFrame[] {
    const { runs } = this;
    this.runs = [];
    return runs.map((run) => ({ type: 'runs', timeNs: run.timeNs, data: JSON.stringify(run) }));
  }

  due(nowMs: number, everyMs: number): boolean {
    return nowMs - this.lastBatchMs >= everyMs;
  }

  /**
   * The frames since the last batch: what happened, then how the runs stand, then the metrics after all that.
   *
   * @param progress the active run as it stands, or null
   * @returns the frames, and whether notices are left for another batch
   */
  batch(nowMs: number, progress: RunDocument | null): { frames: SessionFrame[]; more: boolean } {
    this.lastBatchMs = nowMs;
    const { simulator } = this;
    const { timeNs } = simulator;
    const frames: SessionFrame[] = [];
    const { notices, dropped } = simulator.drainNotices(NOTICES_PER_BATCH);
    for (const topic of ['events', 'faults', 'verdicts'] as const) {
      const items: Record<string, unknown>[] = [];
      for (const notice of notices) if (notice.topic === topic) items.push({ timeNs: notice.timeNs, ...notice.data });
      const lost = topic === 'events' ? dropped : 0;
      if (items.length > 0 || lost > 0)
        frames.push({ type: topic, timeNs, data: JSON.stringify({ items, dropped: lost }) });
    }
    frames.push(...this.takeRuns());
    if (progress !== null) frames.push({ type: 'runs', timeNs, data: JSON.stringify(progress) });
    if (simulator.version !== this.recordedVersion) {
      this.recordedVersion = simulator.version;
      const metrics = simulator.read({ read: 'metrics' });
      if (metrics.status === 'ok') frames.push({ type: 'metrics', timeNs, data: JSON.stringify(metrics.result) });
    }
    return { frames, more: notices.length === NOTICES_PER_BATCH };
  }
}

/** A session that may have something to tell. */
export interface FrameSource {
  /** Posts frames when they are due. @returns false when it has nothing more to tell for now */
  postFrames(nowMs: number): boolean;
}

/** Half-way between noticing a lone operation at once and waking up for nothing. */
const TICK_MS = 20;

/** Visits the sessions that changed; sleeps while none does. */
export class FrameClock {
  private readonly changed = new Set<FrameSource>();
  private timer: NodeJS.Timeout | null = null;

  mark(source: FrameSource): void {
    this.changed.add(source);
    this.timer ??= setTimeout(() => this.tick(), TICK_MS);
  }

  forget(source: FrameSource): void {
    this.changed.delete(source);
  }

  private tick(): void {
    this.timer = null;
    const now = performance.now();
    for (const source of this.changed) if (!source.postFrames(now)) this.changed.delete(source);
    if (this.changed.size > 0) this.timer = setTimeout(() => this.tick(), TICK_MS);
  }
}

/**
 * A session's history as ftrace text: its spec and records are done again, in a simulation of their own that is watched, and every event
 * becomes lines. The text is a function of spec and records alone.
 *
 * With `iommu_lab:*` events it also says, in comments that an importer hands on, which session it is (`session`: core, spec), what was
 * done to it (`record`: operations and runs, each before what came of it) and where that led (`end`: digest and time). From these the
 * session comes out again to the last bit, and so does the text (`session-notes.ts`).
 */

import type { Recordings } from '../../core/devices/replay/source.ts';
import { createSimulator } from '../../core/index.ts';
import type { Operation, RunRequest } from '../../core/operations.ts';
import type { Simulator } from '../../core/simulator.ts';
import type { SimulatorApi } from '../../core/simulator-api.ts';
import type { ResolvedSpec } from '../../core/spec.ts';
import { coreVersion } from '../../core/version.ts';
import type { RecordedEvent } from '../event.ts';
import { FtraceLines } from './lines.ts';
import type { ObservedSink } from './observed/lines.ts';
import { Observer } from './observer.ts';
import { type HistoryRecord, notesOf } from './session-notes.ts';

/** Events of a run that one step handles. */
const EVENTS_A_STEP = 256;

/** Done again with what a session did: the order of records is that of its journal. */
export class HistoryPlayer {
  readonly simulator: SimulatorApi;
  readonly observer: Observer;
  /** Where the active run is to be taken; null: to its end. */
  private goal: { events: number | null; cancel: boolean } | null = null;

  /** @throws SpecError when the spec cannot be built, as with a recording that is not here */
  constructor(spec: ResolvedSpec, sink: ObservedSink, recordings?: Recordings) {
    let observer: Observer | null = null;
    const watch = (simulator: Simulator) => {
      observer = new Observer(simulator, sink);
    };
    this.simulator = createSimulator(spec, recordings === undefined ? { watch } : { watch, recordings });
    this.observer = observer!;
    this.observer.attachments();
  }

  /** @returns whether the record is done with; else `goOn` takes it further */
  begin(record: HistoryRecord): boolean {
    const { simulator, observer } = this;
    if ('op' in record) {
      const operation = record as Operation;
      observer.begins(operation);
      const outcome = simulator.apply(operation);
      if (outcome === null) throw new Error('an operation without a limit to its search was suspended');
      if (outcome.status === 'refused')
        throw new Error(`an operation that was carried out is refused: ${outcome.problem.detail}`);
      observer.ended();
      return true;
    }
    if ('run' in record) {
      const outcome = simulator.startRun(ownRequest(record.run));
      if (outcome.status !== 'ok') throw new Error('a run that began is refused');
      return true;
    }
    if ('end' in record) {
      this.goal = { events: record.end === 'finished' ? null : record.events, cancel: record.end !== 'finished' };
      return this.goOn();
    }
    // A run that has not ended, as far as it is known to have come.
    this.goal = { events: record.mark, cancel: false };
    return this.goOn();
  }

  /** @returns whether the record is done with */
  goOn(): boolean {
    const { goal, simulator } = this;
    if (goal === null) return true;
    const left = goal.events === null ? EVENTS_A_STEP : Math.min(EVENTS_A_STEP, goal.events - simulator.runEvents);
    const ended = left > 0 && simulator.stepRun(left);
    if (!ended && left > 0) return false;
    if (ended !== (goal.events === null)) throw new Error('a run does not end as it did');
    if (goal.cancel) simulator.cancelRun();
    this.goal = null;
    return true;
  }
}

/** What the host has of a request and the core has no use for. */
function ownRequest({ onRestart: _onRestart, ...request }: RunRequest): RunRequest {
  return request;
}

export interface HistoryOptions {
  labEvents: boolean;
  recordings?: Recordings;
}

/** Writes the text, in pieces, one for each step; a piece may be empty. Whoever takes them decides when the next step is made. */
export class HistoryText {
  private readonly player: HistoryPlayer;
  private readonly lines: FtraceLines;
  private readonly spec: ResolvedSpec;
  /** What the spec's own machine did when it was made. */
  private readonly early: RecordedEvent[] = [];
  private text = '';

  /** @throws SpecError when the spec cannot be built, as with a recording that is not here */
  constructor(spec: ResolvedSpec, { labEvents, recordings }: HistoryOptions) {
    this.spec = spec;
    let lines: FtraceLines | null = null;
    const sink: ObservedSink = {
      event: (event) => (lines === null ? this.early.push({ ...event }) : lines.event(event)),
    };
    this.player = new HistoryPlayer(spec, sink, recordings);
    const { observer } = this.player;
    lines = new FtraceLines({
      device: (index) => observer.nameOf(index),
      labEvents,
      queued: observer.queued,
      write: (line) => {
        this.text += line;
      },
    });
    this.lines = lines;
  }

  private take(): string {
    const { text } = this;
    this.text = '';
    return text;
  }

  /** Of which session it is. */
  begin(): string {
    const { lines, early } = this;
    for (const note of notesOf('session', { coreVersion, spec: this.spec })) lines.note(note);
    for (const event of early) lines.event(event);
    return this.take();
  }

  /** @throws when it cannot be carried out here, as it was in the session */
  *record(record: HistoryRecord): Generator<string> {
    const { player, lines } = this;
    for (const note of notesOf('record', record)) lines.note(note);
    let done = player.begin(record);
    while (!done) {
      yield this.take();
      done = player.goOn();
    }
    yield this.take();
  }

  end(): string {
    const { simulator } = this.player;
    for (const note of notesOf('end', { digest: simulator.digest(), timePs: simulator.timePs })) this.lines.note(note);
    this.lines.end();
    return this.take();
  }
}

/** All of it, of records that are in memory. */
export function* historyText(
  spec: ResolvedSpec,
  records: Iterable<HistoryRecord>,
  options: HistoryOptions,
): Generator<string> {
  const history = new HistoryText(spec, options);
  yield history.begin();
  for (const record of records) yield* history.record(record);
  yield history.end();
}

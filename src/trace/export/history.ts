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
import { FtraceLines } from './lines.ts';
import { type ObservedSink, Observer } from './observer.ts';
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

/** The text in pieces, one for each step; a piece may be empty. The caller decides when the next step is made. */
export function* historyText(
  spec: ResolvedSpec,
  records: Iterable<HistoryRecord>,
  { labEvents, recordings }: HistoryOptions,
): Generator<string> {
  let text = '';
  const take = (): string => {
    const taken = text;
    text = '';
    return taken;
  };
  const early: { event: Parameters<ObservedSink['event']>[0] }[] = [];
  let lines: FtraceLines | null = null;
  const sink: ObservedSink = {
    // What the spec's own machine makes comes before the observer has a name for anything.
    event: (event) => (lines === null ? early.push({ event: { ...event } }) : lines.event(event)),
  };
  const player = new HistoryPlayer(spec, sink, recordings);
  lines = new FtraceLines({
    device: (index) => player.observer.nameOf(index),
    labEvents,
    queued: player.observer.queued,
    write: (line) => {
      text += line;
    },
  });
  for (const note of notesOf('session', { coreVersion, spec })) lines.note(note);
  for (const { event } of early) lines.event(event);
  for (const record of records) {
    for (const note of notesOf('record', record)) lines.note(note);
    let done = player.begin(record);
    while (!done) {
      yield take();
      done = player.goOn();
    }
    yield take();
  }
  const { simulator } = player;
  for (const note of notesOf('end', { digest: simulator.digest(), timePs: simulator.timePs })) lines.note(note);
  lines.end();
  yield take();
}

/**
 * What the recording did against what each policy would have done: the same recording, replayed under one policy after the other, and the
 * recorded faults under each.
 *
 * Beside the policies stands "as recorded": the policy `never` with the recording's own invalidations, where it has any.
 */

import type { RecordedEvents } from '../core/devices/replay/source.ts';
import { createSimulator, resolveSpec } from '../core/index.ts';
import type { SimulatorApi } from '../core/simulator-api.ts';
import { EVENT_KINDS } from './event.ts';
import { forensicsOf } from './forensics/forensics.ts';
import { ms } from './forensics/lazy.ts';
import { recordingsOf } from './memory-recording.ts';

type Plain = Record<string, unknown>;

export interface SideBySideOptions {
  /** A partial session spec; devices and workloads are the replay's. */
  base?: Plain;
  /** Members of the replay: accesses, pace, speed, window. */
  replay?: Plain;
  /** Kinds of invalidation, or objects with a kind. */
  policies: readonly (string | Plain)[];
}

export interface Side {
  label: string;
  digest: string;
  finished: boolean;
  maps: number;
  unmaps: number;
  /** Maps that got the recorded address. */
  sameAddress: number;
  cyclesPerOperation: number | null;
  exposure: { pageSeconds: number; longestWindowNs: number };
  verdicts: Record<string, number>;
  accesses: { recorded: number; faults: number; synthesised: number };
  skipped: Record<string, number>;
  invalidations: number;
}

export interface SideBySide {
  recording: { digest: string; events: number; devices: string[]; faults: number; invalidations: number };
  sides: Side[];
  text: string[];
}

/** Of simulated time at most beyond the recording: accesses that come late, timers. */
const AFTER_NS = 2_000_000_000;
const EVENTS_A_STEP = 4096;

interface Result {
  cyclesPerOperation: number | null;
  exposure: { potential: { pageSeconds: number; longestWindowNs: number } };
  counts: Record<string, number>;
  workloads: { verdicts: Record<string, number>; replay: Omit<Side, 'label' | 'digest'> & { finished: boolean } }[];
}

/** One after the other; asks to be called again (`yield`) now and then. */
export function* sideBySide(
  recording: RecordedEvents,
  { base = {}, replay = {}, policies }: SideBySideOptions,
): Generator<void, SideBySide> {
  const facts = factsOf(recording);
  const sides: Side[] = [];
  const settings: { label: string; invalidation: Plain; invalidations: string }[] = policies.map((policy) => ({
    label: typeof policy === 'string' ? policy : JSON.stringify(policy),
    invalidation: typeof policy === 'string' ? { kind: policy } : policy,
    invalidations: 'simulated',
  }));
  if (facts.invalidations > 0)
    settings.unshift({ label: 'as recorded', invalidation: { kind: 'never' }, invalidations: 'recorded' });
  for (const { label, invalidation, invalidations } of settings) {
    const policy = (base.policy ?? {}) as Plain;
    const needsBitmap = invalidation.kind === 'wrap' && policy.allocator === undefined;
    const spec = resolveSpec({
      ...base,
      policy: {
        allocator: { kind: needsBitmap ? 'bitmap' : 'rcache' },
        ...policy,
        invalidation,
        // What is compared is what was asked for, even where a kernel would fall back.
        force: true,
      },
      devices: [{ name: 'replay', kind: 'replay' }],
      workloads: [
        {
          kind: 'replay',
          device: 'replay',
          trace: 'recording',
          recording: recording.digest,
          ...replay,
          invalidations,
        },
      ],
    });
    const simulator = createSimulator(spec, { recordings: recordingsOf(recording) });
    yield* run(simulator, facts.lengthNs / ((replay.speed as number | undefined) ?? 1));
    sides.push(sideOf(label, simulator));
  }
  const { lengthNs: _length, ...told } = facts;
  return { recording: told, sides, text: wordsOf(recording, told, sides) };
}

function* run(simulator: SimulatorApi, lengthNs: number): Generator<void, void> {
  const outcome = simulator.startRun({ forNs: Math.ceil(lengthNs) + AFTER_NS });
  if (outcome.status !== 'ok') throw new Error(outcome.problem.detail);
  while (!simulator.stepRun(EVENTS_A_STEP)) yield;
}

function factsOf(recording: RecordedEvents): SideBySide['recording'] & { lengthNs: number } {
  let [faults, invalidations, lengthNs, firstNs] = [0, 0, 0, 0];
  for (let index = 0; index < recording.count; index++) {
    recording.load(index);
    const { kind, timeNs } = recording;
    if (kind === EVENT_KINDS.fault) faults++;
    else if (kind === EVENT_KINDS.invalidate) invalidations++;
    lengthNs = Math.max(lengthNs, timeNs);
    firstNs = Math.min(firstNs, timeNs);
  }
  const { digest, count: events, devices } = recording;
  return { digest, events, devices: [...devices], faults, invalidations, lengthNs: lengthNs - firstNs };
}

function sideOf(label: string, simulator: SimulatorApi): Side {
  const result = simulator.runResult() as unknown as Result;
  const { replay, verdicts } = result.workloads[0]!;
  const { pageSeconds, longestWindowNs } = result.exposure.potential;
  return {
    label,
    digest: simulator.digest(),
    finished: replay.finished,
    maps: replay.maps,
    unmaps: replay.unmaps,
    sameAddress: replay.sameAddress,
    cyclesPerOperation: result.cyclesPerOperation,
    exposure: { pageSeconds, longestWindowNs },
    verdicts,
    accesses: replay.accesses,
    skipped: replay.skipped,
    invalidations:
      result.counts.invalidationsGlobal! + result.counts.invalidationsDomain! + result.counts.invalidationsRange!,
  };
}

const LANDED = ['stale', 'stale-reused', 'misdirected', 'stale-cross-tenant'];

function wordsOf(recording: RecordedEvents, told: SideBySide['recording'], sides: readonly Side[]): string[] {
  const text = [
    `The recording has ${told.events} events of ${told.devices.length} device(s), ${told.faults} fault(s) and ${told.invalidations} invalidation(s).`,
  ];
  for (const { label, verdicts, accesses, exposure, cyclesPerOperation, sameAddress, maps } of sides) {
    const landed = LANDED.reduce((sum, verdict) => sum + (verdicts[verdict] ?? 0), 0);
    const tried = accesses.faults + accesses.recorded;
    text.push(
      `${label}: ${cyclesPerOperation === null ? 'no calls' : `${Math.round(cyclesPerOperation)} cycles a call`}, unmapped pages stay reachable for ` +
        `${ms(exposure.longestWindowNs)} at most. Of ${tried} recorded and ${accesses.synthesised} synthesised accesses ${verdicts.fault ?? 0} are blocked, ` +
        `and ${landed} land where nothing is mapped for the device any more. ${sameAddress} of ${maps} maps have their recorded address.`,
    );
  }
  if (told.faults > 0) {
    const [first] = forensicsOf(recording).items;
    text.push('The first recorded fault:', ...(first?.text ?? []));
  }
  return text;
}

/** What is told of a trace, by a list and by itself. */
import { NO_EVENTS, type TraceDocument, type TraceSummary } from '../trace.ts';
import { type Entry, stateOf, storedBytesOf } from './entry.ts';
import type { Register } from './register.ts';

export function summaryOf(entry: Entry, register: Register): TraceSummary {
  const { facts } = entry;
  const { input, bytes } = facts;
  const complete = facts.state !== 'uploading' && (facts.state !== 'failed' || bytes === input.lengthBytes);
  return {
    id: facts.id,
    ...(input.name === undefined ? {} : { name: input.name }),
    owner: facts.owner,
    state: stateOf(entry),
    createdAt: facts.created,
    endedAt: facts.ended,
    format: entry.reading.format ?? input.format,
    strict: input.strict,
    encoding: input.encoding,
    bytes,
    upload: { offset: bytes, length: input.lengthBytes, complete, active: entry.active !== null },
    progress: facts.state === 'ready' ? 1 : bytes === 0 ? 0 : Math.min(1, entry.read / bytes),
    storedBytes: storedBytesOf(entry),
    digest: facts.digest,
    records: facts.records,
    problem: entry.problem ?? (facts.state === 'failed' ? register.outcomeOf(entry).problem : null),
  };
}

export function documentOf(entry: Entry, register: Register): TraceDocument {
  const { reading, devices } = register.outcomeOf(entry);
  return {
    ...summaryOf(entry, register),
    format: reading.format ?? entry.facts.input.format,
    options: entry.facts.input.options,
    recognisedBy: reading.recognisedBy,
    unpackedBytes: reading.bytes,
    lines: reading.lines,
    events: { ...NO_EVENTS, ...reading.events },
    devices,
    openMaps: reading.openMaps,
    unmatchedUnmaps: reading.unmatchedUnmaps,
    lostEvents: reading.lostEvents,
    clockSteps: reading.clockSteps,
    clockStepsOnCpu: reading.clockStepsOnCpu,
    origin: reading.origin,
    warnings: reading.warnings,
  };
}

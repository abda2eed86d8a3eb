/** What a recording says, for people. */
import type { TraceDocument, TraceSummary } from '../../trace/trace.ts';
import { harmless, table } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import type { ReadHere } from '../trace/read-here.ts';

const MOST_DEVICES = 20;

export function showTraces(terminal: Terminal, traces: readonly TraceSummary[]): void {
  if (traces.length === 0) {
    terminal.out('There are no traces.');
    return;
  }
  const { lines } = table(
    [
      { title: 'trace', cells: traces.map(({ id, name }) => name ?? id), shortest: 12 },
      { title: 'state', cells: traces.map(({ state }) => state) },
      { title: 'format', cells: traces.map(({ format }) => harmless(format)), shortest: 8 },
      { title: 'bytes', cells: traces.map(({ bytes }) => bytes.toLocaleString('en')), align: 'right' },
      { title: 'events', cells: traces.map(({ records }) => records.toLocaleString('en')), align: 'right' },
      { title: 'created', cells: traces.map(({ createdAt }) => createdAt.slice(0, 16).replace('T', ' ')), rank: 1 },
      { title: 'why', cells: traces.map(({ problem }) => problem?.code ?? ''), rank: 2, shortest: 8 },
    ],
    terminal.width,
    (line) => terminal.style('bold', line),
  );
  for (const line of lines) terminal.out(line);
}

export function showTrace(terminal: Terminal, title: string, trace: TraceDocument | ReadHere): void {
  const { format, recognisedBy, lines, events, devices, problem } = trace;
  terminal.prose(harmless(title), 'bold');
  const rows: [string, string][] = [];
  if ('id' in trace) {
    rows.push(['id', trace.id], ['state', trace.state]);
    if (!trace.upload.complete)
      rows.push([
        'uploaded',
        `${count(trace.upload.offset)} of ${trace.upload.length === null ? '?' : count(trace.upload.length)} bytes`,
      ]);
    if (trace.digest !== null) rows.push(['digest', trace.digest]);
  }
  if (problem !== null)
    rows.push([
      'problem',
      harmless(`${problem.code}${problem.line === undefined ? '' : `, line ${problem.line}`}: ${problem.detail}`),
    ]);
  rows.push(['format', harmless(`${format ?? 'not known'}${recognisedBy === null ? '' : `, as ${recognisedBy}`}`)]);
  rows.push([
    'lines',
    `${count(lines.total)}: ${count(lines.understood)} understood, ${count(lines.comments)} comments, ${count(lines.blank)} blank`,
  ]);
  for (const { reason, count: many, firstLine } of lines.skipped)
    rows.push(['skipped', harmless(`${count(many)}: ${reason} (first in line ${count(firstLine)})`)]);
  const kinds = Object.entries(events).filter(([, many]) => many > 0);
  rows.push(['events', kinds.length === 0 ? 'none' : kinds.map(([kind, many]) => `${count(many)} ${kind}`).join(', ')]);
  const shown = devices.slice(0, MOST_DEVICES).map(harmless).join(', ');
  rows.push([
    'devices',
    `${count(devices.length)}${devices.length === 0 ? '' : `: ${shown}`}${devices.length > MOST_DEVICES ? ', ...' : ''}`,
  ]);
  rows.push(['open maps', count(trace.openMaps)], ['unmatched unmaps', count(trace.unmatchedUnmaps)]);
  rows.push(
    ['lost events', count(trace.lostEvents)],
    ['clock steps', `${count(trace.clockSteps)}, ${count(trace.clockStepsOnCpu)} of them on one CPU`],
  );
  for (const warning of trace.warnings) rows.push(['warning', harmless(warning)]);
  const { lines: text } = table(
    [
      { title: '', cells: rows.map(([name]) => name) },
      { title: '', cells: rows.map(([, value]) => value), shortest: 20, wraps: true },
    ],
    terminal.width,
    (line) => line,
  );
  for (const line of text) if (line.trim() !== '' && !/^[- ]+$/.test(line)) terminal.out(line);
}

function count(many: number): string {
  return many.toLocaleString('en');
}

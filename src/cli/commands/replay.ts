/**
 * `replay <export>`: what was done in a session, done again. Under its own policy it must come to the digest that the export states; under
 * others it shows what the same operations would have cost, and exposed.
 */
import type { Plain } from '../../lab/experiment.ts';
import { readDocument } from '../documents.ts';
import { EXIT, Failure } from '../failure.ts';
import { count, figure, pageSecondScale, pageSeconds, time, timeScale } from '../figures.ts';
import { interruptible } from '../interruption.ts';
import { serverOf } from '../place.ts';
import type { ReplayOptions } from '../program.ts';
import { progress } from '../progress.ts';
import { Again } from '../replay/again.ts';
import { type Export, exportOf } from '../replay/document.ts';
import { Translator } from '../replay/script.ts';
import { LocalSubject, type Outcome, type Subject } from '../replay/subject.ts';
import { type Variant, variantsOf } from '../replay/variants.ts';
import { Server } from '../server.ts';
import { variationsOf } from '../settings.ts';
import { table } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { isRecording, replayRecording } from './replay-recording.ts';

export async function replay(terminal: Terminal, path: string, options: ReplayOptions): Promise<number> {
  if (await isRecording(path)) return replayRecording(terminal, path, options);
  const vary = variationsOf([
    ...(options.policy === undefined ? [] : [`policy.invalidation.kind=${options.policy}`]),
    ...(options.vary ?? []),
  ]);
  const own = Object.keys(vary).length === 0;
  const document = await readDocument(path);
  const exported = exportOf(document);
  const address = serverOf(options);
  const server = address === null ? null : new Server(address, options.tokenFile);
  const signal = interruptible();
  if (own) {
    return server === null
      ? await verifyHere(terminal, exported, options, signal)
      : await verifyThere(terminal, server, document, options);
  }
  return sideBySide(
    terminal,
    exported,
    variantsOf(exported.spec, vary, options.combine ?? 'product'),
    server,
    options,
    signal,
  );
}

async function verifyHere(
  terminal: Terminal,
  exported: Export,
  { json, progress: loud }: ReplayOptions,
  signal: AbortSignal,
): Promise<number> {
  const again = new Again(exported);
  const shown = await progress('records', !loud);
  try {
    for (const step of again.steps()) {
      if (step !== null) continue;
      shown.at(again.done, again.total);
      await new Promise(setImmediate);
      signal.throwIfAborted();
    }
  } finally {
    shown.end();
  }
  const { simulator } = again;
  const digest = simulator.digest();
  const equal = digest === exported.digest;
  const reading = simulator.read({ read: 'metrics' });
  const metrics = reading.status === 'ok' ? reading.result : {};
  if (json)
    terminal.json({ equal, digest, stated: exported.digest, records: again.total, timeNs: simulator.timeNs, metrics });
  else {
    terminal.prose(`${count(again.total)} records, ${time(simulator.timeNs)} of simulated time`);
    terminal.out(`digest  ${digest}`);
    sayEqual(terminal, equal, exported.digest);
    for (const [name, value] of figuresOf(metrics)) terminal.out(`${name.padEnd(24)}  ${value}`);
  }
  return equal ? EXIT.fine : EXIT.answer;
}

function sayEqual(terminal: Terminal, equal: boolean, stated: string): void {
  if (equal) terminal.out(terminal.style('green', 'equal to that of the export: the same state, bit by bit'));
  else terminal.out(terminal.style('red', `not equal to that of the export, ${stated}`));
}

/** The server does all of it again before it takes it. */
async function verifyThere(
  terminal: Terminal,
  server: Server,
  document: Plain,
  { json }: ReplayOptions,
): Promise<number> {
  let equal = true;
  let digest: string | null = null;
  try {
    const made = await server.json<{ id: string; digest: string }>('POST', '/v1/sessions', 'The export', {
      fromSnapshot: document,
    });
    digest = made.digest;
    await server.request('DELETE', `/v1/sessions/${made.id}`, 'The session');
  } catch (error) {
    // Refused for the digest alone: it could be done again, and came to another one.
    if (!(error instanceof Failure) || !/digest that it states/.test(error.message)) throw error;
    equal = false;
  }
  const stated = String(document.digest);
  if (json) terminal.json({ equal, digest, stated, records: (document.records as unknown[]).length });
  else {
    if (digest !== null) terminal.out(`digest  ${digest}`);
    sayEqual(terminal, equal, stated);
  }
  return equal ? EXIT.fine : EXIT.answer;
}

interface Line {
  label: string;
  varied: Plain;
  outcome: Outcome;
}

async function sideBySide(
  terminal: Terminal,
  exported: Export,
  variants: Variant[],
  server: Server | null,
  { json, progress: loud }: ReplayOptions,
  signal: AbortSignal,
): Promise<number> {
  const again = new Again(exported);
  const translator = new Translator();
  const subjects: Subject[] = [];
  const shown = await progress('records', !loud);
  const lines: Line[] = [];
  try {
    const { ServerSubject } = await import('../replay/server-subject.ts');
    for (const { spec, label } of variants) {
      const what = `The spec under ${label}`;
      subjects.push(
        server === null ? new LocalSubject(spec, what, signal) : await ServerSubject.of(server, spec, what, signal),
      );
    }
    for (const step of again.steps()) {
      signal.throwIfAborted();
      if (step === null) {
        shown.at(again.done, again.total);
        await new Promise(setImmediate);
      } else if ('run' in step) for (const subject of subjects) await subject.run(step.run, step.cutAtNs);
      else {
        const line = translator.line(step.operation, step.result);
        for (const subject of subjects) await subject.take(line);
      }
    }
    for (const [i, { label, varied }] of variants.entries())
      lines.push({ label, varied, outcome: await subjects[i]!.outcome() });
  } finally {
    shown.end();
    for (const subject of subjects) await subject.close();
  }
  if (again.simulator.digest() !== exported.digest)
    throw new Failure(
      EXIT.answer,
      `Under its own policy it comes to the digest ${again.simulator.digest()}, and the export states ${exported.digest}: it is not what was done.`,
    );
  if (json) terminal.json(lines.map(({ label, varied, outcome }) => ({ label, varied, ...outcome })));
  else showSideBySide(terminal, lines);
  return EXIT.fine;
}

interface Exposure {
  potential: { pageSeconds: number; longestWindowNs: number };
  staleAccesses: number;
  crossTenantAccesses: number;
}

function callsOf(metrics: Plain): { map: number | null; unmap: number | null } {
  const { breakdown } = metrics as { breakdown?: { map?: Record<string, number>; unmap?: Record<string, number> } };
  const sum = (rows: Record<string, number> | undefined) =>
    rows === undefined ? null : Object.values(rows).reduce((all, row) => all + row, 0);
  return { map: sum(breakdown?.map), unmap: sum(breakdown?.unmap) };
}

function figuresOf(metrics: Plain): [string, string][] {
  const { map, unmap } = callsOf(metrics);
  const exposure = metrics.exposure as Exposure | undefined;
  const faults = (metrics.counts as Record<string, number> | undefined)?.faults;
  return [
    ['cycles a map', figure(map)],
    ['cycles an unmap', figure(unmap)],
    ['exposed', pageSeconds(exposure?.potential.pageSeconds)],
    ['longest window', time(exposure?.potential.longestWindowNs)],
    ['stale accesses', count(exposure?.staleAccesses)],
    ["accesses to another's", count(exposure?.crossTenantAccesses)],
    ['faults', count(faults)],
  ];
}

function showSideBySide(terminal: Terminal, lines: Line[]): void {
  const all = lines.map(({ outcome: { metrics } }) => ({
    calls: callsOf(metrics),
    exposure: metrics.exposure as Exposure,
    faults: (metrics.counts as Record<string, number>).faults,
    timeNs: metrics.timeNs as number,
  }));
  const pages = pageSecondScale(all.map(({ exposure }) => exposure.potential.pageSeconds));
  const windows = timeScale(all.map(({ exposure }) => exposure.potential.longestWindowNs));
  const times = timeScale(all.map(({ timeNs }) => timeNs));
  const right = { align: 'right' } as const;
  const { lines: drawn, leftOut } = table(
    [
      { title: 'under', cells: lines.map(({ label }) => label), shortest: 12 },
      { title: 'cycles', unit: 'a map', cells: all.map(({ calls }) => figure(calls.map)), ...right },
      { title: 'cycles', unit: 'an unmap', cells: all.map(({ calls }) => figure(calls.unmap)), ...right },
      {
        title: 'exposed',
        unit: pages.unit,
        cells: all.map(({ exposure }) => figure(exposure.potential.pageSeconds * pages.factor)),
        ...right,
      },
      {
        title: 'longest',
        unit: windows.unit,
        cells: all.map(({ exposure }) => figure(exposure.potential.longestWindowNs * windows.factor)),
        ...right,
      },
      { title: 'stale', unit: 'accesses', cells: all.map(({ exposure }) => count(exposure.staleAccesses)), ...right },
      {
        title: 'foreign',
        unit: 'accesses',
        cells: all.map(({ exposure }) => count(exposure.crossTenantAccesses)),
        ...right,
        rank: 2,
      },
      { title: 'faults', cells: all.map(({ faults }) => count(faults)), ...right, rank: 1 },
      {
        title: 'time',
        unit: times.unit,
        cells: all.map(({ timeNs }) => figure(timeNs * times.factor)),
        ...right,
        rank: 4,
      },
      {
        title: 'went',
        unit: 'otherwise',
        cells: lines.map(({ outcome: { failed, impossible } }) => count(failed + impossible)),
        ...right,
        rank: 3,
      },
    ],
    terminal.width,
    (line) => terminal.style('bold', line),
  );
  for (const line of drawn) terminal.out(line);
  terminal.out('');
  terminal.prose(
    'exposed: page-seconds that stay open after an unmap; went otherwise: operations that worked in the session and not here.',
    'dim',
  );
  if (leftOut.length > 0)
    terminal.prose(`No room for ${leftOut.join(', ')}: a wider terminal, or --json, has them.`, 'dim');
}

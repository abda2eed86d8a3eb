/** `trace upload|list|show|delete`: recordings of real machines, on a server; `show` reads a file without one. */
import { existsSync } from 'node:fs';
import type { TraceDocument, TraceSummary } from '../../trace/trace.ts';
import { EXIT, Failure } from '../failure.ts';
import { interruptible } from '../interruption.ts';
import type { TraceAction } from '../names.ts';
import { serverOf } from '../place.ts';
import type { TraceOptions } from '../program.ts';
import { progress } from '../progress.ts';
import { Server } from '../server.ts';
import { parsedValue } from '../settings.ts';
import type { Terminal } from '../terminal.ts';
import { readHere } from '../trace/read-here.ts';
import { GIVE_AGAIN, pause, uploadFile } from '../trace/upload.ts';
import { showTrace, showTraces } from '../views/trace.ts';

const LOOK_MS = { first: 50, most: 1_000, growth: 1.5 };
/** Of the list, in one request. */
const PAGE = 1_000;

export async function trace(
  terminal: Terminal,
  action: TraceAction,
  what: string | undefined,
  options: TraceOptions,
): Promise<number> {
  if (what === undefined && action !== 'list')
    throw new Failure(EXIT.usage, `trace ${action} what? ${action === 'upload' ? 'Name a file.' : 'Name a trace.'}`);
  if (what !== undefined && action === 'list') throw new Failure(EXIT.usage, `trace list takes no "${what}"`);
  const address = serverOf(options);
  if (action === 'show' && address === null) return showFile(terminal, what as string, options);
  if (address === null)
    throw new Failure(
      EXIT.usage,
      `trace ${action} needs a server: name it with --server <url>, or in IOMMU_LAB_SERVER`,
    );
  const server = new Server(address, options.tokenFile);
  switch (action) {
    case 'upload':
      return upload(terminal, server, what as string, options);
    case 'list':
      return list(terminal, server, options);
    case 'show': {
      const found = await server.json<TraceDocument>('GET', pathOf(what as string), 'the trace');
      return tell(terminal, found, options);
    }
    case 'delete': {
      const gone = await server.json<TraceDocument>('DELETE', pathOf(what as string), 'the trace');
      if (options.json) terminal.json(gone);
      else terminal.out(`${gone.id} is deleted${gone.state === 'cancelled' ? '; it had not ended' : ''}`);
      return EXIT.fine;
    }
  }
}

function pathOf(trace: string): string {
  return `/v1/traces/${encodeURIComponent(trace)}`;
}

/** Exit code 1: it ran, and what came of it is bad. */
function tell(terminal: Terminal, found: TraceDocument, options: TraceOptions): number {
  if (options.json) terminal.json(found);
  else showTrace(terminal, found.name ?? found.id, found);
  return found.state === 'failed' ? EXIT.answer : EXIT.fine;
}

function formatOf({ format, strict, option = [] }: TraceOptions) {
  const options = Object.fromEntries(
    option.map((text) => {
      const at = text.indexOf('=');
      if (at > 0) return [text.slice(0, at), parsedValue(text.slice(at + 1))];
      throw new Failure(EXIT.usage, `--option ${text} is not understood: it is written name=value, as in order=merged`);
    }),
  );
  return { format, strict: strict === true, options };
}

async function upload(terminal: Terminal, server: Server, path: string, options: TraceOptions): Promise<number> {
  const signal = interruptible();
  const sent = await progress('bytes', !options.progress);
  let uploaded: TraceDocument;
  try {
    uploaded = await uploadFile(
      server,
      path,
      { ...formatOf(options), ...(options.name === undefined ? {} : { name: options.name }) },
      {
        signal,
        onBytes: (done, total) => sent.at(done, total),
        onBreak: (why) => terminal.err(`iommu-lab: the upload broke off (${why}), and is tried again`),
      },
    );
  } catch (error) {
    if (signal.aborted) terminal.err(`iommu-lab: ${GIVE_AGAIN}`);
    throw error;
  } finally {
    sent.end();
  }
  if (!options.wait || uploaded.endedAt !== null) return tell(terminal, uploaded, options);
  return tell(terminal, await read(server, uploaded, signal, options), options);
}

/** It is read on the server, whoever waits for it here. */
async function read(
  server: Server,
  uploaded: TraceDocument,
  signal: AbortSignal,
  options: TraceOptions,
): Promise<TraceDocument> {
  const shown = await progress('% read', !options.progress);
  try {
    let now = uploaded;
    for (let between = LOOK_MS.first; now.endedAt === null; ) {
      shown.at(Math.floor(now.progress * 100), 100);
      await pause(between, signal);
      between = Math.min(LOOK_MS.most, between * LOOK_MS.growth);
      now = await server.json('GET', pathOf(uploaded.id), 'the trace');
    }
    return now;
  } finally {
    shown.end();
  }
}

async function list(terminal: Terminal, server: Server, options: TraceOptions): Promise<number> {
  const items: TraceSummary[] = [];
  let cursor: string | undefined;
  do {
    const search = new URLSearchParams({ limit: String(PAGE), ...(cursor === undefined ? {} : { cursor }) });
    const page: { items: TraceSummary[]; nextCursor?: string } = await server.json(
      'GET',
      `/v1/traces?${search}`,
      'the traces',
    );
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  if (options.json) terminal.json(items);
  else showTraces(terminal, items);
  return EXIT.fine;
}

async function showFile(terminal: Terminal, path: string, options: TraceOptions): Promise<number> {
  if (!existsSync(path))
    throw new Failure(
      EXIT.usage,
      `There is no file ${path}. Without --server <url> or IOMMU_LAB_SERVER a file is read; with one, traces are looked up there.`,
    );
  const shown = await progress('bytes', !options.progress);
  try {
    const found = await readHere(path, formatOf(options), (done, total) => shown.at(done, total), interruptible());
    shown.end();
    if (options.json) terminal.json(found);
    else showTrace(terminal, path, found);
    return found.problem === null ? EXIT.fine : EXIT.answer;
  } finally {
    shown.end();
  }
}

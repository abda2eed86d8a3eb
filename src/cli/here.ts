/** Experiments in this process: a laboratory on all cores, which keeps nothing. */
import { basename } from 'node:path';
import type { Reply } from '../host/host.ts';
import { LOCAL_OWNER } from '../host/ids.ts';
import type { ExperimentResults } from '../lab/compare/results.ts';
import type { ExperimentData, ExperimentDocument, ExperimentInput } from '../lab/experiment.ts';
import type { Laboratory } from '../lab/laboratory.ts';
import { createLaboratory } from '../lab/local-laboratory.ts';
import { ThreadPool } from '../lab/pool.ts';
import { resultsOf } from '../lab/results.ts';
import { EXIT, Failure, linesOf } from './failure.ts';
import { localCatalog } from './local-catalog.ts';
import type { Catalog, Ended, Place, RecordingHere, Watch, Written } from './place.ts';
import { progress } from './progress.ts';
import { TapesHere } from './trace/tapes-here.ts';

/** @param quiet says nothing of how far it is */
export async function here(quiet = false): Promise<Place> {
  return new Experiments(quiet);
}

const STANDALONE = 'standalone';

/** Problems that are ours, and not of what was asked for. */
const OURS: ReadonlySet<string> = new Set(['internal', 'overloaded', 'storage-unavailable', 'shutting-down']);

class Experiments implements Place {
  readonly readsFiles = true;
  private readonly tapes = new TapesHere();
  private readonly laboratory: Laboratory = createLaboratory({ runner: new ThreadPool({ traces: this.tapes.folder }) });
  private readonly quiet: boolean;

  constructor(quiet: boolean) {
    this.quiet = quiet;
  }

  async recording(path: string, signal: AbortSignal): Promise<RecordingHere> {
    const shown = await progress(`bytes of ${basename(path)}`, this.quiet);
    try {
      return await this.tapes.tapeOf(path, (done, total) => shown.at(done, total), signal);
    } finally {
      shown.end();
    }
  }

  catalog(): Promise<Catalog> {
    return localCatalog();
  }

  async validate(input: ExperimentInput): Promise<ExperimentDocument> {
    return taken(await this.laboratory.validate(input, LOCAL_OWNER));
  }

  async run(input: ExperimentInput, { signal, onChange }: Watch): Promise<Ended> {
    signal.throwIfAborted();
    let document = taken(await this.laboratory.create(input, LOCAL_OWNER));
    const { id } = document;
    for await (document of this.laboratory.changes(id, signal)) onChange(document);
    signal.throwIfAborted();
    const kept = taken(await this.laboratory.data(id));
    // It has no name under which anybody could find it, and the same experiment is to print the same.
    const data: ExperimentData = { ...kept, document: { ...kept.document, id: STANDALONE } };
    const results = resultsOf(data);
    return { document: data.document, results, write: (what) => written(what, data, results) };
  }

  async close(): Promise<void> {
    await this.laboratory.close();
    this.tapes.close();
  }
}

function taken<T>(reply: Reply<T>): T {
  if (reply.ok) return reply.value;
  const exitCode = OURS.has(reply.problem.code) ? EXIT.answer : EXIT.usage;
  throw new Failure(exitCode, ...linesOf(reply.problem, 'The experiment'));
}

async function written(what: Written, data: ExperimentData, results: ExperimentResults): Promise<string | Uint8Array> {
  const { toCsv, toHtml, toMarkdown, toParquet } = await import('../lab/report/index.ts');
  switch (what) {
    case 'report':
      return toHtml(data, results);
    case 'csv':
      return toCsv(data, results);
    case 'parquet':
      return toParquet(data, results);
    case 'markdown':
      return toMarkdown(data, results);
  }
}

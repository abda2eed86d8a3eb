/** Experiments in this process, on all cores; nothing is kept. */
import { coreVersion } from '../core/index.ts';
import { compareExperiment } from '../lab/compare/compare.ts';
import type { ExperimentData, ExperimentDocument, ExperimentInput, JobOutcome } from '../lab/experiment.ts';
import type { JobRunner } from '../lab/laboratory.ts';
import { type Plan, planExperiment } from '../lab/plan.ts';
import { EXIT, Failure, linesOf } from './failure.ts';
import { localCatalog } from './local-catalog.ts';
import type { Catalog, Ended, Place, Watch, Written } from './place.ts';

export async function here(): Promise<Place> {
  return new Experiments();
}

class Experiments implements Place {
  private runner: JobRunner | null = null;

  catalog(): Promise<Catalog> {
    return localCatalog();
  }

  async validate(input: ExperimentInput): Promise<ExperimentDocument> {
    return documentOf(planned(input, false), input);
  }

  async run(input: ExperimentInput, { signal, onChange }: Watch): Promise<Ended> {
    const plan = planned(input, true);
    const document = documentOf(plan, input);
    this.runner ??= await runnerOf();
    const { runner } = this;
    document.state = 'running';
    onChange({ ...document });
    // Rows with the same key are one job.
    const outcomes = new Map<string, Promise<JobOutcome>>();
    const waiting = plan.rows.map((row, i) => ({ row, job: plan.jobs[i]! }));
    const work = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined && !signal.aborted; next = waiting.shift()) {
        const { row, job } = next;
        row.state = 'running';
        let outcome = outcomes.get(row.key);
        if (outcome === undefined) outcomes.set(row.key, (outcome = runner.run(row.key, job, signal)));
        else document.jobs.cached++;
        row.outcome = await outcome;
        if (signal.aborted) return;
        row.state = row.outcome.ok ? 'finished' : 'failed';
        document.jobs[row.state]++;
        document.progress = (document.jobs.finished + document.jobs.failed) / document.jobs.total;
        onChange({ ...document, jobs: { ...document.jobs } });
      }
    };
    await Promise.all(Array.from({ length: runner.width }, work));
    signal.throwIfAborted();
    document.state = 'finished';
    document.endedAt = new Date().toISOString();
    const data: ExperimentData = { document, rows: plan.rows };
    const results = compareExperiment(data);
    return { document, results, write: (what) => written(what, data, results) };
  }

  async close(): Promise<void> {
    await this.runner?.close();
  }
}

function planned(input: ExperimentInput, build: boolean): Plan {
  const plan = planExperiment(input, { build });
  if (plan.ok) return plan.value;
  throw new Failure(EXIT.usage, ...linesOf(plan.problem, 'The experiment'));
}

function documentOf({ request, arms, rows }: Plan, { name, title }: ExperimentInput): ExperimentDocument {
  return {
    id: 'here',
    ...(name !== undefined && { name }),
    ...(title !== undefined && { title }),
    state: 'queued',
    createdAt: new Date().toISOString(),
    endedAt: null,
    coreVersion,
    request,
    jobs: { total: rows.length, finished: 0, failed: 0, cached: 0 },
    progress: 0,
    arms,
  };
}

async function written(what: Written, data: ExperimentData, results: Ended['results']): Promise<string | Uint8Array> {
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

async function runnerOf(): Promise<JobRunner> {
  const { runJobInTurns } = await import('../lab/job.ts');
  return {
    width: 1,
    run: (_key, job, signal) =>
      runJobInTurns(job, { stop: () => (signal.aborted ? { code: 'cancelled', detail: 'It was cancelled.' } : null) }),
    close: async () => {},
  };
}

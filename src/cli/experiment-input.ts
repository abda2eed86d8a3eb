/** What `run` and `compare` are asked for, as the document that an experiment is. */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { ExperimentInput, Plain } from '../lab/experiment.ts';
import { withMembers } from '../lab/spec-path.ts';
import { isExperiment, looksLikeFile, readDocument, readWorkloads } from './documents.ts';
import { EXIT, Failure } from './failure.ts';
import type { Place } from './place.ts';
import type { ExperimentOptions } from './program.ts';
import { settingsOf, variationsOf } from './settings.ts';
import { didYouMean } from './suggestions.ts';
import { type Around, withLocalRecordings } from './trace/local-recordings.ts';

export interface Asked {
  input: ExperimentInput;
  /** One session, and no experiment. */
  session: boolean;
}

/** @param first what a name is that both a session preset and an experiment have */
export async function askedFor(
  place: Place,
  what: string,
  options: ExperimentOptions,
  first: 'session' | 'experiment',
  around: Omit<Around, 'folder'>,
): Promise<Asked> {
  const asked = await found(place, what, first);
  const { seeds, until, warmUp, combine, control, workloads } = options;
  const vary = variationsOf(options.vary);
  const varies = Object.keys(vary).length > 0;
  const input: ExperimentInput = {
    ...asked.input,
    ...(varies && { vary }),
    ...(seeds && { seeds }),
    ...(until && { until }),
    ...(warmUp && { warmUp }),
    ...(combine && { combine }),
    ...(control === false && { control }),
    ...(workloads !== undefined && { workloads: await readWorkloads(workloads) }),
  };
  if (varies) delete input.arms;
  const whole = await withSettings(place, input, settingsOf(options.set));
  const folder = looksLikeFile(what) && what !== '-' ? dirname(resolve(what)) : process.cwd();
  return { ...asked, input: await withLocalRecordings(place, whole, { ...around, folder }) };
}

async function found(place: Place, what: string, first: 'session' | 'experiment'): Promise<Asked> {
  if (looksLikeFile(what)) {
    const document = await readDocument(what);
    const names = Object.keys(document);
    // Nothing but the name of a preset.
    if (names.length === 1 && typeof document.preset === 'string') return named(place, document.preset, first);
    return isExperiment(document) ? { input: document, session: false } : ofSession(document);
  }
  return named(place, what, first);
}

async function named(place: Place, name: string, first: 'session' | 'experiment'): Promise<Asked> {
  const { presets = [], experiments = [] } = await place.catalog();
  const has = (entries: { kind: string }[]) => entries.some(({ kind }) => kind === name);
  const [session, experiment] = [has(presets), has(experiments)];
  if (session && (first === 'session' || !experiment)) return ofSession({ preset: name });
  if (experiment) return { input: { preset: name }, session: false };
  const known = [...experiments, ...presets].map(({ kind }) => kind);
  const file = existsSync(name) ? ` The file of that name would be ./${name}.` : '';
  throw new Failure(
    EXIT.usage,
    `There is no experiment, no preset and no file "${name}".${didYouMean(name, known)}${file} \`iommu-lab catalog experiments\` and \`catalog presets\` list them.`,
  );
}

function ofSession(base: Plain): Asked {
  return { input: { base }, session: true };
}

/** In the base, or in the arms of a preset, whose own base has to be known. */
async function withSettings(place: Place, input: ExperimentInput, settings: Plain): Promise<ExperimentInput> {
  if (Object.keys(settings).length === 0) return input;
  const base = input.preset === undefined ? (input.base ?? {}) : (await place.validate(input)).request.base;
  const wrong: string[] = [];
  const changed = withMembers(base, settings, (path, message) => wrong.push(`--set ${path}: ${message}`));
  if (wrong.length > 0) throw new Failure(EXIT.usage, ...wrong);
  return { ...input, base: changed };
}

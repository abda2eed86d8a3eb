/** What `run` and `compare` are asked for, as the document that an experiment is. */
import { existsSync } from 'node:fs';
import type { ExperimentInput, Plain } from '../lab/experiment.ts';
import { isExperiment, looksLikeFile, readDocument, readWorkloads } from './documents.ts';
import { EXIT, Failure } from './failure.ts';
import type { Place } from './place.ts';
import type { ExperimentOptions } from './program.ts';
import { settingsOf, variationsOf } from './settings.ts';
import { didYouMean } from './suggestions.ts';

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
  return { ...asked, input: await withSettings(place, input, settingsOf(options.set)) };
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

/** In each arm, whatever else it varies. */
async function withSettings(place: Place, input: ExperimentInput, settings: Plain): Promise<ExperimentInput> {
  const paths = Object.keys(settings);
  if (paths.length === 0) return input;
  let { vary = {}, arms = [], combine } = input;
  if (input.preset !== undefined && input.vary === undefined && input.arms === undefined) {
    // What the preset varies has to be known, to be changed.
    const { request } = await place.validate(input);
    ({ vary, arms, combine } = request);
  }
  if (arms.length > 0) {
    const changed = arms.map((arm) => ({ ...arm, set: { ...arm.set, ...settings } }));
    return { ...input, arms: changed };
  }
  const several = combine === 'paired' ? Math.max(1, ...Object.values(vary).map(({ length }) => length)) : 1;
  const fixed = paths.map((path) => [path, new Array(several).fill(settings[path])]);
  return { ...input, vary: { ...vary, ...Object.fromEntries(fixed) }, ...(combine && { combine }) };
}

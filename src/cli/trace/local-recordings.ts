/**
 * Workloads that replay a file of this machine: `trace` or `recording` may be its path, from the folder of the document that says so. They
 * get the digest by which simulations find a recording; how the file is read, the importer finds out.
 */
import { existsSync, statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { ExperimentInput, Plain } from '../../lab/experiment.ts';
import { EXIT, Failure } from '../failure.ts';
import type { Place } from '../place.ts';

const DIGEST = /^[0-9a-f]{64}$/;

export interface Around {
  /** Of the document. */
  folder: string;
  signal: AbortSignal;
  /** Told what the person should know of a recording. */
  note(text: string): void;
}

export async function withLocalRecordings(
  place: Place,
  input: ExperimentInput,
  around: Around,
): Promise<ExperimentInput> {
  const { base, workloads, vary, arms } = input;
  return {
    ...input,
    ...(vary !== undefined && { vary: await varied(place, vary, around) }),
    ...(Array.isArray(arms) && {
      arms: await inTurn(arms, async (arm) => ({ ...arm, set: await settings(place, arm.set, around) })),
    }),
    ...(Array.isArray(workloads) && { workloads: await all(place, workloads as Plain[], around) }),
    ...(Array.isArray(base?.workloads) && {
      base: { ...base, workloads: await all(place, base.workloads as Plain[], around) },
    }),
  };
}

/** One after the other: two of the same file are one tape. */
async function inTurn<T, U>(all: readonly T[], each: (one: T) => Promise<U>): Promise<U[]> {
  const done: U[] = [];
  for (const one of all) done.push(await each(one));
  return done;
}

function all(place: Place, workloads: readonly Plain[], around: Around): Promise<Plain[]> {
  return inTurn(workloads, (workload) => one(place, workload, around));
}

/** Paths whose values are recordings: `workloads.rx.recording`. */
const RECORDING_PATH = /^workloads\.[^.]+\.recording$/;

async function varied(
  place: Place,
  vary: Record<string, unknown[]>,
  around: Around,
): Promise<Record<string, unknown[]>> {
  const entries = await inTurn(Object.entries(vary), async ([path, values]): Promise<[string, unknown[]]> => {
    if (!RECORDING_PATH.test(path) || !Array.isArray(values)) return [path, values];
    return [path, await inTurn(values, (value) => digestOf(place, value, around))];
  });
  return Object.fromEntries(entries);
}

async function settings(place: Place, set: Plain, around: Around): Promise<Plain> {
  const entries = await inTurn(
    Object.entries(set ?? {}),
    async ([path, value]): Promise<[string, unknown]> => [
      path,
      RECORDING_PATH.test(path) ? await digestOf(place, value, around) : value,
    ],
  );
  return Object.fromEntries(entries);
}

async function digestOf(place: Place, named: unknown, around: Around): Promise<unknown> {
  return (await one(place, { kind: 'replay', recording: named }, around)).recording;
}

async function one(place: Place, workload: Plain, { folder, signal, note }: Around): Promise<Plain> {
  const { kind, trace, recording } = workload;
  if (kind !== 'replay' || (typeof recording === 'string' && DIGEST.test(recording))) return workload;
  const named = recording ?? trace;
  if (typeof named !== 'string') return workload;
  const path = resolve(folder, named);
  const isFile = existsSync(path) && statSync(path).isFile();
  // A server has traces of its own names; who says `recording` means a file.
  if (!place.readsFiles && recording === undefined) return workload;
  if (!place.readsFiles)
    throw new Failure(
      EXIT.usage,
      `A server replays what was uploaded to it: iommu-lab trace upload ${named}, then its name as \`trace\`, without \`recording\`.`,
    );
  if (!isFile)
    throw new Failure(
      EXIT.usage,
      `A workload replays ${JSON.stringify(named)}, and there is no such file in ${folder}. Without --server <url> a recording is a file here.`,
    );
  const { digest, lines, skippedLines } = await place.recording(path, signal);
  if (skippedLines > 0)
    note(`${named}: ${skippedLines} of ${lines} lines were not understood; iommu-lab trace show ${named} says which`);
  return { ...workload, trace: typeof trace === 'string' ? trace : basename(path), recording: digest };
}

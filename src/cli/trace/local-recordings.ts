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
  const { base, workloads } = input;
  return {
    ...input,
    ...(Array.isArray(workloads) && { workloads: await all(place, workloads as Plain[], around) }),
    ...(Array.isArray(base?.workloads) && {
      base: { ...base, workloads: await all(place, base.workloads as Plain[], around) },
    }),
  };
}

async function all(place: Place, workloads: readonly Plain[], around: Around): Promise<Plain[]> {
  const found: Plain[] = [];
  // One after the other: two of the same file are one tape.
  for (const workload of workloads) found.push(await one(place, workload, around));
  return found;
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

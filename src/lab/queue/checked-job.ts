/**
 * A job from the queue, before it is computed: whoever can write to Redis could have put anything there. The spec is checked as one that
 * is sent over HTTP is, and the job has to be the one that its key names, so that no outcome lands under another's.
 */
import { contractSchema } from '../../api/contract.ts';
import { type Validator, Validators } from '../../api/validator.ts';
import { messageOf } from '../../host/problems.ts';
import type { Job } from '../experiment.ts';
import { keyOf } from '../job.ts';
import { BOUNDS } from './bounds.ts';
import { isObject, unpacked } from './packing.ts';

/** Bytes of base64 of a job that could not be compressed at all. */
const MOST_TEXT = Math.ceil((BOUNDS.jobBytes * 4) / 3) + 1024;
const MOST_WARM_UPS = 16;
const NAME_FORM = /^[A-Za-z0-9][A-Za-z0-9._/ ,:()+-]{0,127}$/;

/** @param data as BullMQ has it. @returns the job, or in words why it is none */
export async function checkedJob(data: unknown, key: string): Promise<Job | string> {
  const job = await jobIn(data);
  if (typeof job === 'string') return job;
  try {
    return keyOf(job) === key ? job : 'its key is that of another job';
  } catch (error) {
    return `it cannot be simulated: ${messageOf(error)}`;
  }
}

async function jobIn(data: unknown): Promise<Job | string> {
  const text = isObject(data) ? data.job : undefined;
  if (typeof text !== 'string' || text.length > MOST_TEXT) return 'there is no job in it';
  const value = await unpacked(Buffer.from(text, 'base64'), BOUNDS.jobBytes);
  if (!isObject(value)) return 'it cannot be unpacked';
  if (value.kind === 'reproduction') {
    const { kind, reproduction, arm, ...more } = value;
    const fits = isName(reproduction) && isName(arm) && Object.keys(more).length === 0;
    return fits ? { kind, reproduction, arm } : 'it names no arm of a reproduction';
  }
  if (value.kind !== 'run') return 'it is of no kind that there is';
  const { kind, spec, before, run, ...more } = value;
  if (Object.keys(more).length > 0 || !isObject(spec) || 'fromSnapshot' in spec)
    return 'it has other members than a run has';
  if (!Array.isArray(before) || before.length > MOST_WARM_UPS) return 'its warm-ups are none';
  const misfit =
    misfitOf('SessionInput', spec) ?? [run, ...before].map((each) => misfitOf('RunRequest', each)).find(Boolean);
  return misfit ?? ({ kind, spec, before, run } as Job);
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && NAME_FORM.test(value);
}

const validators = new Map<string, Validator>();

/** Compiles them: about a second, which the first job would wait for. */
export function prepareCheck(): void {
  for (const schema of ['SessionInput', 'RunRequest']) misfitOf(schema, {});
}

function misfitOf(schema: string, value: unknown): string | null {
  let validator = validators.get(schema);
  if (validator === undefined) {
    validator = new Validators(false).compile(contractSchema(schema));
    validators.set(schema, validator);
  }
  const first = validator(value)?.[0];
  return first === undefined ? null : `its ${schema} does not fit the contract: ${first.path} ${first.message}`;
}

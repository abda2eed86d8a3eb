/**
 * Ids of sessions, `ses_`, of experiments, `exp_`, and of traces, `trc_`: 26 characters of base 32, the first ten of them the creation time in
 * milliseconds, so that ids sort by age; the other 80 bits are random. Alphabet of Crockford's base 32 in lower case, which leaves out i, l, o and u.
 */
import { randomBytes } from 'node:crypto';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const TIME_CHARACTERS = 10;
const RANDOM_CHARACTERS = 16;

const ID_FORM = /^ses_[0-9a-z]{26}$/;
const EXPERIMENT_ID_FORM = /^exp_[0-9a-z]{26}$/;
const TRACE_ID_FORM = /^trc_[0-9a-z]{26}$/;
export const NAME_FORM = /^[A-Za-z][A-Za-z0-9._-]{0,63}$/;

export function newSessionId(nowMs: number = Date.now()): string {
  return `ses_${agedId(nowMs)}`;
}

export function newExperimentId(nowMs: number = Date.now()): string {
  return `exp_${agedId(nowMs)}`;
}

export function newTraceId(nowMs: number = Date.now()): string {
  return `trc_${agedId(nowMs)}`;
}

function agedId(nowMs: number): string {
  let time = '';
  let rest = nowMs;
  for (let i = 0; i < TIME_CHARACTERS; i++) {
    time = ALPHABET[rest % 32] + time;
    rest = Math.floor(rest / 32);
  }
  return `${time}${randomCharacters(RANDOM_CHARACTERS)}`;
}

export function newSnapshotId(): string {
  return `snap_${randomCharacters(RANDOM_CHARACTERS)}`;
}

/** Names one stretch of a session's history, from creation or a reset to the next reset. */
export function newEpoch(): string {
  return randomCharacters(RANDOM_CHARACTERS);
}

/** Who owns what is made without saying for whom: on a server without tokens, everything. */
export const LOCAL_OWNER = 'local';

/** Names are unique within an owner, so that a name that is taken tells nobody of the sessions of others. */
export function nameKey(owner: string, name: string): string {
  return `${owner}/${name}`;
}

export function hasIdForm(name: string): boolean {
  return ID_FORM.test(name);
}

export function hasExperimentIdForm(name: string): boolean {
  return EXPERIMENT_ID_FORM.test(name);
}

export function hasTraceIdForm(name: string): boolean {
  return TRACE_ID_FORM.test(name);
}

function randomCharacters(count: number): string {
  let text = '';
  for (const byte of randomBytes(count)) text += ALPHABET[byte & 31];
  return text;
}

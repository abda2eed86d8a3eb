/** Making, renewing and ending tokens: the same for the command line and for `/v1/tokens`. */
import { type AccessLimits, type LimitName, NO_LIMITS } from './limits.ts';
import type { Scope } from './scopes.ts';
import { newCredential } from './secrets.ts';
import type { AccessStore, TokenRecord } from './store.ts';

export interface TokenInput {
  name: string;
  /** The token's name when absent. */
  principal?: string;
  scope: Scope;
  /** Absent: never. */
  expiresInSeconds?: number;
  limits?: Partial<AccessLimits>;
}

export interface RotationInput {
  /** The old token ends after it; absent: it stays as it is, to be revoked when nobody uses it any more. */
  overlapSeconds?: number;
  /** Absent: as long as the old one was made for. */
  expiresInSeconds?: number;
}

export interface MadeToken {
  record: TokenRecord;
  /** The secret; nobody can tell it again. */
  text: string;
}

/** 100 years: what is longer is better said as "never". */
export const LONGEST_SECONDS = 3_155_760_000;
/** Tokens at a time, ended ones included while they are remembered. */
export const MOST_TOKENS = 10_000;
/** How long a token that has ended stays on the list. */
const REMEMBERED_MS = 90 * 86_400_000;

/** A name that is no principal, as of words with spaces, is made one. */
export function principalOf({ name, principal }: Pick<TokenInput, 'name' | 'principal'>): string {
  if (principal !== undefined) return principal;
  const text = name.replace(/[^A-Za-z0-9._@-]/g, '-');
  return /^[A-Za-z]/.test(text) ? text : `t${text}`.slice(0, 64);
}

/** @returns null when there are too many */
export function makeToken(store: AccessStore, input: TokenInput, nowMs: number): MadeToken | null {
  const { name, scope, expiresInSeconds, limits = {} } = input;
  const expiresMs = expiresInSeconds === undefined ? null : nowMs + expiresInSeconds * 1000;
  return add(store, { name, principal: principalOf(input), scope, expiresMs, limits, replaces: null }, nowMs);
}

/** A new token beside the old one, for the same principal and as good. @returns null when there are too many */
export function rotateToken(
  store: AccessStore,
  old: TokenRecord,
  { overlapSeconds, expiresInSeconds }: RotationInput,
  nowMs: number,
): MadeToken | null {
  const { id: replaces, name, principal, scope, limits } = old;
  let expiresMs = old.expiresMs === null ? null : nowMs + (old.expiresMs - old.createdMs);
  if (expiresInSeconds !== undefined) expiresMs = nowMs + expiresInSeconds * 1000;
  const kept = { name, principal, scope, expiresMs, limits, replaces };
  if (overlapSeconds === undefined) return add(store, kept, nowMs);
  return add(store, kept, nowMs, (token) => store.replaceToken(token, old, nowMs + overlapSeconds * 1000));
}

type Kept = Pick<TokenRecord, 'name' | 'principal' | 'scope' | 'expiresMs' | 'limits' | 'replaces'>;

function add(
  store: AccessStore,
  kept: Kept,
  nowMs: number,
  write: (token: TokenRecord) => void = (token) => store.addToken(token),
): MadeToken | null {
  if (store.tokenCount >= MOST_TOKENS) {
    // The one being made keeps the server asking for tokens, whatever is forgotten here.
    store.forgetTokens(nowMs - REMEMBERED_MS);
    if (store.tokenCount >= MOST_TOKENS) return null;
  }
  const { id, hash, text } = newCredential('token');
  const record: TokenRecord = { ...kept, id, hash, createdMs: nowMs, revokedMs: null, lastUsedMs: null };
  write(record);
  return { record, text };
}

export type TokenState = 'active' | 'expired' | 'revoked';

export function stateOf({ revokedMs, expiresMs }: TokenRecord, nowMs: number): TokenState {
  if (revokedMs !== null) return 'revoked';
  return expiresMs !== null && expiresMs <= nowMs ? 'expired' : 'active';
}

/** What may be told of a token: all but the hash. */
export function tokenDocument(record: TokenRecord, nowMs: number): Record<string, unknown> {
  const { id, name, principal, scope, createdMs, expiresMs, revokedMs, lastUsedMs, limits, replaces } = record;
  return {
    id,
    name,
    principal,
    scope,
    state: stateOf(record, nowMs),
    createdAt: isoTime(createdMs),
    expiresAt: isoTime(expiresMs),
    revokedAt: isoTime(revokedMs),
    lastUsedAt: isoTime(lastUsedMs),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(replaces === null ? {} : { replaces }),
  };
}

export function isoTime(ms: number): string;
export function isoTime(ms: number | null): string | null;
export function isoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

export const LIMIT_NAMES = Object.keys(NO_LIMITS) as LimitName[];

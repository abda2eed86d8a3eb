/**
 * The text that lets a client in, and what is kept of it.
 *
 *     ilt_4f0v9n2kqy7c3mzd_kV3oQ...43 characters
 *     │   │                └ the secret: 256 random bits, base64url
 *     │   └ which one it is, no secret: `tok_4f0v9n2kqy7c3mzd` in lists and in the audit log
 *     └ what it is, so that scanners of repositories and logs find it: `ilt` token, `ill` link, `ilw` WebSocket ticket
 *
 * Kept is the SHA-256 of the whole text. A slow hash, as for passwords, would protect nothing here: nobody guesses 256 bits.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

export type CredentialKind = 'token' | 'link' | 'ticket';

interface Prefixes {
  /** Of the text. */
  secret: string;
  /** Of the id. */
  id: string;
}

const PREFIXES: Readonly<Record<CredentialKind, Prefixes>> = {
  token: { secret: 'ilt', id: 'tok' },
  link: { secret: 'ill', id: 'lnk' },
  ticket: { secret: 'ilw', id: 'tkt' },
};
const KINDS = Object.keys(PREFIXES) as CredentialKind[];

/** Crockford's base 32 in lower case, as in the ids of sessions. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const ID_CHARACTERS = 16;
const SECRET_BYTES = 32;

const FORM = /^(il[tlw])_([0-9a-hjkmnp-tv-z]{16})_[A-Za-z0-9_-]{43}$/;
const SECRETS_IN_TEXT = /\b(il[tlw]_[0-9a-hjkmnp-tv-z]{16})_[A-Za-z0-9_-]{43}/g;

export interface NewCredential {
  id: string;
  /** Shown once, kept nowhere. */
  text: string;
  hash: Uint8Array;
}

export interface PresentedCredential {
  kind: CredentialKind;
  id: string;
  hash: Uint8Array;
}

export function newCredential(kind: CredentialKind): NewCredential {
  const name = randomCharacters();
  const { id, secret } = PREFIXES[kind];
  const text = `${secret}_${name}_${randomBytes(SECRET_BYTES).toString('base64url')}`;
  return { id: `${id}_${name}`, text, hash: hashOf(text) };
}

/** An id that names something and opens nothing: `gra_...`. */
export function newId(prefix: string): string {
  return `${prefix}_${randomCharacters()}`;
}

/** @returns null for what has not the form of a credential */
export function parseCredential(text: string): PresentedCredential | null {
  const [, prefix, name] = FORM.exec(text) ?? [];
  const kind = KINDS.find((known) => PREFIXES[known].secret === prefix);
  return kind === undefined ? null : { kind, id: `${PREFIXES[kind].id}_${name}`, hash: hashOf(text) };
}

/** Compared in a time that does not depend on where they differ. */
export function sameHash(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Compared with when there is nothing to compare with, so that an unknown id takes as long as a wrong secret. */
export const NO_HASH: Uint8Array = new Uint8Array(32);

/** Any text with its secrets taken out and their ids left in: the last thing before a log. */
export function withoutSecrets(text: string): string {
  return text.includes('il') ? text.replace(SECRETS_IN_TEXT, '$1_[redacted]') : text;
}

function hashOf(text: string): Uint8Array {
  return hash('sha256', text, 'buffer');
}

function randomCharacters(): string {
  let text = '';
  for (const byte of randomBytes(ID_CHARACTERS)) text += ALPHABET[byte & 31];
  return text;
}

/** What the values of settings may be: text from a flag or variable, anything from a file, in; the value, or what is allowed, out. */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { redisAddress } from './lab/queue/redis.ts';
import { parseAuthority } from './server/host-names.ts';

export type Check<T> = { ok: true; value: T } | { ok: false; allowed: string };

export function wholeNumber(low: number, high: number): (value: unknown) => Check<number> {
  return (value) => {
    const number = typeof value === 'string' && /^[0-9]{1,9}$/.test(value) ? Number(value) : value;
    const fits = typeof number === 'number' && Number.isInteger(number) && number >= low && number <= high;
    return fits ? { ok: true, value: number } : { ok: false, allowed: `a whole number from ${low} to ${high}` };
  };
}

/** A path, made absolute. */
export function pathOf(what: string): (value: unknown) => Check<string> {
  return (value) =>
    typeof value === 'string' && value !== '' && !value.includes('\0')
      ? { ok: true, value: resolve(value) }
      : { ok: false, allowed: `the path of a ${what}` };
}

/** Of a setting that may be repeated, and holds several separated by commas. `one` answers null for what is none. */
export function listOf(one: (text: string) => string | null, allowed: string): (value: unknown) => Check<string[]> {
  return (value) => {
    const given = (Array.isArray(value) ? value : [value]).flatMap((item) =>
      typeof item === 'string' ? item.split(',').map((text) => text.trim()) : [item],
    );
    const values = given.map((item) => (typeof item === 'string' ? one(item) : null));
    return values.length > 0 && values.every((item) => item !== null)
      ? { ok: true, value: [...new Set(values)] }
      : { ok: false, allowed };
  };
}

const HOST_FORM = /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253})|[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9]+)?)$/;

/** A host name or address, lower case and without brackets. */
export function hostName(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const bare = value.startsWith('[') && value.endsWith(']') ? value.slice(1, -1) : value;
  return HOST_FORM.test(bare) ? bare.toLowerCase() : null;
}

/** An address, or a network as `10.0.0.0/8`. One of all addresses is none: who trusts everybody has configured nothing. */
export function network(text: string): string | null {
  const [address, bits, more] = text.split('/') as [string, string?, string?];
  const family = isIP(address);
  if (family === 0 || address.includes('%') || more !== undefined) return null;
  if (bits === undefined) return address.toLowerCase();
  const most = family === 4 ? 32 : 128;
  if (!/^[1-9][0-9]{0,2}$/.test(bits) || Number(bits) > most) return null;
  return `${address.toLowerCase()}/${bits}`;
}

/** As browsers write `Origin`: scheme, host, and a port that is not the scheme's own. */
export function origin(text: string): string | null {
  const match = /^([a-z][a-z0-9+.-]*):\/\/([^/]+)\/?$/.exec(text.toLowerCase());
  const authority = match === null ? null : parseAuthority(match[2] as string);
  if (match === null || authority === null) return null;
  const scheme = match[1] as string;
  const { port } = authority;
  const usual = scheme === 'https' ? '443' : scheme === 'http' ? '80' : '';
  const name = authority.name.includes(':') ? `[${authority.name}]` : authority.name;
  return `${scheme}://${name}${port === '' || port === usual ? '' : `:${port}`}`;
}

/** `/lab`, or `/lab/one`; '' for the root. Only what no proxy and no client writes in two ways. */
export function basePath(value: unknown): Check<string> {
  const path = typeof value === 'string' ? value.replace(/\/$/, '') : null;
  const parts = path?.split('/').slice(1) ?? [];
  const fits = path === '' || (path?.startsWith('/') === true && parts.every(isPlainPart));
  return fits && path !== null && path.length <= 200
    ? { ok: true, value: path }
    : { ok: false, allowed: 'a path such as /lab, of letters, digits and - . _ ~' };
}

function isPlainPart(part: string): boolean {
  return /^[A-Za-z0-9._~-]+$/.test(part) && part !== '.' && part !== '..';
}

export function redisUrl(value: unknown): Check<string> {
  return redisAddress(value) === null
    ? {
        ok: false,
        allowed: 'redis://[[user]:password@]host[:port][/database], or rediss:// for TLS, encoded as a URL is',
      }
    : { ok: true, value: value as string };
}

/** Of a collector, without a password, which a command line would show: headers for it go into `OTEL_EXPORTER_OTLP_HEADERS`. */
export function collectorUrl(value: unknown): Check<string> {
  const allowed = 'an http:// or https:// URL without user, query and fragment';
  const url = typeof value === 'string' ? URL.parse(value) : null;
  const fits =
    url !== null &&
    (url.protocol === 'http:' || url.protocol === 'https:') &&
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === '';
  return fits ? { ok: true, value: url.href.replace(/\/+$/, '') } : { ok: false, allowed };
}

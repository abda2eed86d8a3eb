/**
 * Where one is in the dashboard, as text and back: the pure half of it, which needs no browser. `location.ts` is the other half.
 *
 * Places are the part of an address behind `#`, `#/sessions/first/live?charts=exposure`, so that each view has a link that can be kept,
 * no path of the server is taken, and the server, whatever its base path and whatever proxy stands before it, has one page to serve.
 */

export interface Place {
  /** `/sessions/first/live`; never empty. */
  path: string;
  query: Readonly<Record<string, string>>;
}

export type Parameters = Readonly<Record<string, string>>;

/** Of the part behind `#`, with or without it; what cannot be read is the start page. */
export function placeOf(hash: string): Place {
  const text = hash.replace(/^#/, '');
  const cut = text.indexOf('?');
  const path = cut === -1 ? text : text.slice(0, cut);
  const query = Object.fromEntries(new URLSearchParams(cut === -1 ? '' : text.slice(cut + 1)));
  return { path: path.startsWith('/') ? path : '/', query };
}

/** `#/sessions?state=running`; members that are undefined or empty are left out, so that equal views have equal links. */
export function hashOf(path: string, query: Readonly<Record<string, string | undefined>> = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '') as [string, string][];
  return given.length === 0 ? `#${path}` : `#${path}?${new URLSearchParams(given)}`;
}

/**
 * What stands in `path` at the names of `pattern`, `/sessions/:session/live`.
 *
 * @returns null when it does not fit, or has a part that is no percent-encoding
 */
export function match(pattern: string, path: string): Parameters | null {
  const wanted = partsOf(pattern);
  const given = partsOf(path);
  if (wanted.length !== given.length) return null;
  const found: Record<string, string> = {};
  for (const [i, part] of wanted.entries()) {
    const value = given[i] as string;
    if (!part.startsWith(':')) {
      if (part !== value) return null;
      continue;
    }
    try {
      found[part.slice(1)] = decodeURIComponent(value);
    } catch {
      return null;
    }
  }
  return found;
}

/** The other way round: `fill('/sessions/:session', {session: 'a b'})` is `/sessions/a%20b`. */
export function fill(pattern: string, parameters: Parameters): string {
  return pattern.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(parameters[name] ?? ''));
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '');
}

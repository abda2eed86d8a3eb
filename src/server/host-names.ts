/**
 * Which names in `Host` and `Origin` are this server's own.
 *
 * Without tokens the browser is the way in for strangers: a page of theirs can post to `127.0.0.1`, and by DNS rebinding it can
 * make its own name lead there and read the answers too. Against the first `Origin` is looked at, against the second `Host`: it
 * still carries the stranger's name.
 */
import { isIP } from 'node:net';

/** A host as it stands in `Host` or in an address: lower case, no brackets, no final dot; `port` is '' when absent. */
export interface Authority {
  name: string;
  port: string;
}

const AUTHORITY_FORM = /^(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9._-]*))(?::([0-9]{0,5}))?$/;

/** @returns null for what is no `host[:port]` */
export function parseAuthority(text: string): Authority | null {
  const match = AUTHORITY_FORM.exec(text.toLowerCase());
  if (match === null) return null;
  const host = match[1] as string;
  const port = match[2] ?? '';
  if (port !== '' && Number(port) > 65_535) return null;
  if (host.startsWith('[')) {
    const address = host.slice(1, -1);
    return isIP(address) === 6 ? { name: address, port } : null;
  }
  // `localhost.` is the same name, written as fully qualified.
  const name = host.endsWith('.') ? host.slice(0, -1) : host;
  return name === '' ? null : { name, port };
}

/** `localhost` and names below it (RFC 6761 section 6.3), 127.0.0.0/8, `::1`, and the latter two in IPv6's other spellings. */
export function isLoopbackName(name: string): boolean {
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  switch (isIP(name)) {
    case 4:
      return name.startsWith('127.');
    case 6:
      return isLoopbackIPv6(name);
    default:
      return false;
  }
}

function isLoopbackIPv6(address: string): boolean {
  // The URL parser brings every spelling into the shortest one (RFC 5952).
  const shortest = new URL(`http://[${address.split('%')[0]}]/`).hostname.slice(1, -1);
  return shortest === '::1' || /^::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}$/.test(shortest);
}

/** Addresses that mean "every interface". */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || (isIP(host) === 6 && /^[0:]+$/.test(host));
}

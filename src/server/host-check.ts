/** Refuses requests and upgrades that address the server by a foreign name or come from a foreign page; why: `host-names.ts`. */
import { networkInterfaces } from 'node:os';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ProblemError } from '../api/problem.ts';
import type { Config } from '../config.ts';
import { type Authority, isLoopbackName, isWildcard, parseAuthority } from './host-names.ts';

export type HostSettings = Pick<Config, 'host' | 'allowedHosts'> & Partial<Pick<Config, 'corsOrigins'>>;

export function checkHosts(app: FastifyInstance, settings: HostSettings): void {
  const isOwn = ownNames(settings);
  const listed: ReadonlySet<string> = new Set(settings.corsOrigins);
  app.addHook('onRequest', (request, reply, done) => {
    // A refused upgrade ends its connection, and says so. An accepted one has no such reply.
    if (request.headers.upgrade?.toLowerCase() === 'websocket') reply.header('connection', 'close');
    const host = checkHost(request, isOwn);
    const { origin } = request.headers;
    if (origin !== undefined && !listed.has(origin)) checkOrigin(origin, host, request.protocol, isOwn);
    done();
  });
}

/** What was configured, and on a non-loopback address (`--insecure`) that address: a numeric one cannot be rebound. */
function ownNames({ host, allowedHosts }: HostSettings): (name: string) => boolean {
  const names = new Set([host, ...allowedHosts].map((name) => parseAuthority(name)?.name ?? name));
  if (isWildcard(host)) {
    for (const { address } of Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []))
      names.add(address);
  }
  return (name) => isLoopbackName(name) || names.has(name);
}

/**
 * Of a trusted proxy both are looked at: what it says that the client asked for, and what it asks for itself. The second alone can be
 * another name; the first alone could be set by a rebound page, where the proxy is on the machine of its browser.
 *
 * @returns what the client asked for
 */
function checkHost(request: FastifyRequest, isOwn: (name: string) => boolean): Authority {
  const { raw } = request;
  // Counted in the raw headers: Node keeps the first of several in silence.
  const { rawHeaders } = raw;
  let given = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === 4 && name.toLowerCase() === 'host') given++;
  }
  const text = raw.headers.host;
  if (given > 1) throw new ProblemError({ code: 'bad-request', detail: 'The request has more than one Host header.' });
  if (text === undefined || text === '') {
    throw new ProblemError({ code: 'bad-request', detail: 'The request has no Host header.' });
  }
  const host = ownHost('Host', text, isOwn);
  // Fastify's `host` is `X-Forwarded-Host` if that is to be believed.
  const asked = request.host;
  return asked === text ? host : ownHost('X-Forwarded-Host', asked, isOwn);
}

function ownHost(header: string, text: string, isOwn: (name: string) => boolean): Authority {
  const host = parseAuthority(text);
  if (host === null)
    throw new ProblemError({ code: 'bad-request', detail: `The ${header} header is not a name and a port.` });
  if (isOwn(host.name)) return host;
  throw new ProblemError({
    code: 'forbidden-host',
    detail: `The server does not answer to the ${header} "${host.name}", only to loopback names and to those given with --allowed-host.`,
  });
}

/**
 * An origin is ours when its name is and its port is that of the request: a page of another local server, on its own port, is as
 * foreign as any. So is one of plain HTTP where the request came by HTTPS: whoever is on the wire can have put it there. The
 * other way round may be a proxy that speaks TLS and does not say so. Programs send no Origin.
 */
function checkOrigin(origin: string, host: Authority, protocol: string, isOwn: (name: string) => boolean): void {
  const match = /^(https?):\/\/([^/]+)$/.exec(origin);
  const authority = match === null ? null : parseAuthority(match[2] as string);
  if (match !== null && authority !== null && isOwn(authority.name) && (match[1] === 'https' || protocol !== 'https')) {
    const schemePort = match[1] === 'https' ? '443' : '80';
    if ((authority.port || schemePort) === (host.port || schemePort)) return;
  }
  throw new ProblemError({
    code: 'forbidden-origin',
    detail: `Pages of the origin ${JSON.stringify(origin.slice(0, 200))} may not use this server.`,
  });
}

/** Takes the address and port, or says in the words of this server's settings why it cannot. */
import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../config.ts';
import { isWildcard } from './host-names.ts';

type ListenSettings = Pick<Config, 'host' | 'port' | 'tlsCert' | 'basePath'>;

/** `address`: with scheme and base path. */
export type Listening = { ok: true; address: string } | { ok: false; problem: string };

export async function listen(app: FastifyInstance, settings: ListenSettings): Promise<Listening> {
  const { host, port, tlsCert, basePath } = settings;
  try {
    // One address, even where a name has two: Fastify would open a second server for `localhost`.
    const { address } = await lookup(host);
    await app.listen({ host: address, port, listenTextResolver: (at) => `listening on ${at}` });
  } catch (error) {
    return { ok: false, problem: refusal(error as NodeJS.ErrnoException, host, port) };
  }
  const bound = app.server.address();
  const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port;
  // A wildcard is no address to connect to; the loopback one is among those it stands for.
  const name = isWildcard(host) ? (isIPv6(host) ? '::1' : '127.0.0.1') : host;
  const authority = isIPv6(name) ? `[${name}]` : name;
  return { ok: true, address: `${tlsCert === null ? 'http' : 'https'}://${authority}:${boundPort}${basePath}` };
}

function refusal(error: NodeJS.ErrnoException, host: string, port: number): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is taken by another program. Stop that one, choose another port with --port <number>, or let the system pick a free one with --port 0.`;
    case 'EACCES':
      return `Port ${port} on ${host} may not be opened by this user. Choose one above 1023 with --port <number>.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${host} is no address of this machine. Choose another one with --host <address>; 127.0.0.1 always is.`;
    default:
      return `${host} port ${port} cannot be opened: ${error.message}.`;
  }
}

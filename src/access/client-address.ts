/** Where a request comes from: the other end of the connection, or what a trusted proxy (`--trust-proxy`) says of it. */
import { isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';

const WITH_PORT = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):[0-9]{1,5}$/i;

/** An IP address; '' when the connection has ended already. */
export function clientAddress({ ip, raw }: FastifyRequest): string {
  if (isIP(ip) !== 0) return ip;
  // Some proxies add the port. What is no address at all was passed on from the client, and the proxy itself is all that is known.
  const [, six, four] = WITH_PORT.exec(ip ?? '') ?? [];
  const bare = six ?? four ?? '';
  return isIP(bare) === 0 ? (raw.socket.remoteAddress ?? '') : bare;
}

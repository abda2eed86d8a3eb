/** `GET /v1/sessions/{session}/stream`: the upgrade, and everything that is refused before it. */
import fastifyWebsocket from '@fastify/websocket';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ProblemError } from '../src/api/problem.ts';
import type { StreamDoor } from '../src/stream/door.ts';
import type { Refusal, StreamHub } from '../src/stream/hub.ts';
import { checkHandshake, websocketOptions } from '../src/stream/websocket.ts';
import { pathOf } from './handlers.ts';

const PATH = '/v1/sessions/:session/stream';

const REFUSALS: Readonly<Record<Refusal, { code: string; detail: string }>> = {
  'shutting-down': { code: 'shutting-down', detail: 'The server is shutting down.' },
  'too-many-sockets': { code: 'overloaded', detail: 'The server has as many streams open as it may.' },
  'session-failed': { code: 'session-failed', detail: 'The session failed and was set aside; its document says why.' },
  'too-many-sockets-of-session': { code: 'overloaded', detail: 'The session has as many streams open as it may.' },
};

/** For a client that can set neither headers nor subprotocols: a ticket, good for one upgrade. */
const TICKET = 'ticket';

/**
 * `app` is the root, the checks of Host and Origin in place; to be awaited before other routes are registered, as upgrades of these
 * are refused here. Whoever registers @fastify/websocket for other reasons too does it before, with `websocketOptions(hub)`.
 */
export async function registerStream(app: FastifyInstance, hub: StreamHub, door?: StreamDoor): Promise<void> {
  if (!app.hasDecorator('websocketServer')) await app.register(fastifyWebsocket, websocketOptions(hub));
  leaveOtherUpgrades(app);

  app.addHook('onRequest', (request, reply, done) => {
    if (!request.ws) return done();
    // The connection ends with the refusal: whatever comes next on it would be frames.
    reply.header('connection', 'close');
    if (request.is404 || request.routeOptions.url === PATH) return done();
    const detail = `${pathOf(request)} is no WebSocket; streams are at /v1/sessions/{session}/stream.`;
    done(new ProblemError({ code: 'bad-request', detail }));
  });

  // A name is followed no further than to the session that it named when it was checked.
  const ids = new WeakMap<FastifyRequest, string>();
  app.route<{ Params: { session: string } }>({
    method: 'GET',
    url: PATH,
    preValidation: async (request) => {
      ids.set(request, check(request, hub, door));
    },
    // `check` has refused every request that is no upgrade.
    handler: async () => {
      throw new ProblemError({ code: 'internal', detail: 'a request without an upgrade came through' });
    },
    wsHandler: (socket, request) => {
      const session = ids.get(request as FastifyRequest) as string;
      const close = hub.open(session, socket, request.raw.socket);
      if (door !== undefined) socket.once('close', door.opened(request as FastifyRequest, session, close));
    },
  });
}

/** Node hands over any request that asks for any upgrade. Other protocols than ours are an offer that a server may pass over. */
function leaveOtherUpgrades(app: FastifyInstance): void {
  const server = app.server as typeof app.server & {
    shouldUpgradeCallback?: (request: { headers: object }) => boolean;
  };
  server.shouldUpgradeCallback = ({ headers }) =>
    (headers as Record<string, string>).upgrade?.toLowerCase() === 'websocket';
}

/** @returns the id of the session */
function check(request: FastifyRequest, hub: StreamHub, door: StreamDoor | undefined): string {
  const { session } = request.params as { session: string };
  const id = door === undefined ? hub.resolve(session) : door.admit(request, session);
  if (id === null) throw new ProblemError({ code: 'unknown-session', detail: `There is no session "${session}".` });
  if (!request.ws) {
    const detail = 'The stream is a WebSocket: connect with ws:// or send the headers of an upgrade.';
    throw new ProblemError({ code: 'upgrade-required', detail }, { upgrade: 'websocket', connection: 'upgrade' });
  }
  const unknown = Object.keys(request.query as object).find((name) => name !== TICKET);
  if (unknown !== undefined) {
    const message = `unknown query parameter \`${unknown}\``;
    const detail = `${message}; what to subscribe to is said in messages`;
    throw new ProblemError({ code: 'invalid-query', detail, errors: [{ path: `?${unknown}`, message }] });
  }
  checkHandshake(request);
  const refusal = hub.refusal(id);
  if (refusal !== null) throw new ProblemError(REFUSALS[refusal]);
  door?.count(request);
  return id;
}

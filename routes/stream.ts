/** `GET /v1/sessions/{session}/stream`: the upgrade, the wish for events, and everything that is refused before either. */
import type { OutgoingHttpHeaders } from 'node:http';
import fastifyWebsocket from '@fastify/websocket';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ProblemError } from '../src/api/problem.ts';
import type { StreamDoor } from '../src/stream/door.ts';
import { subscriptionOf, wantsEvents } from '../src/stream/event-request.ts';
import { EVENT_STREAM, EVENT_STREAM_HEADERS, EventTransport } from '../src/stream/event-transport.ts';
import type { Refusal, StreamHub } from '../src/stream/hub.ts';
import type { Subscribe } from '../src/stream/protocol.ts';
import { checkHandshake, websocketOptions } from '../src/stream/websocket.ts';
import { WebSocketTransport } from '../src/stream/websocket-transport.ts';
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
  const admitted = new WeakMap<FastifyRequest, Admitted>();
  const admit = (request: FastifyRequest): Admitted => admitted.get(request) as Admitted;
  app.route<{ Params: { session: string } }>({
    method: 'GET',
    url: PATH,
    preValidation: async (request) => {
      admitted.set(request, check(request, hub, door));
    },
    // `check` has refused every request that is neither an upgrade nor a wish for events.
    handler: async (request, reply) => {
      const { session, subscribe } = admit(request);
      if (request.method === 'HEAD') return reply.headers({ ...EVENT_STREAM_HEADERS }).send();
      const { raw } = reply;
      reply.hijack();
      // The client has gone meanwhile.
      if (raw.destroyed) return;
      // With what hooks have put there: the request's id, what other origins are allowed.
      raw.writeHead(200, { ...(reply.getHeaders() as OutgoingHttpHeaders), ...EVENT_STREAM_HEADERS });
      const close = hub.open(session, new EventTransport(raw, hub.limits.closeMs), subscribe);
      if (door !== undefined) raw.once('close', door.opened(request, session, close));
    },
    wsHandler: (socket, request) => {
      const { session } = admit(request as FastifyRequest);
      const close = hub.open(session, new WebSocketTransport(socket, request.raw.socket, hub.limits.closeMs));
      if (door !== undefined) socket.once('close', door.opened(request as FastifyRequest, session, close));
    },
  });
}

interface Admitted {
  /** Id. */
  session: string;
  /** Of a wish for events: what the query says. */
  subscribe: Subscribe | null;
}

/** Node hands over any request that asks for any upgrade. Other protocols than ours are an offer that a server may pass over. */
function leaveOtherUpgrades(app: FastifyInstance): void {
  const server = app.server as typeof app.server & {
    shouldUpgradeCallback?: (request: { headers: object }) => boolean;
  };
  server.shouldUpgradeCallback = ({ headers }) =>
    (headers as Record<string, string>).upgrade?.toLowerCase() === 'websocket';
}

function check(request: FastifyRequest, hub: StreamHub, door: StreamDoor | undefined): Admitted {
  const { session: name } = request.params as { session: string };
  const session = door === undefined ? hub.resolve(name) : door.admit(request, name);
  if (session === null) throw new ProblemError({ code: 'unknown-session', detail: `There is no session "${name}".` });
  const subscribe = request.ws ? null : checkWish(request, hub, session);
  if (request.ws) checkUpgrade(request);
  const refusal = hub.refusal(session);
  if (refusal !== null) throw new ProblemError(REFUSALS[refusal]);
  door?.count(request);
  return { session, subscribe };
}

function checkUpgrade(request: FastifyRequest): void {
  const unknown = Object.keys(request.query as object).find((name) => name !== TICKET);
  if (unknown !== undefined) {
    const message = `unknown query parameter \`${unknown}\``;
    const detail = `${message}; what to subscribe to is said in messages`;
    throw new ProblemError({ code: 'invalid-query', detail, errors: [{ path: `?${unknown}`, message }] });
  }
  checkHandshake(request);
}

function checkWish(request: FastifyRequest, hub: StreamHub, session: string): Subscribe {
  if (!wantsEvents(request.headers.accept)) {
    const detail = `The stream is a WebSocket: connect with ws:// or send the headers of an upgrade. For events, ask for ${EVENT_STREAM} in Accept.`;
    throw new ProblemError({ code: 'upgrade-required', detail }, { upgrade: 'websocket', connection: 'upgrade' });
  }
  return subscriptionOf(request.query as Record<string, unknown>, request.headers, (subscribe) =>
    hub.cannotBegin(session, subscribe),
  );
}

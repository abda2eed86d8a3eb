/** How the server ends: nothing new is taken, what is in flight is finished, and all of it within a limit. */
import type { Socket } from 'node:net';
import closeWithGrace from 'close-with-grace';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { SessionHost } from '../host/host.ts';
import type { Laboratory } from '../lab/laboratory.ts';
import type { TraceArchive } from '../trace/archive/archive.ts';

/** What `/readyz` and the refusal of new requests look at. */
export interface Lifecycle {
  closing: boolean;
}

export interface Parts {
  lifecycle: Lifecycle;
  app: FastifyInstance;
  host: Pick<SessionHost, 'close'>;
  laboratory?: Pick<Laboratory, 'close'>;
  traces?: Pick<TraceArchive, 'close'>;
  logger: Logger;
  /** What SIGHUP is for. Absent: it ends the server, as when its terminal is closed. */
  hangUp?: () => void;
  /** Last of all, when nobody can change the data any more. */
  release(): void;
}

/** Then the process ends, whatever is still open. */
const LIMIT_MS = 10_000;
/** Requests in flight have this long before the host stops under them. */
const DRAIN_MS = 2_000;
/** npm and a terminal both pass a signal on, so one Ctrl-C can arrive twice; only a later one means "now". */
const REPEAT_MS = 1_000;
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
const HANG_UP = 'SIGHUP';

export function closeOnSignals(parts: Parts): void {
  const { logger, hangUp } = parts;
  const ending = hangUp === undefined ? [...SIGNALS, HANG_UP] : SIGNALS;
  // Node's own list leaves out what was upgraded.
  const sockets = new Set<Socket>();
  parts.app.server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const graceful = closeWithGrace(
    { delay: LIMIT_MS, logger: false, skip: [...SIGNALS, HANG_UP], onTimeout: ranOut },
    async ({ err }) => {
      if (err !== undefined) logger.fatal({ err }, 'an error that nobody handled; the server ends');
      try {
        await close(parts, sockets);
      } catch (error) {
        logger.fatal({ err: error }, 'closing failed');
        throw error;
      } finally {
        logger.flush();
      }
    },
  );

  let firstMs: number | null = null;
  if (hangUp !== undefined) {
    process.on(HANG_UP, () => {
      logger.info({ signal: HANG_UP }, 'reading again what may have changed');
      hangUp();
    });
  }
  for (const signal of ending) {
    process.on(signal, () => {
      const nowMs = performance.now();
      if (firstMs === null) {
        firstMs = nowMs;
        logger.info({ signal }, 'closing');
        graceful.close();
      } else if (nowMs - firstMs > REPEAT_MS) {
        logger.warn({ signal }, 'ended by a second signal');
        logger.flush();
        process.exit(1);
      }
    });
  }

  function ranOut(): void {
    logger.error({ limitMs: LIMIT_MS }, 'closing took too long; the server ends as it is');
    logger.flush();
  }
}

/** Not ready -> no new connections, streams are told -> runs end at a slice boundary -> the data folder is free. */
async function close(
  { lifecycle, app, host, laboratory, traces, release }: Parts,
  sockets: ReadonlySet<Socket>,
): Promise<void> {
  lifecycle.closing = true;
  const drained = app.close();
  await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, DRAIN_MS))]);
  await traces?.close();
  await laboratory?.close();
  await host.close();
  for (const socket of sockets) socket.destroy();
  await drained;
  release();
}

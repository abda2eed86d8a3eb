/** What the server says of itself: health, readiness, metrics and the contract. */
import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import { contractAt } from '../src/api/contract.ts';
import type { SessionHost } from '../src/host/host.ts';
import type { Laboratory } from '../src/lab/laboratory.ts';

export interface HealthServices {
  host: Pick<SessionHost, 'status'>;
  laboratory?: Pick<Laboratory, 'status'> | undefined;
  metrics: Registry;
  /** Read at each request. */
  lifecycle: { readonly closing: boolean };
  basePath: string;
}

/** Paths that are answered while the server closes, too. */
export const HEALTH_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);

export function registerHealth(
  app: FastifyInstance,
  { host, laboratory, metrics, lifecycle, basePath }: HealthServices,
): void {
  app.get('/healthz', (_request, reply) => reply.header('cache-control', 'no-store').send({ status: 'alive' }));

  app.get('/readyz', (_request, reply) => {
    const { ready: up, storageTrouble, recovering } = host.status();
    const status = lifecycle.closing
      ? 'shutting-down'
      : !up
        ? 'no-worker'
        : storageTrouble !== null
          ? 'storage-unavailable'
          : 'ready';
    const ready = status === 'ready';
    // Sessions do without: a server whose workers are away is ready.
    const experiments = laboratory?.status().runner;
    return reply
      .code(ready ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ ready, status, recovering, ...(experiments === undefined ? {} : { experiments }) });
  });

  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));

  const contract = contractAt(basePath);
  app.get('/openapi.yaml', (_request, reply) => reply.type('application/yaml; charset=utf-8').send(contract));
}

/** The routes alone: on a fake host, or on the core in a worker. */
import { fastify } from 'fastify';
import { registerRoutes } from '../../routes/index.ts';
import { createHost } from '../../src/host/session-host.ts';
import { checkedInject } from '../contract/conformance.ts';
import { FakeHost } from './fake-host.ts';

export async function startRoutes() {
  const host = new FakeHost();
  const app = fastify({ bodyLimit: 65_536 });
  await registerRoutes(app, { host });
  await app.ready();
  const inject = checkedInject(app);
  /** A JSON request; `body` undefined sends none. */
  async function call(method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', url: string, body?: unknown) {
    const response = await inject({ method, url, ...(body === undefined ? {} : { payload: body as object }) });
    return { status: response.statusCode, headers: response.headers, body: response.json() };
  }
  return { app, host, inject, call };
}

export async function startRoutesOnCore() {
  const host = await createHost({ workers: 1 });
  const app = fastify();
  await registerRoutes(app, { host });
  await app.ready();
  const close = async () => {
    await app.close();
    await host.close();
  };
  return { app, inject: checkedInject(app), close };
}

/** The routes alone, on a fake host. */
import { fastify } from 'fastify';
import { registerRoutes } from '../../routes/index.ts';
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

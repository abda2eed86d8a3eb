/** A whole server on a data folder of its own, with the tokens that a test makes, a clock that it sets, and clients for each token. */
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { AuditLog } from '../../src/access/audit.ts';
import { AccessControl, type AccessSettings } from '../../src/access/control.ts';
import { type AccessStore, openAccessStore } from '../../src/access/store.ts';
import { type MadeToken, makeToken, type TokenInput } from '../../src/access/tokens.ts';
import type { SessionHost } from '../../src/host/host.ts';
import { createHost } from '../../src/host/session-host.ts';
import type { Laboratory } from '../../src/lab/laboratory.ts';
import { buildApp } from '../../src/server/app.ts';
import { createStream } from '../../src/stream/hub.ts';
import type { TraceArchive } from '../../src/trace/archive/archive.ts';
import type { TraceWorkLimits } from '../../src/trace/work-limits.ts';
import { checkReply } from '../contract/conformance.ts';

export interface Answer {
  status: number;
  headers: Record<string, unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: replies are checked against the contract, then taken apart freely
  body: any;
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Call = (method: Method, url: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>;

export interface GuardedServer {
  app: FastifyInstance;
  host: SessionHost;
  access: AccessControl;
  store: AccessStore;
  folder: string;
  port: number;
  /** Adds to the clock by which tokens expire. */
  later(ms: number): void;
  token(input: Partial<TokenInput> & { name: string }): MadeToken;
  /** Asks with a token, or with none; each reply is checked against the contract. */
  as(text: string | null): Call;
}

export interface GuardedOptions {
  settings?: Partial<AccessSettings>;
  folder?: string;
  laboratory?: Laboratory;
  traces?: TraceArchive;
  traceWork?: TraceWorkLimits;
  /** Time passes by `later` only. */
  clockStands?: boolean;
}

let shared: Promise<SessionHost> | null = null;
let sharedFolder: string | null = null;
after(async () => {
  await (await shared)?.close();
  if (sharedFolder !== null) rmSync(sharedFolder, { recursive: true, force: true });
});

/** One for all tests of a file, on the core: starting a worker takes longer than most tests. */
async function hostFor(context: Ending): Promise<SessionHost> {
  sharedFolder ??= mkdtempSync(join(tmpdir(), 'iommu-lab-test-'));
  shared ??= createHost({ workers: 1, journal: { path: join(sharedFolder, 'sessions.sqlite'), sync: 'never' } });
  const host = await shared;
  context.after(async () => {
    const all = await host.list({ limit: 1000 });
    if (all.ok) for (const { id } of all.value.items) await host.delete(id);
  });
  return host;
}

/** Of `TestContext`, the part that is used; a suite can stand in. */
export interface Ending {
  after(end: () => unknown): void;
}

export function temporaryFolder(context: Ending): string {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-test-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function startGuarded(context: Ending, options: GuardedOptions = {}): Promise<GuardedServer> {
  const folder = options.folder ?? temporaryFolder(context);
  const host = await hostFor(context);
  const store = openAccessStore(folder);
  let offsetMs = 0;
  const startMs = Date.now();
  const nowMs = (): number => (options.clockStands ? startMs : Date.now()) + offsetMs;
  const settings = options.settings ?? {};
  const access = new AccessControl({ host, store, settings, audit: new AuditLog(folder), nowMs });
  const stream = createStream(host, { limits: { closeMs: 300 } });
  const config = { host: '127.0.0.1', allowedHosts: [] };
  const { laboratory, traces, traceWork = {} } = options;
  const others = {
    ...(laboratory === undefined ? {} : { laboratory }),
    ...(traces === undefined ? {} : { traces }),
    traceWork,
  };
  const app = await buildApp({ config, host, stream, access, lifecycle: { closing: false }, ...others });
  await app.listen({ host: '127.0.0.1', port: 0 });
  context.after(async () => {
    // What still waits for a clock that stands would wait for ever.
    offsetMs += 86_400_000;
    await app.close();
    access.close();
  });
  return {
    app,
    host,
    access,
    store,
    folder,
    port: (app.server.address() as AddressInfo).port,
    later: (ms) => {
      offsetMs += ms;
    },
    token: (input) => makeToken(store, { scope: 'write', ...input }, nowMs())!,
    as: (text) => (method, url, body, headers) => ask(app, text, method, url, body, headers),
  };
}

async function ask(
  app: FastifyInstance,
  text: string | null,
  method: Method,
  url: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const options: InjectOptions = {
    method,
    url,
    headers: { host: 'localhost', ...(text === null ? {} : { authorization: `Bearer ${text}` }), ...headers },
    ...(body === undefined ? {} : { payload: body as object }),
  };
  const reply = await app.inject(options);
  checkReply({
    method,
    url,
    status: reply.statusCode,
    contentType: (reply.headers['content-type'] as string | undefined) ?? null,
    body: reply.body,
    headers: reply.headers,
  });
  return { status: reply.statusCode, headers: reply.headers, body: bodyOf(reply) };
}

function bodyOf(reply: LightMyRequestResponse): unknown {
  return String(reply.headers['content-type']).includes('json') &&
    !String(reply.headers['content-type']).includes('ndjson')
    ? reply.json()
    : reply.body;
}

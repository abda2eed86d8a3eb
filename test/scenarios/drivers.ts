/** The ways in which a scenario's operations reach a simulation: called directly, in a worker, over HTTP as one request or as many. */
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { createLineValidator } from '../../src/api/line-validator.ts';
import { problemDocument } from '../../src/api/problem.ts';
import { createSimulator, resolveSpec } from '../../src/core/index.ts';
import type { Operation } from '../../src/core/operations.ts';
import type { SimulatorApi } from '../../src/core/simulator-api.ts';
import type { Reply, SessionHost } from '../../src/host/host.ts';
import { LabelError, LabelTable } from '../../src/host/labels.ts';
import { fromOperation, notAsContracted } from '../../src/host/problems.ts';
import { buildApp } from '../../src/server/app.ts';
import { requestOf } from './rest-requests.ts';
import { linesOf, type Metrics, type Played, type ReplyLine, type Scenario } from './scenarios.ts';

type Line = Record<string, unknown>;

const LABEL_BYTES = 1 << 20;
const validate = createLineValidator();

/**
 * In this thread, with no host: what `ops` does with a line, in its plainest form.
 *
 * @param renew before each line, the simulator to go on with
 */
export function playDirectly(
  { spec, ops }: Scenario,
  renew: (simulator: SimulatorApi, line: number) => SimulatorApi = (simulator) => simulator,
): Played {
  let simulator = createSimulator(resolveSpec(spec));
  const labels = new LabelTable(LABEL_BYTES);
  const play = (operation: Line): Omit<ReplyLine, 'line' | 'op'> => {
    try {
      labels.resolve(operation);
    } catch (error) {
      if (!(error instanceof LabelError)) throw error;
      return refused({ code: error.code, detail: error.message, path: error.path });
    }
    const errors = validate(operation);
    if (errors !== null) return refused(notAsContracted(errors));
    const redefined = typeof operation.as === 'string' ? labels.refuse(operation.as) : null;
    if (redefined !== null) return refused(redefined);
    const { as: _as, ...bare } = operation;
    let outcome = simulator.apply(bare as unknown as Operation);
    while (outcome === null) outcome = simulator.resume();
    return outcome.status === 'ok'
      ? { ok: true, result: asJson(outcome.result) }
      : refused(fromOperation(outcome.problem));
  };
  const replies = linesOf(ops).map((operation, i): ReplyLine => {
    const line = i + 1;
    simulator = renew(simulator, line);
    const { op, as } = operation;
    const reply = play(operation);
    if (typeof as === 'string') {
      if (reply.ok) labels.define(as, reply.result!, JSON.stringify(reply.result));
      else labels.failed(as, line);
    }
    return { line, op: typeof op === 'string' ? op : null, ...reply };
  });
  const read = (reading: Parameters<typeof simulator.read>[0]) => {
    const outcome = simulator.read(reading);
    assert.equal(outcome.status, 'ok');
    return asJson((outcome as { result: Line }).result);
  };
  const faults = read({ read: 'faults', limit: 1000 }) as unknown as Played['faults'];
  const metrics = read({ read: 'metrics' }) as unknown as Metrics;
  return { replies, faults, metrics, digest: simulator.digest() };
}

/** In a session's worker, as lines. */
export async function playInWorker(host: SessionHost, { name, spec, ops }: Scenario): Promise<Played> {
  const { id } = accepted(await host.create({ ...spec, name: `${name}-worker` }));
  const body = (async function* () {
    yield Buffer.from(ops);
  })();
  const chunks: Uint8Array[] = [];
  for await (const chunk of accepted(await host.ops(id, body, { onError: 'continue', format: 'ndjson' })))
    chunks.push(chunk);
  const replies = linesOf(Buffer.concat(chunks).toString('utf8')) as unknown as ReplyLine[];
  const faults = accepted(await host.read(id, { read: 'faults', limit: 1000 })) as unknown as Played['faults'];
  const metrics = accepted(await host.read(id, { read: 'metrics' })) as unknown as Metrics;
  return { replies, faults, metrics, digest: accepted(await host.get(id)).digest! };
}

/** A server on a port of its own, and its sessions. */
export class OverHttp {
  private readonly app: Awaited<ReturnType<typeof buildApp>>;
  private readonly base: string;

  private constructor(app: Awaited<ReturnType<typeof buildApp>>) {
    this.app = app;
    this.base = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  }

  static async start(host: SessionHost): Promise<OverHttp> {
    const config = { host: '127.0.0.1', allowedHosts: [] };
    const app = await buildApp({ config, host, lifecycle: { closing: false } });
    await app.listen({ host: '127.0.0.1', port: 0 });
    return new OverHttp(app);
  }

  close(): Promise<void> {
    return this.app.close();
  }

  private async call(method: string, path: string, body?: unknown) {
    const headers = { 'content-type': 'application/json' };
    const request = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) };
    const reply = await fetch(this.base + path, request);
    return { status: reply.status, body: (await reply.json()) as Line };
  }

  private async create(name: string, spec: Line): Promise<string> {
    const { status, body } = await this.call('POST', '/v1/sessions', { ...spec, name });
    assert.equal(status, 201, JSON.stringify(body));
    return `/v1/sessions/${name}`;
  }

  private async end(session: string, replies: ReplyLine[]): Promise<Played> {
    const faults = (await this.call('GET', `${session}/faults?limit=1000`)).body as unknown as Played['faults'];
    const metrics = (await this.call('GET', `${session}/metrics`)).body as unknown as Metrics;
    const digest = (await this.call('GET', session)).body.digest as string;
    return { replies, faults, metrics, digest };
  }

  /** All operations in one `ops` request. */
  async playAsLines({ name, spec, ops }: Scenario): Promise<Played> {
    const session = await this.create(`${name}-lines`, spec);
    const headers = { 'content-type': 'application/x-ndjson' };
    const url = `${this.base}${session}/ops?onError=continue`;
    const reply = await fetch(url, { method: 'POST', headers, body: ops });
    assert.equal(reply.status, 200);
    return this.end(session, linesOf(await reply.text()) as unknown as ReplyLine[]);
  }

  /** Each operation by the request that is made for it; what has no label left is sent as it stands. */
  async playOneByOne({ name, spec, ops }: Scenario): Promise<Played> {
    const session = await this.create(`${name}-rest`, spec);
    const labels = new LabelTable(LABEL_BYTES);
    const devices = new Map<string, string>();
    const replies: ReplyLine[] = [];
    for (const [i, operation] of linesOf(ops).entries()) {
      const line = i + 1;
      const op = operation.op as string;
      let reply: Omit<ReplyLine, 'line' | 'op'>;
      try {
        labels.resolve(operation);
        const { method, path, body } = requestOf(operation as unknown as Operation, devices);
        const answer = await this.call(method, session + path, body);
        reply = answer.status < 300 ? { ok: true, result: answer.body } : { ok: false, problem: answer.body };
      } catch (error) {
        if (!(error instanceof LabelError)) throw error;
        reply = refused({ code: error.code, detail: error.message, path: error.path });
      }
      if (typeof operation.as === 'string' && reply.ok)
        labels.define(operation.as, reply.result!, JSON.stringify(reply.result));
      if (op === 'map' && reply.ok) devices.set(String(reply.result!.id), String(operation.device));
      replies.push({ line, op, ...reply });
    }
    return this.end(session, replies);
  }
}

function refused(problem: Parameters<typeof problemDocument>[0]): { ok: false; problem: Line } {
  return { ok: false, problem: asJson(problemDocument(problem)) };
}

function accepted<T>(reply: Reply<T>): T {
  assert.ok(reply.ok, JSON.stringify(reply));
  return reply.value;
}

/** As it arrives at the other end of a wire: members that are undefined are gone. */
function asJson(value: unknown): Line {
  return JSON.parse(JSON.stringify(value)) as Line;
}

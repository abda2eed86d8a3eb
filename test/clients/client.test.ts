/** The TypeScript client against a real server, and what a network may do to it against servers that break. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it, type TestContext } from 'node:test';
import {
  ConnectionError,
  IommuLab,
  IommuLabError,
  type Operation,
  type OpReply,
} from '../../clients/typescript/src/index.ts';
import { type RealServer, startGuardedServer, startServer } from './server.ts';

const NIC = { devices: [{ name: 'nic0', kind: 'nic' as const }] };

describe('the TypeScript client', () => {
  let server: RealServer;
  let lab: IommuLab;

  before(async () => {
    server = await startServer();
    lab = new IommuLab(server.address);
  });
  after(() => server.stop());

  it('does single operations, typed', async () => {
    await lab.createSession({ name: 'single', ...NIC });
    const { id: buffer } = await lab.createBuffer('single', { lengthBytes: 4096 });
    const mapping = await lab.mapMemory('single', 'nic0', { kind: 'single', direction: 'from-device', buffer });
    const access = await lab.accessMemory('single', 'nic0', {
      iova: mapping.iova,
      lengthBytes: 64,
      access: 'write',
    });
    assert.equal(access.verdict, 'ok');
    const { exposed } = await lab.unmapMapping('single', 'nic0', mapping.id, { cpu: 0 });
    assert.equal(exposed, true);
    const { items } = await lab.listDomains('single');
    const table = await lab.getPageTable('single', { domain: items[0]!.id, iova: mapping.iova });
    assert.equal(table.present, false);
  });

  it('throws problems, with their place', async () => {
    const error = await failing(lab.createBuffer('single', { lengthBytes: -1 }));
    assert.ok(error instanceof IommuLabError);
    assert.deepEqual(
      [error.status, error.code, error.path, error.retryable, error.problem.errors?.length],
      [400, 'invalid-body', '/lengthBytes', false, 1],
    );
    assert.match(error.message, /^POST \/v1\/sessions\/single\/buffers: 400 invalid-body: /);
    const gone = await failing(lab.getSession('no such/session?'));
    assert.ok(gone instanceof IommuLabError);
    assert.deepEqual([gone.status, gone.code], [404, 'unknown-session']);
  });

  it('checks a spec without making a session', async () => {
    const { costs, policy } = await lab.createSession({ preset: 'thread-2008' }, { validateOnly: true });
    assert.equal((costs as { profile: string }).profile, 'riommu15-brcm');
    assert.equal(policy.effective.mode, 'translate');
    await assert.rejects(lab.getSession('thread-2008'));
  });

  it('pages through lists: one when awaited, all when iterated over', async () => {
    await lab.createSession({ name: 'pages' });
    for (let i = 0; i < 5; i++) await lab.createTenant('pages', { name: `vm${i}`, kind: 'vm' });
    const page = await lab.listTenants('pages', { limit: 2 });
    assert.equal(page.items.length, 2);
    assert.ok(page.nextCursor !== undefined);
    const names: (string | undefined)[] = [];
    for await (const { name } of lab.listTenants('pages', { limit: 2 })) names.push(name);
    const all = await lab.listTenants('pages').all();
    assert.deepEqual(
      names,
      all.map(({ name }) => name),
    );
    assert.deepEqual(
      names.filter((name) => name?.startsWith('vm')),
      ['vm0', 'vm1', 'vm2', 'vm3', 'vm4'],
    );
    await assert.rejects(async () => {
      for await (const _ of lab.listTenants('nobody')) assert.fail();
    }, IommuLabError);
  });

  it('sends the next operation after the reply to the one before, through one request', async () => {
    await lab.createSession({ name: 'dialogue', ...NIC });
    let tell!: (reply: OpReply) => void;
    const first = new Promise<OpReply>((resolve) => (tell = resolve));
    async function* operations(): AsyncGenerator<Operation> {
      yield { op: 'buffer', lengthBytes: 4096 };
      const reply = await first;
      assert.ok(reply.ok && reply.op === 'buffer');
      yield { op: 'map', device: 'nic0', kind: 'single', direction: 'to-device', buffer: reply.result.id };
    }
    const said: string[] = [];
    for await (const reply of lab.ops('dialogue', operations())) {
      tell(reply);
      said.push(`${reply.line} ${reply.op} ${reply.ok}`);
    }
    assert.deepEqual(said, ['1 buffer true', '2 map true']);
  });

  it('ends what it asked for when its replies are no longer wanted', async () => {
    await lab.createSession({ name: 'many' });
    let tell!: () => void;
    const isReturned = new Promise<void>((resolve) => (tell = resolve));
    function* operations(): Generator<Operation> {
      try {
        for (;;) yield { op: 'advance', ns: 1 };
      } finally {
        tell();
      }
    }
    for await (const reply of lab.ops('many', operations())) if (reply.line === 5000) break;
    assert.equal((await lab.getSession('many')).state, 'idle');
    await isReturned;
  });

  it('tells the first operation that failed', async () => {
    await lab.createSession({ name: 'failing' });
    const operations: Operation[] = [
      { op: 'advance', ns: 1 },
      { op: 'free', buffer: 'nobody' },
      { op: 'advance', ns: 1 },
    ];
    assert.deepEqual(
      (await lab.ops('failing', operations).all()).map(({ ok }) => ok),
      [true, false],
    );
    assert.deepEqual(
      (await lab.applyOperations('failing', operations, { onError: 'continue' }).all()).map(({ ok }) => ok),
      [true, false, true],
    );
    const error = await failing(lab.ops('failing', operations).results());
    assert.ok(error instanceof IommuLabError);
    assert.match(error.message, /line 2: 400 unknown-buffer/);
    const sent = lab.ops('failing', operations);
    await sent.all();
    await assert.rejects(sent.all(), /have been sent already/);
  });

  it('fails where a source fails', async () => {
    await lab.createSession({ name: 'source' });
    async function* operations(): AsyncGenerator<Operation> {
      yield { op: 'advance', ns: 1 };
      throw new RangeError('of the source');
    }
    await assert.rejects(lab.ops('source', operations()).all(), /^RangeError: of the source$/);
  });

  it('takes a session elsewhere', async () => {
    await lab.createSession({ name: 'here' });
    await lab
      .ops('here', [
        { op: 'buffer', lengthBytes: 8192 },
        { op: 'advance', ns: 5000 },
      ])
      .results();
    const { digest } = await lab.getSession('here');
    const { id } = await lab.takeSnapshot('here', { title: 'to go' });
    const document = await lab.downloadSnapshot('here', id);
    const there = await startServer();
    try {
      const copy = await new IommuLab(there.address).createSession({ fromSnapshot: document, name: 'there' });
      assert.equal(copy.digest, digest);
    } finally {
      await there.stop();
    }
  });

  it('waits for runs and experiments', async () => {
    await lab.createSession({ name: 'runs', preset: 'thread-2008' });
    const seen: (number | null)[] = [];
    const run = await lab.run('runs', { forNs: 5_000_000 }, { onProgress: ({ progress }) => seen.push(progress) });
    assert.equal(run.state, 'finished');
    assert.equal(seen.at(-1), 1);
    assert.ok(run.result!.exposure!.potential!.peakPages! > 0);
    const late = await failing(lab.run('runs', { forNs: 60_000_000_000 }, { timeoutMs: 0 }));
    assert.ok(late instanceof ConnectionError && late.reason === 'timeout');
    const stop = new AbortController();
    const waiting = lab.waitForRun('runs', 'run_2', { signal: stop.signal });
    stop.abort(new Error('enough'));
    await assert.rejects(waiting, /enough/);
    assert.equal((await lab.deleteRun('runs', 'run_2')).state, 'cancelled');

    const { id, state } = await lab.experiment({
      base: { preset: 'thread-2008' },
      vary: { 'policy.invalidation.kind': ['strict', 'deferred-2008'] },
      until: { ns: 1_000_000 },
      seeds: [1],
    });
    assert.equal(state, 'finished');
    const { arms, frontier } = await lab.getExperimentResults(id);
    assert.ok(arms.length >= 2 && frontier.length >= 1);
    const csv: string = await lab.getExperimentResults(id, { accept: 'text/csv' });
    assert.match(csv.split('\n')[0]!, /,/);
    const parquet: Uint8Array = await lab.getExperimentResults(id, { accept: 'application/vnd.apache.parquet' });
    assert.equal(String.fromCharCode(...parquet.subarray(0, 4)), 'PAR1');
    assert.match(await lab.getExperimentReport(id), /<html/);
    assert.match(await lab.getExperimentReport(id, { accept: 'text/markdown' }), /^#/);
    assert.match(await lab.getMetrics('runs', { accept: 'application/openmetrics-text' }), /# EOF/);
    assert.match(await lab.getContract(), /^openapi: 3\.1/);
  });

  it('finds a server that asks for tokens below a base path', async () => {
    const guarded = await startGuardedServer('--base-path', '/lab');
    try {
      const refused = await failing(new IommuLab(guarded.address).listSessions().all());
      assert.ok(refused instanceof IommuLabError && refused.status === 401);
      const own = new IommuLab({ url: `${guarded.address}/`, token: async () => guarded.token });
      assert.equal((await own.whoAmI()).scope, 'write');
      assert.equal(own.url, guarded.address);
    } finally {
      await guarded.stop();
    }
  });
});

describe('a connection that fails', () => {
  it('repeats a POST under one key, and nothing that may not be done twice', async (context) => {
    const keys: unknown[] = [];
    const url = await breaking(context, (request, response) => {
      keys.push(request.headers['idempotency-key']);
      if (keys.length < 3) request.socket.destroy();
      else json(response, 201, { id: 'ses_1' });
    });
    assert.equal((await new IommuLab(url).createSession()).id, 'ses_1');
    assert.equal(keys.length, 3);
    assert.equal(new Set(keys).size, 1);
    for (const play of [
      (lab: IommuLab) => lab.deleteRun('a', 'run_1'),
      (lab: IommuLab) => lab.attachDevice('a', 'nic0', { domain: 'd' }),
      (lab: IommuLab) => lab.createSession({}, { idempotencyKey: false }),
    ]) {
      keys.length = 0;
      const error = await failing(play(new IommuLab(url)));
      assert.ok(error instanceof ConnectionError && error.reason === 'unreachable', String(error));
      assert.equal(keys.length, 1);
    }
  });

  it('repeats what was refused for now, as soon as the server says', async (context) => {
    let asked = 0;
    const url = await breaking(context, (_request, response) => {
      if (++asked < 3) json(response, 503, problem('overloaded', 503, true), { 'retry-after': '0' });
      else json(response, 200, { id: 'a' });
    });
    assert.equal((await new IommuLab(url).deleteSession('a')).id, 'a');
    assert.equal(asked, 3);
    asked = 0;
    const error = await failing(new IommuLab({ url, retries: 1 }).deleteSession('a'));
    assert.ok(error instanceof IommuLabError && error.code === 'overloaded');
    assert.equal(asked, 2);
  });

  it('does not wait for a server that asks for much patience, nor for what will never be', async (context) => {
    let asked = 0;
    let code = 'too-many-requests';
    const url = await breaking(context, (_request, response) => {
      asked++;
      json(response, 429, problem(code, 429, code !== 'never'), { 'retry-after': '3600' });
    });
    const error = await failing(new IommuLab(url).getVersion());
    assert.ok(error instanceof IommuLabError && error.retryAfterMs === 3_600_000);
    code = 'never';
    await assert.rejects(new IommuLab(url).getVersion());
    assert.equal(asked, 2);
  });

  it('goes on with a list of operations where the connection broke', async (context) => {
    const keys: unknown[] = [];
    const line = (i: number) => `${JSON.stringify({ line: i, op: 'advance', ok: true, result: { timeNs: i } })}\n`;
    const url = await breaking(context, (request, response) => {
      keys.push(request.headers['idempotency-key']);
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      request.resume().on('end', () => {
        const text = [1, 2, 3].slice(0, keys.length).map(line).join('');
        if (keys.length === 3) response.end(text);
        else response.write(`${text}{"li`, () => response.destroy());
      });
    });
    const operations: Operation[] = [1, 2, 3].map(() => ({ op: 'advance', ns: 1 }));
    const replies = await new IommuLab(url).ops('a', operations).all();
    assert.deepEqual(
      replies.map((reply) => reply.line),
      [1, 2, 3],
    );
    assert.equal(new Set(keys).size, 1);
    keys.length = 0;
    const error = await failing(new IommuLab({ url, retries: 0 }).ops('a', operations).all());
    assert.ok(error instanceof ConnectionError && error.reason === 'cut', String(error));
    keys.length = 0;
    const once = await failing(new IommuLab(url).ops('a', operations.values()).all());
    assert.ok(once instanceof ConnectionError);
    assert.equal(keys.length, 1, 'a source cannot be sent twice');
  });

  it('takes no more of a source than the server takes of it', async (context) => {
    // Takes nothing: what then is on its way stands in the buffers of both sides.
    const url = await breaking(context, (request) => request.pause());
    const pad = 'x'.repeat(32_000);
    let given = 0;
    function* operations(): Generator<Operation> {
      for (; given < 10_000; given++) yield { op: 'free', buffer: pad };
    }
    await failing(new IommuLab({ url, timeoutMs: 1000 }).ops('a', operations()).all());
    assert.ok(given < 2000, `${given} operations of 32 kB were taken`);
  });

  it('gives up in time, and when it is told to', async (context) => {
    const url = await breaking(context, () => undefined);
    const error = await failing(new IommuLab({ url, timeoutMs: 50, retries: 0 }).getVersion());
    assert.ok(error instanceof ConnectionError && error.reason === 'timeout');
    const stop = new AbortController();
    const asked = new IommuLab(url).getVersion({ signal: stop.signal });
    setTimeout(() => stop.abort(new Error('enough')), 20);
    await assert.rejects(asked, /^Error: enough$/);
    await assert.rejects(new IommuLab(url).getVersion({ signal: AbortSignal.abort(new Error('before')) }), /before/);
  });

  it('says who does not answer, and who is no server of ours', async (context) => {
    const url = await breaking(context, (_request, response) => response.writeHead(502).end('<html>bad gateway'));
    const error = await failing(new IommuLab({ url, retries: 0 }).getVersion());
    assert.ok(error instanceof IommuLabError);
    assert.deepEqual([error.code, error.problem.detail], ['http-502', '<html>bad gateway']);
    const nobody = await failing(new IommuLab({ url: 'http://127.0.0.1:1', retries: 0 }).getVersion());
    assert.match(String(nobody), /^ConnectionError: GET \/v1: the server cannot be reached \(/);
  });
});

async function failing(promise: PromiseLike<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

async function breaking(
  context: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function json(response: ServerResponse, status: number, document: unknown, headers: Record<string, string> = {}): void {
  const type = status < 400 ? 'application/json' : 'application/problem+json';
  response.writeHead(status, { 'content-type': type, ...headers }).end(JSON.stringify(document));
}

function problem(code: string, status: number, retryable: boolean): Record<string, unknown> {
  return { type: `/problems/${code}`, title: code, status, detail: code, code, retryable };
}

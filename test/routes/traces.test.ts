/** `/v1/traces` over HTTP: what a client sees of an upload, whole, in parts, broken off, and refused. */
import assert from 'node:assert/strict';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { TraceArchive } from '../../src/trace/archive/archive.ts';
import { Recording } from '../../tools/prove/trace/recording.ts';
import { type Answer, type GuardedServer, startGuarded } from '../access/guarded-server.ts';
import { newFolder, openArchive } from '../trace/archive/archives.ts';

const recording = new Recording(5, 200_000);
const text = Buffer.concat([...recording.blocks()]);
const { figures } = recording;
const understood = text
  .toString()
  .split('\n')
  .filter((line) => !line.includes('my_driver'))
  .join('\n');
const PLAIN = { 'content-type': 'text/plain' };
const PART = { 'content-type': 'application/partial-upload' };

describe('/v1/traces', () => {
  const ends: (() => unknown)[] = [];
  const ending = { after: (end: () => unknown) => ends.unshift(end) };
  after(async () => {
    for (const end of ends) await end();
  });
  let server: GuardedServer;
  let archive: TraceArchive;

  before(async () => {
    archive = openArchive(ending, newFolder(ending), { limits: { uploadBytes: 2_000_000, idleMs: 3_000 } });
    const traceWork = { analyses: { analyses: 1, heapMib: 512 } };
    server = await startGuarded(ending, { traces: archive, traceWork });
  });

  const call = (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, body?: unknown, headers = {}) =>
    server.as(null)(method, url, body, headers);

  async function ready(id: string): Promise<Answer['body']> {
    for (;;) {
      const { body } = await call('GET', `/v1/traces/${id}`);
      if (body.endedAt !== null) return body;
      await sleep(5);
    }
  }

  /** A request whose body is sent bit by bit. */
  function open(method: string, path: string, headers: Record<string, string>) {
    const request = httpRequest({ host: '127.0.0.1', port: server.port, method, path, headers });
    request.flushHeaders();
    const informed = new Promise<{ statusCode: number; headers: Record<string, unknown> }>((resolve) =>
      request.once('information', resolve as never),
    );
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      request.once('error', reject);
    });
    answered.catch(() => {});
    return { request, informed, answered };
  }

  async function bodyOf(reply: IncomingMessage): Promise<string> {
    let body = '';
    for await (const bytes of reply) body += bytes;
    return body;
  }

  function write(request: ClientRequest, bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      request.write(bytes, () => resolve());
    });
  }

  it('takes a recording with the command that the page shows, and tells what it says', async () => {
    const made = await call('POST', '/v1/traces?format=auto&name=first', text, PLAIN);
    assert.equal(made.status, 201);
    assert.equal(made.headers.location, `/v1/traces/${made.body.id}`);
    const trace = await ready('first');
    assert.deepEqual([trace.id, trace.state, trace.format], [made.body.id, 'ready', 'ftrace']);
    assert.match(trace.recognisedBy, /./);
    assert.equal(trace.lines.total, figures.lines);
    assert.deepEqual([trace.events.map, trace.events.unmap], [figures.maps, figures.unmaps]);
    const list = await call('GET', '/v1/traces?limit=1&state=ready');
    assert.deepEqual([list.body.items[0].id, list.body.items[0].devices], [made.body.id, undefined]);
    const events = await call('GET', `/v1/traces/first/events?kind=map&limit=3&device=${trace.devices[0]}`);
    assert.equal(events.body.items.length, 3);
    assert.match(events.body.items[0].iova, /^0x[0-9a-f]+$/);
    assert.equal((await call('GET', '/v1/traces/first/events?kind=Map!')).body.code, 'invalid-query');
    assert.equal((await call('GET', '/v1/traces/first/events?from=-1')).body.code, 'invalid-query');
  });

  it('takes it packed, by coding or by type, and refuses what it does not know', async () => {
    const { digest } = await ready('first');
    for (const [body, headers] of [
      [gzipSync(text), { ...PLAIN, 'content-encoding': 'gzip' }],
      [zstdCompressSync(text), { ...PLAIN, 'content-encoding': 'zstd' }],
      [gzipSync(text), { 'content-type': 'application/gzip' }],
      [zstdCompressSync(text), { 'content-type': 'application/zstd' }],
      [text, { 'content-type': 'application/octet-stream', 'content-encoding': 'identity' }],
    ] as const) {
      const made = await call('POST', '/v1/traces', body, headers);
      assert.equal((await ready(made.body.id)).digest, digest, JSON.stringify(headers));
      assert.equal((await call('DELETE', `/v1/traces/${made.body.id}`)).status, 200);
    }
    for (const headers of [
      { ...PLAIN, 'content-encoding': 'br' },
      { ...PLAIN, 'content-encoding': 'constructor' },
      { 'content-type': 'application/gzip', 'content-encoding': 'gzip' },
      { 'content-type': 'application/json' },
      { 'content-type': 'application/x-www-form-urlencoded' },
    ])
      assert.deepEqual(
        await call('POST', '/v1/traces', text, headers).then(({ status, body }) => [status, body.code]),
        [415, 'unsupported-media-type'],
      );
    assert.equal((await call('GET', '/v1/traces')).body.items.length, 1);
  });

  it('names what is wrong with the query, and takes nothing', async () => {
    for (const [query, path] of [
      ['format=tarot', '?format'],
      ['format=ftrace&options={"x":1}', '?options'],
      ['options={', '?options'],
      ['options=[]', '?options'],
      ['strict=perhaps', '?strict'],
      ['name=first', '?name'],
      ['name=1', '?name'],
      ['colour=red', '?colour'],
    ]) {
      const { status, body } = await call('POST', `/v1/traces?${encodeURI(query as string)}`, text, PLAIN);
      assert.ok([400, 409].includes(status), `${query}: ${status}`);
      assert.equal(body.errors[0].path, path, `${query}: ${JSON.stringify(body)}`);
    }
    assert.equal((await call('GET', '/v1/traces')).body.items.length, 1);
  });

  it('answers a body that takes a while before it has ended, and ends the reply with it', async () => {
    const { request, answered } = open('POST', '/v1/traces?format=ftrace', PLAIN);
    await write(request, text.subarray(0, 50_000));
    const reply = await answered;
    assert.equal(reply.statusCode, 201);
    const at = String(reply.headers.location);
    const seen = await call('GET', at);
    assert.equal(seen.body.state, 'uploading');
    assert.equal(seen.body.upload.complete, false);
    request.end(text.subarray(50_000));
    const body = JSON.parse(await bodyOf(reply));
    assert.deepEqual([`/v1/traces/${body.id}`, body.state], [at, 'uploading']);
    assert.equal((await ready(body.id)).lines.total, figures.lines);
    await call('DELETE', at);
  });

  it('cuts the reply to a body that it could not take to its end', async () => {
    const { request, answered } = open('POST', '/v1/traces?format=ftrace&strict=true', PLAIN);
    request.on('error', () => {});
    await write(request, Buffer.from(understood.slice(0, 50_000)));
    const reply = await answered;
    assert.equal(reply.statusCode, 201);
    request.write('not a line of anything\n'.repeat(5_000));
    await assert.rejects(bodyOf(reply));
    const { body } = await call('GET', String(reply.headers.location));
    assert.deepEqual([body.state, body.problem.code], ['failed', 'not-understood']);
    await call('DELETE', String(reply.headers.location));
  });

  it('goes on with an upload as the draft of resumable uploads has it', async () => {
    const packed = gzipSync(text);
    const headers = { ...PLAIN, 'content-encoding': 'gzip' };
    const first = open('POST', '/v1/traces', {
      ...headers,
      'upload-complete': '?1',
      'content-length': `${packed.length}`,
    });
    first.request.on('error', () => {});
    const { statusCode, headers: told } = await first.informed;
    assert.equal(statusCode, 104);
    const at = String(told.location);
    assert.match(String(told['upload-limit']), /^max-size=2000000$/);
    await write(first.request, packed.subarray(0, 1000));
    while ((await call('GET', at)).body.bytes < 1000) await sleep(5);
    first.request.destroy();
    const head = await server.app.inject({ method: 'HEAD', url: at, headers: { host: 'localhost' } });
    assert.equal(head.statusCode, 200);
    assert.equal(head.body, '');
    const fields = ['upload-offset', 'upload-complete', 'upload-length', 'cache-control'].map(
      (name) => head.headers[name],
    );
    assert.deepEqual(fields, ['1000', '?0', `${packed.length}`, 'no-store']);

    const wrong = await call('PATCH', at, packed, { ...PART, 'upload-offset': '0', 'upload-complete': '?1' });
    assert.deepEqual([wrong.status, wrong.body.code], [409, 'mismatching-upload-offset']);
    assert.equal(wrong.headers['upload-offset'], '1000');
    const next = { ...PART, 'upload-offset': '1000', 'upload-complete': '?0' };
    const some = await call('PATCH', at, packed.subarray(1000, 3000), next);
    assert.deepEqual(
      [some.status, some.headers['upload-offset'], some.headers['upload-complete']],
      [200, '3000', '?0'],
    );
    const rest = { ...PART, 'upload-offset': '3000', 'upload-complete': '?1' };
    const whole = await call('PATCH', at, packed.subarray(3000), rest);
    assert.deepEqual([whole.status, whole.headers['upload-complete']], [200, '?1']);
    assert.equal((await ready(whole.body.id)).digest, (await ready('first')).digest);
    const over = await call('PATCH', at, packed, {
      ...PART,
      'upload-offset': `${packed.length}`,
      'upload-complete': '?1',
    });
    assert.deepEqual([over.status, over.body.code], [409, 'upload-complete']);
    await call('DELETE', at);
  });

  it('makes a place for an upload before a byte of it comes', async () => {
    const made = await call('POST', '/v1/traces?format=ftrace', undefined, {
      'upload-complete': '?0',
      'upload-length': `${text.length}`,
    });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    assert.deepEqual(made.body.upload, { offset: 0, length: text.length, complete: false, active: false });
    const whole = { ...PART, 'upload-offset': '0', 'upload-complete': '?1' };
    const more = await call('PATCH', String(made.headers.location), Buffer.concat([text, text]), whole);
    assert.deepEqual([more.status, more.body.code], [400, 'inconsistent-upload-length']);
    assert.equal((await call('PATCH', String(made.headers.location), text, whole)).status, 200);
    assert.equal((await ready(made.body.id)).state, 'ready');
    await call('DELETE', String(made.headers.location));
  });

  it('refuses parts that do not say where they go, or come as something else', async () => {
    const made = await call('POST', '/v1/traces', undefined, { 'upload-complete': '?0' });
    const at = String(made.headers.location);
    const good: Record<string, string> = { ...PART, 'upload-offset': '0', 'upload-complete': '?1' };
    for (const [headers, status] of [
      [{ ...good, 'upload-offset': 'nought' }, 400],
      [{ ...good, 'upload-complete': 'true' }, 400],
      [{ ...PART }, 400],
      [{ ...good, 'content-type': 'text/plain' }, 415],
      [{ ...good, 'content-encoding': 'gzip' }, 415],
    ] as const)
      assert.equal((await call('PATCH', at, text, headers)).status, status, JSON.stringify(headers));
    assert.equal((await call('GET', at)).body.bytes, 0);
    assert.equal((await call('PATCH', '/v1/traces/trc_00000000000000000000000000', text, good)).status, 404);
    await call('DELETE', at);
  });

  it('answers a second POST with the same Idempotency-Key with the trace of the first', async () => {
    const headers = { ...PLAIN, 'idempotency-key': 'once' };
    const one = await call('POST', '/v1/traces?format=ftrace', text, headers);
    const two = await call('POST', '/v1/traces?format=ftrace', text, headers);
    assert.deepEqual([two.status, two.body.id], [201, one.body.id]);
    assert.deepEqual([one.headers['idempotency-replayed'], two.headers['idempotency-replayed']], [undefined, 'true']);
    const other = await call('POST', '/v1/traces?format=auto', text, headers);
    assert.deepEqual([other.status, other.body.code], [422, 'idempotency-mismatch']);
    const bad = await call('POST', '/v1/traces', text, { ...PLAIN, 'idempotency-key': 'a b' });
    assert.deepEqual([bad.status, bad.body.code], [400, 'invalid-idempotency-key']);
    await call('DELETE', `/v1/traces/${one.body.id}`);
  });

  it('refuses a recording that is too large by what it says, and by what comes', async () => {
    const { request, answered } = open('POST', '/v1/traces?format=ftrace', { ...PLAIN, 'content-length': '2000001' });
    request.on('error', () => {});
    const refused = await answered;
    assert.equal(refused.statusCode, 413);
    request.destroy();
    const made = await call('POST', '/v1/traces?format=ftrace', undefined, { 'upload-complete': '?0' });
    const at = String(made.headers.location);
    const part = open('PATCH', at, { ...PART, 'upload-offset': '0', 'upload-complete': '?0' });
    part.request.on('error', () => {});
    part.request.end(Buffer.concat(Array(12).fill(text)));
    assert.equal((await part.answered).statusCode, 413);
    assert.deepEqual((await call('GET', at)).body.problem.code, 'recording-too-large');
    await call('DELETE', at);
  });

  it('ends a body that stands still, and says where to go on', async () => {
    const { request, answered } = open('POST', '/v1/traces?format=ftrace', { ...PLAIN, 'upload-complete': '?1' });
    request.on('error', () => {});
    await write(request, text.subarray(0, 1000));
    const reply = await answered;
    assert.equal(reply.statusCode, 408);
    assert.equal(JSON.parse(await bodyOf(reply)).code, 'idle-timeout');
    assert.equal((await call('GET', String(reply.headers.location))).body.upload.offset, 1000);
    request.destroy();
    await call('DELETE', String(reply.headers.location));
  });

  it('takes part in the metrics and the limits of the server', async () => {
    const metrics = await server.app.inject({ url: '/metrics', headers: { host: 'localhost' } });
    assert.match(metrics.body, /^iommu_lab_traces 1$/m);
    const lines = Number(/^iommu_lab_trace_lines_total ([0-9]+)$/m.exec(metrics.body)?.[1]);
    assert.ok(lines >= figures.lines);
    const { body } = await call('GET', '/v1');
    assert.deepEqual([body.limits.traceUploadBytes, body.limits.traceIdleMs], [2_000_000, 3_000]);
    assert.deepEqual(
      [body.limits.traceExports, body.limits.traceExportMs, body.limits.traceAnalyses],
      [2, 3_600_000, 1],
    );
    assert.deepEqual([body.limits.traceAnalysisMs, body.limits.traceAnalysisHeapMib], [600_000, 512]);
    assert.equal(body.links.traces, '/v1/traces');
  });

  it('removes a trace once, and is 404 from then on', async () => {
    assert.equal((await call('DELETE', '/v1/traces/first')).body.state, 'ready');
    for (const method of ['GET', 'DELETE'] as const)
      assert.deepEqual(await call(method, '/v1/traces/first').then(({ status, body }) => [status, body.code]), [
        404,
        'unknown-trace',
      ]);
    assert.equal((await call('GET', '/v1/traces/first/events')).status, 404);
    assert.deepEqual((await call('GET', '/v1/traces')).body.items, []);
  });
});

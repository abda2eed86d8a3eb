/** Sessions that replay recordings: their recording is found by its content, in a new session, after a crash and in an export. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fastify } from 'fastify';
import { registerRoutes } from '../../routes/index.ts';
import { resolveSpec } from '../../src/core/index.ts';
import { TraceArchive } from '../../src/trace/archive/archive.ts';
import { tracesFolder, usesOf } from '../../src/trace/archive/uses.ts';
import { historyText } from '../../src/trace/export/history.ts';
import { sessionOfText } from '../../src/trace/export/session-notes.ts';
import { recordingOf } from '../../src/trace/memory-recording.ts';
import { traffic } from '../trace/lines.ts';
import { accepted, refusal, runEnd } from './hosts.ts';
import { crashed, folderFor, hostOn } from './journal/folders.ts';
import { tapeIn } from './tapes.ts';

function specOf(recording: string): Record<string, unknown> {
  return {
    name: 's',
    devices: [{ name: 'nic0', kind: 'replay' }],
    workloads: [{ kind: 'replay', device: 'nic0', trace: 'it', recording }],
  };
}

function withTape(t: Parameters<typeof folderFor>[0]) {
  const folder = folderFor(t);
  return { folder, digest: tapeIn(tracesFolder(folder), 300) };
}

describe('a session that replays', () => {
  test('is there again after a crash in the middle of its run, from images and from its beginning', async (t) => {
    const { folder, digest } = withTape(t);
    for (const replayMs of [0, Number.POSITIVE_INFINITY]) {
      const options = { traces: tracesFolder(folder), limits: { replayMs } };
      const host = await hostOn(t, folder, options);
      const { id } = await accepted(host.create({ ...specOf(digest), name: `s${replayMs === 0 ? 0 : 1}` }));
      await accepted(host.startRun(id, { forNs: 1_000_000 }));
      await runEnd(host, id, 'run_1');
      await accepted(host.startRun(id, { forNs: 3_000_000 }));
      const copy = crashed(t, folder);
      const again = await hostOn(t, copy, { ...options, traces: tracesFolder(copy) });
      await runEnd(host, id, 'run_2');
      await runEnd(again, id, 'run_2');
      assert.equal((await accepted(again.get(id))).digest, (await accepted(host.get(id))).digest);
      await accepted(host.close().then(() => ({ ok: true as const, value: {} })));
    }
  });

  test('says so when its recording is not there any more', async (t) => {
    const { folder, digest } = withTape(t);
    const host = await hostOn(t, folder, { traces: tracesFolder(folder) });
    const { id } = await accepted(host.create(specOf(digest)));
    const again = await hostOn(t, crashed(t, folder), { traces: join(folder, 'elsewhere') });
    const reply = await again.apply(id, { op: 'advance', ns: 1 });
    assert.equal(reply.ok, false);
    assert.match(reply.ok ? '' : reply.problem.detail, /the recording with the digest [0-9a-f]{64} is not here/);
    assert.equal(await refusal(again.create({ ...specOf('0'.repeat(64)), name: 'other' })), 'invalid-spec');
  });

  test('that is refused for want of its recording is on record as nobody who uses it', async (t) => {
    const { folder } = withTape(t);
    const host = await hostOn(t, folder, { traces: tracesFolder(folder) });
    const missing = '0'.repeat(64);
    assert.equal(await refusal(host.create(specOf(missing))), 'invalid-spec');
    assert.deepEqual(usesOf(tracesFolder(folder), missing), []);
  });

  test('keeps its recording from being deleted', async (t) => {
    const { folder, digest } = withTape(t);
    const host = await hostOn(t, folder, { traces: tracesFolder(folder) });
    const { id } = await accepted(host.create(specOf(digest)));
    assert.deepEqual(usesOf(tracesFolder(folder), digest), [id]);
  });

  test('names a trace over HTTP by its id or name, and its history is exported', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder, { traces: tracesFolder(folder) });
    const traces = new TraceArchive({
      folder: tracesFolder(folder),
      hasSession: (session) => host.ownerOf(session) !== null,
    });
    const app = fastify();
    await registerRoutes(app, { host, traces });
    t.after(() => app.close());
    t.after(() => traces.close());
    const upload = await app.inject({
      method: 'POST',
      url: '/v1/traces?name=boot',
      headers: { 'content-type': 'text/plain' },
      payload: traffic(50),
    });
    const { id } = upload.json();
    for (let i = 0; i < 100; i++) {
      const { state } = (await app.inject({ method: 'GET', url: `/v1/traces/${id}` })).json();
      if (state === 'ready') break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const body = {
      devices: [{ name: 'nic0', kind: 'replay' }],
      workloads: [{ kind: 'replay', device: 'nic0', trace: 'boot' }],
    };
    const made = await app.inject({ method: 'POST', url: '/v1/sessions', payload: body });
    assert.equal(made.statusCode, 201, made.body);
    const session = made.json();
    assert.match(session.spec.workloads[0].recording, /^[0-9a-f]{64}$/);
    const unknown = await app.inject({
      method: 'POST',
      url: '/v1/sessions',
      payload: { ...body, workloads: [{ kind: 'replay', device: 'nic0', trace: 'nobody' }] },
    });
    assert.deepEqual(
      [unknown.statusCode, unknown.json().code, unknown.json().path],
      [400, 'unknown-trace', '/workloads/0/trace'],
    );
    await accepted(host.startRun(session.id, { forNs: 2_000_000 }));
    await runEnd(host, session.id, 'run_1');
    const exported = await app.inject({ method: 'GET', url: `/v1/sessions/${session.id}/trace` });
    assert.equal(exported.statusCode, 200);
    assert.equal(sessionOfText(exported.body)!.digest, (await accepted(host.get(session.id))).digest);
    const plain = await app.inject({ method: 'GET', url: `/v1/sessions/${session.id}/trace?labEvents=false` });
    assert.equal(plain.body.includes('iommu_lab'), false);
    assert.equal(recordingOf(plain.body, { strict: true }).summary.events.map, 50);
    const checks = await app.inject({ method: 'GET', url: `/v1/traces/${id}/checks` });
    assert.deepEqual(
      checks.json().findings.map(({ check }: { check: string }) => check),
      ['fragmentation'],
    );
    const forensics = await app.inject({ method: 'GET', url: `/v1/traces/boot/forensics` });
    assert.deepEqual(forensics.json(), { faults: 0, items: [], forgotten: 0 });
    const gone = await app.inject({ method: 'DELETE', url: `/v1/traces/${id}` });
    assert.equal(gone.json().code, 'trace-in-use');
  });
});

describe('the history of a session', () => {
  test('is the one that its records make, resets and cancelled runs included, and goes on in an import', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder, {});
    const app = fastify();
    await registerRoutes(app, { host });
    t.after(() => app.close());
    const { id } = await accepted(host.create({ preset: 'thread-2008' }));
    await accepted(host.apply(id, { op: 'advance', ns: 5 }));
    await accepted(host.reset(id));
    await accepted(host.apply(id, { op: 'buffer', lengthBytes: 4096 }));
    await accepted(host.startRun(id, { operations: 1e12 }));
    await accepted(host.deleteRun(id, 'run_1'));
    await accepted(host.startRun(id, { forNs: 100_000 }));
    await runEnd(host, id, 'run_2');
    const { digest } = await accepted(host.get(id));
    const reply = await app.inject({ method: 'GET', url: `/v1/sessions/${id}/trace` });
    const noted = sessionOfText(reply.body)!;
    assert.equal(noted.digest, digest);
    assert.equal([...historyText(resolveSpec(noted.spec), noted.records, { labEvents: true })].join(''), reply.body);
    assert.equal((await app.inject({ method: 'GET', url: '/v1/sessions/ses_nobody/trace' })).statusCode, 404);
  });
});

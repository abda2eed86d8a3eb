/** What the routes add to the host: statuses, places, and which problem is about the path and which about the body. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { FakeHost } from './fake-host.ts';
import { startRoutes } from './server.ts';

type Routes = Awaited<ReturnType<typeof startRoutes>>;
let routes: Routes;
let host: FakeHost;
let call: Routes['call'];

before(async () => {
  routes = await startRoutes();
  ({ host, call } = routes);
});
after(() => routes.app.close());
beforeEach(() => host.forget());

const LAB = '/v1/sessions/lab';

describe('statuses', () => {
  it('answers 201 with Location to what creates, below the collection that was asked', async () => {
    for (const [path, body, location] of [
      ['/v1/sessions', undefined, '/v1/sessions/ses_1'],
      [`${LAB}/tenants`, { kind: 'vm' }, `${LAB}/tenants/ten_1`],
      [`${LAB}/domains`, undefined, `${LAB}/domains/dom_1`],
      [`${LAB}/devices`, { kind: 'nic' }, `${LAB}/devices/dev_1`],
      [`${LAB}/buffers`, { lengthBytes: 1 }, `${LAB}/buffers/buf_1`],
      [`${LAB}/workloads`, { kind: 'nic-rx', device: 'nic0' }, `${LAB}/workloads/wl_1`],
      [
        `${LAB}/devices/nic0/mappings`,
        { kind: 'single', direction: 'to-device', buffer: 'b' },
        `${LAB}/devices/nic0/mappings/map_1`,
      ],
    ] as const) {
      const reply = await call('POST', path, body);
      assert.equal(reply.status, 201, path);
      assert.equal(reply.headers.location, location);
    }
  });

  it('answers 202 with Location to a run, and 200 to everything else that acts', async () => {
    const run = await call('POST', `${LAB}/runs`, { forNs: 1000 });
    assert.equal(run.status, 202);
    assert.equal(run.headers.location, `${LAB}/runs/run_1`);
    for (const [method, path, body] of [
      ['POST', `${LAB}/advance`, { ns: 5 }],
      ['POST', `${LAB}/reset`, undefined],
      ['PATCH', LAB, { title: 'another' }],
      ['PUT', `${LAB}/devices/nic0/domain`, { domain: 'shared' }],
      ['DELETE', `${LAB}/devices/nic0/domain`, undefined],
      ['DELETE', `${LAB}/devices/nic0`, undefined],
      ['DELETE', `${LAB}/tenants/t`, undefined],
      ['DELETE', `${LAB}/domains/d`, undefined],
      ['DELETE', `${LAB}/buffers/b?force=true`, undefined],
      ['DELETE', `${LAB}/workloads/w`, undefined],
      ['DELETE', `${LAB}/devices/nic0/mappings/map_1?cpu=2`, undefined],
      ['POST', `${LAB}/devices/nic0/unmap`, { iova: '0xfffff000', lengthBytes: 1, direction: 'to-device' }],
      ['POST', `${LAB}/devices/nic0/dma`, { iova: 4096, lengthBytes: 1, access: 'read' }],
      ['POST', `${LAB}/domains/d/iommu-map`, { iova: 4096, physicalAddress: 0, lengthBytes: 4096, access: 'rw' }],
      ['POST', `${LAB}/domains/d/iommu-unmap`, { iova: 4096, lengthBytes: 4096 }],
      ['POST', `${LAB}/domains/d/invalidate`, { scope: 'domain' }],
      ['DELETE', `${LAB}/runs/run_1`, undefined],
      ['DELETE', LAB, undefined],
    ] as const) {
      assert.equal((await call(method, path, body)).status, 200, `${method} ${path}`);
    }
  });

  it('answers 507 to an expected failure of the simulated kernel', async () => {
    for (const code of ['iova-exhausted', 'no-frame']) {
      host.refuseWith = { code, detail: 'nothing left' };
      const reply = await call('POST', `${LAB}/buffers`, { lengthBytes: 4096 });
      assert.equal(reply.status, 507);
      assert.equal(reply.body.code, code);
    }
  });

  it('answers 409 with the code while a run is active', async () => {
    host.refuseWith = { code: 'run-active', detail: 'run run_1 is active' };
    const reply = await call('POST', `${LAB}/advance`, { ns: 1 });
    assert.deepEqual(
      [reply.status, reply.body.code, reply.body.retryable, reply.body.instance],
      [409, 'run-active', true, `${LAB}/advance`],
    );
  });

  it('answers 500 to a code that is not in the catalogue', async () => {
    host.refuseWith = { code: 'never-heard-of', detail: 'x' };
    assert.equal((await call('POST', `${LAB}/advance`, { ns: 1 })).status, 500);
  });

  it('resolves a spec without creating anything when asked to validate only', async () => {
    const reply = await call('POST', '/v1/sessions?validateOnly=true', { seed: 3 });
    assert.equal(reply.status, 200);
    assert.equal(reply.headers.location, undefined);
    assert.equal(reply.body.policy.allocator.kind, 'rbtree-2008');
  });
});

describe('operations made of path and body', () => {
  const cases = [
    [
      'POST',
      '/devices/nic0/mappings',
      { kind: 'single', direction: 'to-device', buffer: 'b', cpu: 1 },
      { op: 'map', device: 'nic0', kind: 'single', direction: 'to-device', buffer: 'b', cpu: 1 },
    ],
    ['PUT', '/devices/nic0/domain', { domain: 'd2' }, { op: 'attach', device: 'nic0', domain: 'd2' }],
    ['DELETE', '/devices/nic0/domain', undefined, { op: 'detach', device: 'nic0' }],
    ['DELETE', '/devices/nic0', undefined, { op: 'device-remove', device: 'nic0' }],
    [
      'DELETE',
      '/devices/nic0/mappings/map_9?cpu=3',
      undefined,
      { op: 'unmap', mapping: 'map_9', device: 'nic0', cpu: 3 },
    ],
    ['DELETE', '/devices/nic0/mappings/map_9', undefined, { op: 'unmap', mapping: 'map_9', device: 'nic0' }],
    ['DELETE', '/buffers/b', undefined, { op: 'free', buffer: 'b' }],
    ['DELETE', '/buffers/b?force=true', undefined, { op: 'free', buffer: 'b', force: true }],
    ['POST', '/devices/nic0/mappings/map_9/sync', { for: 'cpu' }, { op: 'sync', mapping: 'map_9', for: 'cpu' }],
    [
      'POST',
      '/domains/d/invalidate',
      { scope: 'range', iova: '0x1000', lengthBytes: 4096 },
      { op: 'invalidate', domain: 'd', scope: 'range', iova: '0x1000', lengthBytes: 4096 },
    ],
    ['POST', '/domains/d/invalidate', { scope: 'global' }, { op: 'invalidate', scope: 'global' }],
    ['POST', '/advance', { ns: 7 }, { op: 'advance', ns: 7 }],
  ] as const;
  for (const [method, path, body, operation] of cases) {
    it(`${method} ${path} ${JSON.stringify(body) ?? ''} applies ${operation.op}`, async () => {
      await call(method, LAB + path, body);
      assert.deepEqual(host.applied.at(-1), operation);
    });
  }

  it('looks a domain up before a global invalidation, which does not name it', async () => {
    host.readAnswers.domain = { ok: false, problem: { code: 'unknown-domain', detail: 'no domain `d`', path: '/id' } };
    const before = host.applied.length;
    const reply = await call('POST', `${LAB}/domains/d/invalidate`, { scope: 'global' });
    assert.deepEqual([reply.status, reply.body.code], [404, 'unknown-domain']);
    assert.equal(host.applied.length, before, 'nothing was applied');
  });
});

describe('what does not exist', () => {
  it('is 404 without a pointer when its id came in the path', async () => {
    for (const [method, path, body, code, pointer] of [
      ['POST', '/devices/nic7/dma', { iova: 1, lengthBytes: 1, access: 'read' }, 'unknown-device', '/device'],
      ['DELETE', '/devices/nic0/mappings/map_9', undefined, 'unknown-mapping', '/mapping'],
      ['PUT', '/devices/nic7/domain', { domain: 'd' }, 'unknown-device', '/device'],
      ['DELETE', '/tenants/t', undefined, 'unknown-tenant', '/tenant'],
      ['POST', '/domains/d/iommu-unmap', { iova: 4096, lengthBytes: 4096 }, 'unknown-domain', '/domain'],
    ] as const) {
      host.refuseWith = { code, detail: 'no such thing', path: pointer };
      const reply = await call(method, LAB + path, body);
      assert.equal(reply.status, 404, path);
      assert.equal(reply.body.code, code);
      assert.equal(reply.body.path, undefined);
      assert.equal(reply.body.errors, undefined);
    }
  });

  it('is 400 with the pointer when its id came in the body', async () => {
    for (const [method, path, body, code, pointer] of [
      ['PUT', '/devices/nic0/domain', { domain: 'd7' }, 'unknown-domain', '/domain'],
      [
        'POST',
        '/devices/nic0/mappings',
        { kind: 'single', direction: 'to-device', buffer: 'b7' },
        'unknown-buffer',
        '/buffer',
      ],
      ['POST', '/buffers', { lengthBytes: 1, tenant: 't7' }, 'unknown-tenant', '/tenant'],
    ] as const) {
      host.refuseWith = { code, detail: 'no such thing', path: pointer };
      const reply = await call(method, LAB + path, body);
      assert.equal(reply.status, 400, path);
      assert.deepEqual(reply.body.errors, [{ path: pointer, message: 'no such thing' }]);
    }
  });

  it('is 400 with the parameter when its id came in the query', async () => {
    host.readAnswers['page-table'] = {
      ok: false,
      problem: { code: 'unknown-domain', detail: 'no such domain', path: '/domain' },
    };
    const reply = await call('GET', `${LAB}/page-table?domain=d&iova=0x1000`);
    assert.deepEqual([reply.status, reply.body.path], [400, '?domain']);
  });

  it('points to the parameter also for changes and lists', async () => {
    host.refuseWith = { code: 'out-of-range', detail: 'the machine has CPUs 0 to 3', path: '/cpu' };
    const unmap = await call('DELETE', `${LAB}/devices/nic0/mappings/map_1?cpu=9`);
    assert.deepEqual([unmap.status, unmap.body.path], [400, '?cpu']);
    host.refuseWith = { code: 'invalid-cursor', detail: 'not one of this list', path: '/cursor' };
    const list = await call('GET', `${LAB}/devices?cursor=c`);
    assert.deepEqual([list.status, list.body.path], [400, '?cursor']);
  });

  it('is 404 for sessions and runs', async () => {
    assert.equal((await call('GET', '/v1/sessions/ses_9')).body.code, 'unknown-session');
    assert.equal((await call('POST', '/v1/sessions/ses_9/advance', { ns: 1 })).status, 404);
    assert.equal((await call('GET', `${LAB}/runs/run_9`)).status, 404);
  });

  it('is 404 for paths, and 405 with Allow for methods', async () => {
    const path = await call('GET', '/v1/nothing');
    assert.deepEqual([path.status, path.body.code], [404, 'not-found']);
    const method = await call('PUT', `${LAB}/devices`);
    assert.deepEqual(
      [method.status, method.body.code, method.headers.allow],
      [405, 'method-not-allowed', 'GET, HEAD, POST'],
    );
    const item = await call('POST', `${LAB}/devices/nic0/mappings/map_1`);
    assert.deepEqual([item.status, item.headers.allow], [405, 'GET, HEAD, DELETE']);
  });
});

describe('lists', () => {
  it('hand limit and cursor on as they were given, and link to the next page', async () => {
    host.nextCursor = 'after 2';
    const reply = await call('GET', '/v1/sessions?limit=2&cursor=c1');
    assert.deepEqual(host.pages.at(-1), { limit: 2, cursor: 'c1' });
    assert.equal(reply.headers.link, '</v1/sessions?limit=2&cursor=after+2>; rel="next"');
    host.nextCursor = undefined;
    assert.equal((await call('GET', '/v1/sessions')).headers.link, undefined);
    assert.deepEqual(host.pages.at(-1), {});
  });

  it('hand on what they are to be narrowed to, and refuse by name what they do not know', async () => {
    host.nextCursor = 'after 2';
    const filter = { name: 'lab-*', state: 'idle', allocator: 'bitmap', createdAfter: '2026-01-02T03:04:05+01:00' };
    const reply = await call('GET', `/v1/sessions?${new URLSearchParams(filter)}&limit=2`);
    assert.deepEqual(host.pages.at(-1), { limit: 2, filter });
    assert.match(String(reply.headers.link), /name=lab-\*&state=idle&.*&cursor=after\+2>/);
    host.nextCursor = undefined;
    for (const [query, place] of [
      ['?stat=idle', '?stat'],
      ['?state=asleep', '?state'],
      ['?name=*x', '?name'],
      ['?createdBefore=yesterday', '?createdBefore'],
      ['?state=idle&state=failed', '?state'],
    ]) {
      const refused = await call('GET', `/v1/sessions${query}`);
      assert.deepEqual([refused.status, refused.body.code, refused.body.errors[0].path], [400, 'invalid-query', place]);
    }
    assert.equal((await call('GET', `${LAB}/runs?state=finished`)).status, 200);
    assert.equal((await call('GET', `${LAB}/runs?state=idle`)).body.errors[0].path, '?state');
  });

  it('of the mappings of one device name the device', async () => {
    await call('GET', `${LAB}/devices/nic0/mappings?limit=5`);
    assert.deepEqual(host.readings.at(-1), { read: 'mappings', device: 'nic0', limit: 5 });
    await call('GET', `${LAB}/mappings`);
    assert.deepEqual(host.readings.at(-1), { read: 'mappings' });
  });
});

it('every look inside answers, and asks for what its query says', async () => {
  for (const [path, reading] of [
    ['/space?domain=d&limit=3', { read: 'space', domain: 'd', limit: 3 }],
    [
      '/space/cells?domain=d&from=0x1000&to=0xffff&cells=4&extents=2',
      { read: 'space-cells', domain: 'd', from: '0x1000', to: '0xffff', cells: 4, extents: 2 },
    ],
    ['/space/page?iova=0x1000', { read: 'space-page', iova: '0x1000' }],
    ['/iotlb', { read: 'iotlb' }],
    ['/walk-cache', { read: 'walk-cache' }],
    ['/page-table?domain=d&iova=0x1000', { read: 'page-table', domain: 'd', iova: '0x1000' }],
    ['/queues', { read: 'queues' }],
    ['/allocator', { read: 'allocator' }],
    ['/faults?cursor=c', { read: 'faults', cursor: 'c' }],
    ['/events', { read: 'events' }],
    ['/tenants/t', { read: 'tenant', id: 't' }],
    ['/devices/a%2Fb', { read: 'device', id: 'a/b' }],
    ['/devices/nic0/mappings/map_1', { read: 'mapping', device: 'nic0', id: 'map_1' }],
  ] as const) {
    assert.equal((await call('GET', LAB + path)).status, 200, path);
    assert.deepEqual(host.readings.at(-1), reading);
  }
});

it('the reason of a failed run is a whole problem', async () => {
  const { body } = await call('GET', `${LAB}/runs/run_1`);
  assert.deepEqual([body.state, body.problem.code, body.problem.status], ['failed', 'session-failed', 500]);
});

it('the root of the API names the version and the limits', async () => {
  const { body } = await call('GET', '/v1');
  assert.match(body.version, /^\d+\.\d+\.\d+/);
  assert.equal(body.limits.accessBytes, 16 * 1024 * 1024);
});

/** Bad input: each is refused with the place and the reason, and never reaches the host. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { InjectOptions } from 'fastify';
import { startRoutes } from './server.ts';

type Routes = Awaited<ReturnType<typeof startRoutes>>;
let routes: Routes;
let applied: number;

before(async () => {
  routes = await startRoutes();
});
after(() => routes.app.close());
beforeEach(() => {
  applied = routes.host.applied.length;
});
afterEach(() => assert.equal(routes.host.applied.length, applied, 'what is refused does not reach the host'));

const LAB = '/v1/sessions/lab';
const DMA = `${LAB}/devices/nic0/dma`;

async function errorsOf(url: string, body: unknown): Promise<Record<string, string>> {
  const reply = await routes.call('POST', url, body);
  assert.deepEqual([reply.status, reply.body.code], [400, 'invalid-body']);
  return Object.fromEntries(reply.body.errors.map(({ path, message }: Record<string, string>) => [path, message]));
}

describe('bodies', () => {
  it('name every member that does not fit, and the one that was meant', async () => {
    assert.deepEqual(await errorsOf(DMA, { iova: '4096', lenghtBytes: 1500, access: 'raed' }), {
      '/lenghtBytes': 'unknown member `lenghtBytes`, did you mean `lengthBytes`?',
      '/lengthBytes': 'is required',
      '/iova': 'must be a hex string such as "0xfffff000" or a whole number up to 9007199254740991',
      '/access': 'must be one of `read`, `write`; did you mean `read`?',
    });
  });

  it('are not coerced: a number in quotes is not a number', async () => {
    assert.deepEqual(await errorsOf(DMA, { iova: 1, lengthBytes: '1500', access: 'read' }), {
      '/lengthBytes': 'must be integer',
    });
  });

  it('have limits on every number', async () => {
    assert.deepEqual(await errorsOf(DMA, { iova: 2 ** 53, lengthBytes: 16_777_217, access: 'read' }), {
      '/iova': 'must be <= 9007199254740991',
      '/lengthBytes': 'must be <= 16777216',
    });
    assert.deepEqual(await errorsOf(`${LAB}/advance`, { ns: -1 }), { '/ns': 'must be >= 0' });
    assert.deepEqual(await errorsOf(`${LAB}/advance`, { ns: 0.5 }), { '/ns': 'must be integer' });
  });

  it('refuse what there is not, or not yet, by name', async () => {
    assert.deepEqual(await errorsOf(`${LAB}/devices`, { kind: 'gpu', reserved: true }), {
      '/reserved': 'unknown member `reserved`',
      '/kind': 'must be one of `nic`, `block`, `hostile`, `replay`, `custom`',
    });
    assert.deepEqual(
      Object.keys(
        await errorsOf('/v1/sessions', {
          fromExport: 's',
          policy: { mode: 'damn', allocator: { kind: 'buddy' } },
        }),
      ).sort(),
      ['/fromExport', '/policy/allocator/kind', '/policy/mode'],
    );
  });

  it('of the policy in force are checked like all others', async () => {
    assert.deepEqual(
      await errorsOf('/v1/sessions', {
        kernelCommandLine: 'x'.repeat(2048),
        iommu: { deferredFlush: 'no' },
        policy: { force: 1, forcedac: 'yes', domainType: 'DMA' },
      }),
      {
        '/kernelCommandLine': 'must NOT have more than 2047 characters',
        '/iommu/deferredFlush': 'must be boolean',
        '/policy/force': 'must be boolean',
        '/policy/forcedac': 'must be boolean',
        '/policy/domainType': 'unknown member `domainType`',
      },
    );
    assert.deepEqual(await errorsOf('/v1/sessions', { kernelCommandLine: ['quiet'] }), {
      '/kernelCommandLine': 'must be string',
    });
    assert.deepEqual(Object.keys(await errorsOf('/v1/sessions', { policy: { invalidation: { kind: 'DMA_FQ' } } })), [
      '/policy/invalidation/kind',
    ]);
    assert.deepEqual(await errorsOf('/v1/sessions', { policy: { invalidation: { kind: 'DMA', single: true } } }), {
      '/policy/invalidation': '`single` belongs to the kind `flush-queue`',
    });
  });

  it('say which members belong to which kind', async () => {
    const spec = {
      policy: { allocator: { kind: 'rbtree', apertureBytes: 2 ** 20 }, invalidation: { kind: 'strict', highWater: 5 } },
    };
    assert.deepEqual(await errorsOf('/v1/sessions', spec), {
      '/policy/allocator': '`apertureBytes` belongs to the kind `bitmap`',
      '/policy/invalidation': '`highWater` and `timeoutMs` belong to the kind `deferred-2008`',
    });
  });

  it('of a workload are checked by its kind', async () => {
    assert.deepEqual(
      await errorsOf(`${LAB}/workloads`, { kind: 'nic-rx', device: 'nic0', depth: 4, gbps: 'fast', ringSize: 0 }),
      {
        '/depth': 'unknown member `depth`',
        '/gbps': 'must be a number from 0.001 to 1000, or "line-rate"',
        '/ringSize': 'must be >= 1',
      },
    );
    assert.deepEqual(await errorsOf(`${LAB}/workloads`, { kind: 'nic_rx', device: 'nic0' }), {
      '/kind':
        'must be one of `nic-rx`, `nic-tx`, `block`, `dma-window`, `map-benchmark`, `hostile`, `replay`; did you mean `nic-rx`?',
    });
  });

  it('of a map have one source of memory', async () => {
    const url = `${LAB}/devices/nic0/mappings`;
    const both = { kind: 'single', direction: 'to-device', buffer: 'b', physicalAddress: 0, lengthBytes: 1 };
    assert.deepEqual(await errorsOf(url, both), {
      '': 'takes exactly one of `buffer`, `physicalAddress` and `segments`',
    });
    const segments = Array.from({ length: 4097 }, () => ({ buffer: 'b' }));
    assert.deepEqual(await errorsOf(url, { kind: 'sg', direction: 'to-device', segments }), {
      '/segments': 'must NOT have more than 4096 items',
    });
  });

  it('of a run have exactly one stop rule', async () => {
    const rule = 'takes exactly one of `untilNs`, `forNs`, `operations` and `until`';
    assert.deepEqual(await errorsOf(`${LAB}/runs`, {}), { '': rule });
    assert.deepEqual(await errorsOf(`${LAB}/runs`, { forNs: 1, operations: 1 }), { '': rule });
    assert.deepEqual(await errorsOf(`${LAB}/runs`, { until: { metric: 'timeNs' } }), {
      '/until': 'takes `metric` and one of `above` and `below`',
    });
  });

  it('that are absent count as an empty object', async () => {
    assert.deepEqual(await errorsOf(DMA, undefined), {
      '/iova': 'is required',
      '/lengthBytes': 'is required',
      '/access': 'is required',
    });
  });

  it('with very many wrong values are answered with the first, not with all', async () => {
    const devices = Array.from({ length: 6000 }, () => 7);
    const errors = await errorsOf('/v1/sessions', { devices });
    assert.equal(Object.keys(errors).length, 1);
  });
});

describe('what is not a JSON body', () => {
  const bodies: [string, InjectOptions, number, string][] = [
    [
      'text that is not JSON',
      { payload: '{"ns": 1', headers: { 'content-type': 'application/json' } },
      400,
      'not-json',
    ],
    ['an array', { payload: '[]', headers: { 'content-type': 'application/json' } }, 400, 'invalid-body'],
    ['null', { payload: 'null', headers: { 'content-type': 'application/json' } }, 400, 'invalid-body'],
    [
      'a member named __proto__',
      { payload: '{"__proto__": {"ns": 1}}', headers: { 'content-type': 'application/json' } },
      400,
      'invalid-body',
    ],
    [
      'deep nesting',
      { payload: `{"ns":${'['.repeat(20000)}${']'.repeat(20000)}}`, headers: { 'content-type': 'application/json' } },
      400,
      'invalid-body',
    ],
    [
      'another type',
      { payload: '{"ns": 1}', headers: { 'content-type': 'text/plain' } },
      415,
      'unsupported-media-type',
    ],
    [
      'a form',
      { payload: 'ns=1', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      415,
      'unsupported-media-type',
    ],
    [
      'no type',
      { payload: Buffer.from('{"ns": 1}'), headers: { 'content-length': '9' } },
      415,
      'unsupported-media-type',
    ],
    [
      'too much',
      { payload: `{"ns": ${' '.repeat(70_000)}1}`, headers: { 'content-type': 'application/json' } },
      413,
      'body-too-large',
    ],
    [
      'less than announced',
      { payload: '{"ns": 1}', headers: { 'content-type': 'application/json', 'content-length': '20' } },
      400,
      'bad-request',
    ],
  ];
  for (const [what, options, status, code] of bodies) {
    it(`${what}: ${status} ${code}`, async () => {
      const reply = await routes.inject({ method: 'POST', url: `${LAB}/advance`, ...options });
      assert.deepEqual([reply.statusCode, reply.json().code], [status, code]);
    });
  }

  it('a body where none is taken: 400 unexpected-body; an empty object is none', async () => {
    assert.equal((await routes.call('POST', `${LAB}/reset`, { hard: true })).body.code, 'unexpected-body');
    assert.equal((await routes.call('DELETE', LAB, { force: true })).body.code, 'unexpected-body');
    assert.equal((await routes.call('POST', `${LAB}/reset`, {})).status, 200);
  });
});

describe('queries', () => {
  for (const [url, errors] of [
    ['/v1/sessions?limit=0', [{ path: '?limit', message: 'must be >= 1' }]],
    ['/v1/sessions?limit=x', [{ path: '?limit', message: 'must be integer' }]],
    ['/v1/sessions?limit=1&limit=2', [{ path: '?limit', message: 'must be integer' }]],
    ['/v1/sessions?limt=1', [{ path: '?limt', message: 'unknown query parameter `limt`, did you mean `limit`?' }]],
    [`${LAB}?verbose=1`, [{ path: '?verbose', message: 'unknown query parameter `verbose`' }]],
    [`${LAB}/page-table?domain=d`, [{ path: '?iova', message: 'is required' }]],
    [`${LAB}/page-table?domain=d&iova=4096`, [{ path: '?iova', message: 'must be a hex address such as 0xfffff000' }]],
  ] as const) {
    it(`${url} is refused by name`, async () => {
      const reply = await routes.call('GET', url);
      assert.deepEqual([reply.status, reply.body.code, reply.body.errors], [400, 'invalid-query', errors]);
    });
  }

  it('of changes too', async () => {
    assert.equal((await routes.call('DELETE', `${LAB}/devices/d/mappings/m?cpu=256`)).status, 400);
    assert.equal((await routes.call('DELETE', `${LAB}/buffers/b?force=yes`)).status, 400);
    assert.equal((await routes.call('POST', `${LAB}/advance?dryRun=1`, { ns: 1 })).status, 400);
    const ops = await routes.inject({
      method: 'POST',
      url: `${LAB}/ops?onError=ignore`,
      payload: '',
      headers: { 'content-type': 'application/jsonl' },
    });
    assert.equal(ops.statusCode, 400);
  });
});

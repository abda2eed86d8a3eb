/** Protection modes over REST: what a client sees of a pool that is full, of a guest, of an untrusted device. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { CheckedInject } from '../contract/conformance.ts';
import { startRoutesOnCore } from './server.ts';

let server: Awaited<ReturnType<typeof startRoutesOnCore>>;
let inject: CheckedInject;

before(async () => {
  server = await startRoutesOnCore();
  inject = server.inject;
});
after(() => server.close());

async function call(status: number, method: 'GET' | 'POST' | 'DELETE', url: string, body?: object) {
  const reply = await inject({ method, url: `/v1/sessions${url}`, ...(body && { payload: body }) });
  assert.equal(reply.statusCode, status, `${method} ${url}: ${reply.body}`);
  return reply.json();
}

describe('bounce', () => {
  it('fills, answers 507 with its code, and shows its high-water mark', async () => {
    await call(201, 'POST', '', {
      name: 'bounce',
      policy: { mode: 'bounce', bounce: { poolBytes: 262_144 } },
      devices: [{ name: 'nic', kind: 'nic' }],
    });
    const at = '/bounce/devices/nic';
    await call(201, 'POST', '/bounce/buffers', { name: 'b', lengthBytes: 300_000 });
    const body = { kind: 'single', direction: 'bidirectional', buffer: 'b', lengthBytes: 262_144 };
    const mapped = await call(201, 'POST', `${at}/mappings`, body);
    assert.equal(mapped.breakdown.copy, 50 + 262_144 * 0.744);
    const full = await call(507, 'POST', `${at}/mappings`, { ...body, lengthBytes: 1 });
    assert.deepEqual([full.code, full.retryable], ['bounce-pool-full', true]);
    const synced = await call(200, 'POST', `${at}/mappings/${mapped.id}/sync`, { for: 'cpu', lengthBytes: 1000 });
    assert.equal(synced.costCycles, 50 + 744);
    const dma = { iova: mapped.iova, lengthBytes: 262_144, access: 'read' };
    assert.equal((await call(200, 'POST', `${at}/dma`, dma)).verdict, 'ok');
    await call(200, 'DELETE', `${at}/mappings/${mapped.id}`);
    assert.equal((await call(200, 'POST', `${at}/dma`, dma)).verdict, 'unprotected');
    const { counters } = await call(200, 'GET', '/bounce/metrics');
    assert.deepEqual([counters.bounceUsedSlots, counters.bounceUsedSlotsPeak, counters.bounceFailures], [0, 128, 1]);
    assert.equal((await call(200, 'GET', '/bounce/space')).bounce.usedSlotsPeak, 128);
    const { digest } = await call(200, 'GET', '/bounce');
    await call(200, 'POST', '/bounce/reset');
    const fresh = await call(200, 'GET', '/bounce');
    assert.notEqual(fresh.digest, digest);
    const { name: _, ...spec } = fresh.spec;
    assert.equal((await call(201, 'POST', '', spec)).digest, fresh.digest, 'a resolved spec is a spec');
  });

  it('refuses parameters out of bounds and of other modes, by name', async () => {
    const problem = await call(400, 'POST', '', { policy: { mode: 'bounce', bounce: { poolBytes: 262_145 } } });
    assert.equal(problem.errors[0].path, '/policy/bounce/poolBytes');
    await call(400, 'POST', '', { policy: { mode: 'bounce', bounce: { slots: 1 } } });
    const other = await call(400, 'POST', '', { policy: { mode: 'shadow', emulated: {} } });
    assert.equal(other.errors[0].path, '/policy/emulated');
    await call(400, 'POST', '', { policy: { mode: 'swiotlb' } });
  });
});

it('shadow answers 507 at the limit of its pool', async () => {
  await call(201, 'POST', '', {
    name: 'shadow',
    policy: { mode: 'shadow', shadow: { classBytes: [4096], poolBytes: 4096 } },
    devices: [{ name: 'nic', kind: 'nic' }],
  });
  const body = { kind: 'single', direction: 'to-device', physicalAddress: '0x8000000', lengthBytes: 100 };
  await call(201, 'POST', '/shadow/devices/nic/mappings', body);
  assert.equal((await call(507, 'POST', '/shadow/devices/nic/mappings', body)).code, 'shadow-pool-full');
});

it('an untrusted device is shown as one and never sees a byte beside its buffer', async () => {
  await call(201, 'POST', '', { name: 'dock', policy: { invalidation: { kind: 'strict' } } });
  const device = await call(201, 'POST', '/dock/devices', { name: 'd', kind: 'custom', untrusted: true });
  assert.equal(device.untrusted, true);
  await call(201, 'POST', '/dock/buffers', { name: 'b', lengthBytes: 4096 });
  const body = { kind: 'single', direction: 'from-device', buffer: 'b', lengthBytes: 100 };
  const mapped = await call(201, 'POST', '/dock/devices/d/mappings', body);
  const dma = { iova: mapped.iova, lengthBytes: 4096, access: 'write' };
  assert.equal((await call(200, 'POST', '/dock/devices/d/dma', dma)).verdict, 'ok');
  assert.ok(mapped.assumptions.includes('zeroByte'));
});

describe('guests', () => {
  for (const mode of ['direct', 'emulated', 'paravirtual', 'nested'])
    it(`${mode}: a domain needs a VM, a mapping its memory`, async () => {
      const problem = await call(400, 'POST', '', { policy: { mode }, devices: [{ kind: 'nic' }] });
      assert.equal(problem.errors[0].path, '/devices/0/domain');
      await call(201, 'POST', '', { name: mode, policy: { mode }, tenants: [{ name: 'vm', kind: 'vm' }] });
      assert.equal((await call(400, 'POST', `/${mode}/domains`, {})).path, '/tenant');
      const domain = await call(201, 'POST', `/${mode}/domains`, { tenant: 'vm' });
      await call(201, 'POST', `/${mode}/devices`, { name: 'nic', kind: 'nic', domain: domain.id });
      await call(201, 'POST', `/${mode}/buffers`, { name: 'hosts', lengthBytes: 4096 });
      await call(201, 'POST', `/${mode}/buffers`, { name: 'own', lengthBytes: 4096, tenant: 'vm' });
      const body = { kind: 'single', direction: 'from-device' };
      const refused = await call(400, 'POST', `/${mode}/devices/nic/mappings`, { ...body, buffer: 'hosts' });
      assert.deepEqual([refused.code, refused.path], ['policy-conflict', '/buffer']);
      const mapped = await call(201, 'POST', `/${mode}/devices/nic/mappings`, { ...body, buffer: 'own' });
      const dma = { iova: mapped.iova, lengthBytes: 64, access: 'write' };
      assert.equal((await call(200, 'POST', `/${mode}/devices/nic/dma`, dma)).verdict, 'ok');
      // Guests with tables of their own map without a word to anybody.
      assert.equal(mapped.breakdown.vmExit > 0, mode === 'emulated' || mode === 'paravirtual');
    });
});

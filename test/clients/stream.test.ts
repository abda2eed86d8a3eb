/** The stream of the TypeScript client, each way: cut, resumed, behind a slow reader, over a restart of the server, and at its end. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { encode } from 'cbor2';
import { decodeCbor } from '../../clients/typescript/src/cbor.ts';
import {
  IommuLab,
  IommuLabError,
  type LabStream,
  type Operation,
  type StreamMessage,
  type StreamState,
} from '../../clients/typescript/src/index.ts';
import { Relay } from './relay.ts';
import { type RealServer, startGuardedServer, startServer } from './server.ts';

const NIC = { devices: [{ name: 'nic0', kind: 'nic' as const }] };
const FAULT: Operation = { op: 'dma', device: 'nic0', iova: '0x5000', lengthBytes: 64, access: 'write' };
const WAYS = ['websocket', 'binary', 'events'] as const;
const QUICK = { firstMs: 10, mostMs: 50 };

let server: RealServer;
let lab: IommuLab;

before(async () => {
  server = await startServer();
  lab = new IommuLab(server.address);
});
after(() => server.stop());

const fault = (session: string, client = lab): Promise<unknown> =>
  client.ops(session, [FAULT, { op: 'advance', ns: 1000 }]).results();

function opened(stream: LabStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.state === 'open') resolve();
    else stream.on('state', (state) => state === 'open' && resolve());
  });
}

/** Faults one after the other, each when the one before has been told, so that each is a frame of its own. */
async function faultOneByOne(session: string, count: number, stream: LabStream): Promise<void> {
  for (let i = 0; i < count; i++) {
    const told = new Promise<void>((resolve) => {
      const off = stream.on('faults', () => {
        off();
        resolve();
      });
    });
    await fault(session);
    await told;
  }
}

for (const way of WAYS)
  describe(`the stream by ${way}`, () => {
    it('gives frames, and ends with the session', async () => {
      const session = `ends-${way}`;
      await lab.createSession({ name: session, ...NIC });
      const stream = lab.openStream(session, { topics: ['faults', 'metrics'], everyMs: 10, way });
      await opened(stream);
      await fault(session);
      const seen = new Set<string>();
      let deletion: Promise<unknown> | undefined;
      for await (const message of stream) {
        // Metrics may have been recorded before the access.
        if (message.type === 'metrics' && (message.data.verdicts?.fault ?? 0) === 0) continue;
        seen.add(message.type);
        if (message.type === 'faults') assert.equal(message.data.items.length, 1);
        if (message.type === 'metrics') assert.equal(message.data.verdicts!.fault, 1);
        if (seen.size === 2) deletion ??= lab.deleteSession(session);
      }
      assert.deepEqual([...seen].sort(), ['faults', 'metrics']);
      const { why, code } = await stream.ended;
      assert.deepEqual([why, code], ['deleted', 4500]);
      await deletion;
    });

    it('gives each frame once and in order, however often it is cut', async () => {
      const session = `cut-${way}`;
      await lab.createSession({ name: session, ...NIC });
      const relay = await new Relay(server.address).start();
      try {
        const stream = new IommuLab(relay.url).openStream(session, { topics: ['faults'], way, retry: QUICK });
        const watch = lab.openStream(session, { topics: ['faults'] });
        const whole: StreamMessage[] = [];
        watch.on('message', (message) => whole.push(message));
        await Promise.all([opened(stream), opened(watch)]);
        const busy = faultOneByOne(session, 12, watch);
        const seen: StreamMessage[] = [];
        for await (const message of stream) {
          seen.push(message);
          if (seen.length === 2 || seen.length === 6) relay.cut();
          if (seen.length === 12) break;
        }
        await busy;
        assert.deepEqual(seen, whole);
        assert.ok(seen.every(({ type }) => type === 'faults'));
        assert.ok(relay.connections >= 3, `${relay.connections}`);
        watch.close();
      } finally {
        relay.close();
      }
    });

    it('goes on where an earlier one was, and tells what cannot be had again', async () => {
      const session = `after-${way}`;
      await lab.createSession({ name: session, ...NIC });
      const first = lab.openStream(session, { topics: ['faults'], way });
      await opened(first);
      await fault(session);
      for await (const _ of first) break;
      const { place } = first;
      assert.ok(place !== undefined);
      assert.equal((await first.ended).why, 'closed');
      await fault(session);
      for await (const message of lab.openStream(session, { topics: ['faults'], after: place, way })) {
        assert.equal(message.type, 'faults');
        assert.ok((message as { sequence: number }).sequence > place.sequence);
        break;
      }
      const live = lab.openStream(session, { topics: ['faults'], way });
      await opened(live);
      const reset = lab.resetSession(session);
      for await (const message of live) {
        assert.equal(message.type, 'epoch');
        break;
      }
      await reset;
      for await (const message of lab.openStream(session, { topics: ['faults'], after: place, way })) {
        assert.deepEqual([message.type, (message as { reason: string }).reason], ['gap', 'other-epoch']);
        break;
      }
    });

    it('gives up its connection for a slow reader, and loses nothing', async () => {
      const session = `slow-${way}`;
      await lab.createSession({ name: session, ...NIC });
      const stream = lab.openStream(session, { topics: ['faults'], way, buffered: 3, retry: QUICK });
      const watch = lab.openStream(session, { topics: ['faults'] });
      const whole: number[] = [];
      watch.on('faults', ({ sequence }) => whole.push(sequence));
      await Promise.all([opened(stream), opened(watch)]);
      const states: StreamState[] = [];
      stream.on('state', (state) => states.push(state));
      // Nobody looks until all of it has happened.
      await faultOneByOne(session, 10, watch);
      const seen: number[] = [];
      for await (const message of stream) {
        if (message.type === 'faults') seen.push(message.sequence);
        if (seen.length === 10) break;
      }
      assert.ok(states.includes('full'), states.join());
      assert.deepEqual(seen, whole);
      watch.close();
    });

    it('is refused for good where the session is not', async () => {
      const stream = lab.openStream('nobody', { way });
      const error = await failing(stream);
      assert.ok(error instanceof IommuLabError, String(error));
      assert.equal(error.code, 'unknown-session');
      assert.equal((await stream.ended).why, 'refused');
    });
  });

describe('the stream, whichever way', () => {
  it('falls back to events where upgrades do not get through', async () => {
    await lab.createSession({ name: 'proxied', ...NIC });
    const relay = await new Relay(server.address).start();
    relay.refusesUpgrades = true;
    try {
      const stream = new IommuLab(relay.url).openStream('proxied', { topics: ['faults'], retry: QUICK });
      await opened(stream);
      assert.equal(stream.connectedBy, 'events');
      await fault('proxied');
      for await (const { type } of stream) {
        assert.equal(type, 'faults');
        break;
      }
    } finally {
      relay.close();
    }
  });

  it('gives up when it is told to, and ends by its signal', async () => {
    const stream = new IommuLab('http://127.0.0.1:1').openStream('any', { retry: { ...QUICK, giveUpMs: 100 } });
    await failing(stream);
    assert.equal((await stream.ended).why, 'gave-up');
    const stop = new AbortController();
    await lab.createSession({ name: 'signal' });
    const other = lab.openStream('signal', { signal: stop.signal });
    await opened(other);
    setTimeout(() => stop.abort(), 10);
    for await (const _ of other);
    assert.equal((await other.ended).why, 'closed');
    const never = lab.openStream('signal', { signal: AbortSignal.abort() });
    assert.equal((await never.ended).why, 'closed');
  });

  it('brings a token each way', async () => {
    const guarded = await startGuardedServer();
    try {
      const own = new IommuLab({ url: guarded.address, token: guarded.token });
      await own.createSession({ name: 'guarded', ...NIC });
      for (const way of WAYS) {
        const error = await failing(new IommuLab(guarded.address).openStream('guarded', { way }));
        assert.ok(error instanceof IommuLabError && error.status === 401, String(error));
        const stream = own.openStream('guarded', { topics: ['faults'], way });
        await opened(stream);
        await fault('guarded', own);
        for await (const { type } of stream) {
          assert.equal(type, 'faults');
          break;
        }
      }
    } finally {
      await guarded.stop();
    }
  });

  it('comes back over a restart of the server, and says what is gone', async () => {
    const own = await startServer();
    try {
      const client = new IommuLab(own.address);
      await client.createSession({ name: 'restart', ...NIC });
      const stream = client.openStream('restart', { topics: ['faults'], retry: QUICK });
      await opened(stream);
      await fault('restart', client);
      const seen: string[] = [];
      for await (const message of stream) {
        seen.push(message.type === 'gap' ? `gap ${message.reason}` : message.type);
        if (seen.length === 1) await own.restart('SIGTERM');
        if (message.type === 'gap') await fault('restart', client);
        if (seen.length === 3) break;
      }
      assert.deepEqual(seen, ['faults', 'gap other-epoch', 'faults']);
    } finally {
      await own.stop();
    }
  });
});

describe('CBOR', () => {
  it('reads what another encoder writes', () => {
    const values = [
      ...[0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER, -1, -24, -25, -(2 ** 40)],
      ...[0.5, 1.1, -4.25, 65_504, 2 ** -24, 3.4028234663852886e38, 1e300, Number.POSITIVE_INFINITY],
      ...['', 'a', 'ü'.repeat(200), 'x'.repeat(70_000), true, false, null],
      [[], [1, [2, [3]]], {}, { a: { b: [null, 'c'] }, __proto__x: 1 }],
      Array.from({ length: 300 }, (_, i) => ({ i, text: `t${i}` })),
    ];
    for (const value of values) assert.deepEqual(decodeCbor(encode(value)), value);
    assert.ok(Number.isNaN(decodeCbor(encode(Number.NaN))));
    assert.equal(Object.getPrototypeOf(decodeCbor(encode(new Map([['__proto__', 1]])))), Object.prototype);
  });

  it('refuses what is cut, too long, or not of the stream', () => {
    const whole = encode({ a: [1, 2.5, 'text'] });
    for (let length = 0; length < whole.byteLength; length++)
      assert.throws(() => decodeCbor(whole.slice(0, length)), `${length} bytes`);
    assert.throws(() => decodeCbor(Uint8Array.of(...whole, 0)), /after the value/);
    assert.throws(() => decodeCbor(Uint8Array.of(0xc1, 0)), /tags/);
    assert.throws(() => decodeCbor(Uint8Array.of(0x9f, 0xff)), /not known in advance/);
    assert.throws(() => decodeCbor(new Uint8Array(1000).fill(0x81)), /too deeply/);
    assert.throws(() => decodeCbor(Uint8Array.of(0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)));
  });
});

async function failing(stream: LabStream): Promise<unknown> {
  try {
    for await (const _ of stream);
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

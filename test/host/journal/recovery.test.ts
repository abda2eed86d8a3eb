/** Sessions outlive the server: what was acknowledged is there again, nothing twice, in the same state. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { coreVersion } from '../../../src/core/index.ts';
import type { SessionHost } from '../../../src/host/host.ts';
import { JournalDatabase } from '../../../src/host/journal/database.ts';
import type { HostOptions } from '../../../src/host/session-host.ts';
import { LONG_NS } from '../fake-simulator.ts';
import { accepted, bodyOf, FAKE, linesOf, Recorder, refusal, runEnd, textOf, until } from '../hosts.ts';
import { crashed, folderFor, hostOn } from './folders.ts';

const SPEC = { preset: 'thread-2008' };

const lines = (count: number, from = 0): string =>
  Array.from({ length: count }, (_, i) => JSON.stringify({ op: 'advance', ns: 1000 + from + i })).join('\n');

async function send(host: SessionHost, session: string, text: string): Promise<number> {
  const replies = await accepted(host.ops(session, bodyOf(text), { onError: 'stop', format: 'ndjson' }));
  return linesOf(await textOf(replies)).filter(({ ok }) => ok).length;
}

/** All that a session says of itself but for what only wall time tells; that is in the journal, too, so its length is left out. */
async function described(host: SessionHost, session: string): Promise<unknown> {
  const { state: _state, storedBytes: _bytes, ...document } = await accepted(host.get(session));
  const { items } = await accepted(host.listRuns(session, {}));
  const metrics = await accepted(host.read(session, { read: 'metrics' }));
  const runs = items.map(({ result, ...run }) => {
    const { wallSeconds: _wall, realTimeFactor: _factor, ...simulated } = result ?? {};
    return { ...run, simulated };
  });
  return JSON.parse(JSON.stringify({ document, runs, metrics }));
}

/** A bit of everything that a journal can hold. */
async function live(host: SessionHost, name: string): Promise<void> {
  await accepted(host.create({ ...SPEC, name, title: 'what a title is' }));
  const { id } = await accepted(host.apply(name, { op: 'buffer', lengthBytes: 65_536 }));
  const map = { op: 'map', device: 'nic0', kind: 'single', direction: 'from-device', lengthBytes: 1500 } as const;
  const mapped = await accepted(host.apply(name, { ...map, buffer: id as string, offsetBytes: 64 }));
  await accepted(
    host.apply(name, { op: 'dma', device: 'nic0', iova: mapped.iova as string, lengthBytes: 64, access: 'write' }),
  );
  await accepted(host.startRun(name, { operations: 400 }));
  assert.equal((await runEnd(host, name, 'run_1')).state, 'finished');
  await accepted(host.apply(name, { op: 'unmap', mapping: mapped.id as string }));
  await accepted(host.startRun(name, { operations: 1e12 }));
  await accepted(host.deleteRun(name, 'run_2'));
  assert.equal(await refusal(host.apply(name, { op: 'free', buffer: 'buf_99' })), 'unknown-buffer');
  assert.equal(
    await send(
      host,
      name,
      `${lines(30)}\n{"op":"map","device":"nic0","kind":"single","direction":"to-device","physicalAddress":"0x200000","lengthBytes":4096,"as":"m"}\n{"op":"unmap","mapping":"$m"}\n`,
    ),
    32,
  );
  await accepted(host.startRun(name, { forNs: 300_000 }));
  await runEnd(host, name, 'run_3');
  await accepted(host.startRun(name, { operations: 10 }));
  await runEnd(host, name, 'run_4');
  await accepted(host.deleteRun(name, 'run_1'));
}

/** Without images, with one when much is to be done again, and with one after each change. */
const IMAGES: [string, HostOptions][] = [
  ['from its beginning', { limits: { replayMs: Number.POSITIVE_INFINITY } }],
  ['from an image now and then', { limits: { replayMs: 0.05 } }],
  ['from an image of each state', { limits: { replayMs: 0 } }],
];

describe('a session after a crash', () => {
  for (const [how, options] of IMAGES)
    test(`is what it was at the last acknowledgement, ${how}: digest, runs, ids, metrics`, async (t) => {
      const folder = folderFor(t);
      const host = await hostOn(t, folder, options);
      await live(host, 's');
      const before = await described(host, 's');
      const again = await hostOn(t, crashed(t, folder), options);
      assert.deepEqual(await described(again, 's'), before);
      // And it goes on as the other one does.
      for (const each of [host, again]) {
        await accepted(each.apply('s', { op: 'buffer', lengthBytes: 4096 }));
        await accepted(each.startRun('s', { operations: 50 }));
        await runEnd(each, 's', 'run_5');
      }
      assert.deepEqual(await described(again, 's'), await described(host, 's'));
    });

  test('that has an image it cannot use is had from its beginning', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder, { limits: { replayMs: 0 } });
    await live(host, 's');
    const before = await described(host, 's');
    const copy = crashed(t, folder);
    const database = new JournalDatabase(join(copy, 'sessions.sqlite'), 'commit');
    const number = database.sessions()[0]!.number;
    const whole = database.image(number)!;
    const bent = whole.body.slice();
    bent[bent.length - 9]! ^= 1;
    database.commit([{ do: 'image', number, body: bent }]);
    database.close();
    assert.deepEqual(await described(await hostOn(t, copy), 's'), before);
  });

  test('is what the last reset made of it', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder);
    await live(host, 's');
    await accepted(host.reset('s'));
    await accepted(host.apply('s', { op: 'advance', ns: 77 }));
    const again = await hostOn(t, crashed(t, folder));
    assert.deepEqual(await described(again, 's'), await described(host, 's'));
    assert.equal((await accepted(again.get('s'))).operations, 1);
  });

  test('has a prefix of an ops request that was cut: all lines that were answered', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder, { sliceMs: 1 });
    await accepted(host.create({ name: 's' }));
    const replies = await accepted(host.ops('s', bodyOf(`${lines(20_000)}\n`), { onError: 'stop', format: 'ndjson' }));
    let answered = '';
    let copy: string | null = null;
    for await (const bytes of replies) {
      answered += Buffer.from(bytes).toString();
      if (copy === null && answered.length > 200_000) {
        const acknowledged = answered.split('\n').length - 1;
        copy = crashed(t, folder);
        const again = await hostOn(t, copy);
        const { operations, timeNs } = await accepted(again.get('s'));
        assert.ok(operations >= acknowledged, `${operations} of ${acknowledged}`);
        assert.equal(timeNs, (operations * (operations - 1)) / 2 + 1000 * operations);
      }
    }
    assert.ok(copy !== null);
  });

  test('that was deleted is gone, and its name is free; one that was renamed has its new name', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder);
    await accepted(host.create({ name: 'gone' }));
    await accepted(host.create({ name: 'old' }));
    await accepted(host.delete('gone'));
    await accepted(host.rename('old', { name: 'new', title: 'T' }));
    const again = await hostOn(t, crashed(t, folder));
    const { items } = await accepted(again.list({}));
    assert.deepEqual(
      items.map(({ name, title }) => [name, title]),
      [['new', 'T']],
    );
    assert.equal(await refusal(again.get('old')), 'unknown-session');
    await accepted(again.create({ name: 'gone' }));
    assert.equal(await refusal(again.create({ name: 'new' })), 'name-taken');
  });

  test('keeps an operation that the simulated kernel failed, and none that was refused', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder, { simulatorModule: FAKE });
    await accepted(host.create({ name: 's' }));
    const map = { op: 'map', kind: 'single', direction: 'to-device', physicalAddress: 0, lengthBytes: 1 } as const;
    assert.equal(await refusal(host.apply('s', { ...map, device: 'full' })), 'iova-exhausted');
    assert.equal(await refusal(host.apply('s', { op: 'unmap', mapping: 'map_77' })), 'unknown-mapping');
    await accepted(host.apply('s', { op: 'advance', ns: LONG_NS }));
    const again = await hostOn(t, crashed(t, folder), { simulatorModule: FAKE });
    assert.deepEqual(
      await accepted(again.read('s', { read: 'events' })),
      await accepted(host.read('s', { read: 'events' })),
    );
    assert.equal((await accepted(again.get('s'))).operations, 2);
  });
});

describe('a run that the end of the server cut', () => {
  for (const [how, options] of [IMAGES[0]!, IMAGES[2]!])
    test(`goes on by itself ${how} and comes to the same result`, async (t) => {
      const folder = folderFor(t);
      const host = await hostOn(t, folder, options);
      await accepted(host.create({ ...SPEC, name: 's' }));
      await accepted(host.startRun('s', { operations: 120_000 }));
      // A second of computing leaves a mark, and an image there.
      await until('a mark', async () => (await accepted(host.getRun('s', 'run_1'))).progress! > 0.6, 30_000);
      const copy = crashed(t, folder);
      const again = await hostOn(t, copy, options);
      await runEnd(host, 's', 'run_1');
      await until('it is back', async () => (await accepted(again.get('s'))).activeRun !== null);
      const run = await runEnd(again, 's', 'run_1');
      assert.equal(run.state, 'finished');
      assert.deepEqual(await described(again, 's'), await described(host, 's'));
    });

  test('stays at its last mark, and says so, where that was asked for', async (t) => {
    const folder = folderFor(t);
    const options = { simulatorModule: FAKE };
    const host = await hostOn(t, folder, options);
    await accepted(host.create({ name: 's', fake: { eventUs: 20 } }));
    await accepted(host.startRun('s', { operations: 1e9, onRestart: 'interrupt' }));
    await until(
      'a second of computing',
      async () => (await accepted(host.getRun('s', 'run_1'))).timeNs > 60_000,
      20_000,
    );
    const copy = crashed(t, folder);
    const again = await hostOn(t, copy, options);
    await until('it is back', async () => (await accepted(again.get('s'))).state === 'idle');
    const { state, problem, timeNs } = await accepted(again.getRun('s', 'run_1'));
    assert.equal(state, 'cancelled');
    assert.equal(problem?.code, 'run-interrupted');
    assert.ok(timeNs > 10_000 && timeNs < 60_000 + 50_000, `${timeNs}`);
    // And stays there the next time.
    const digest = (await accepted(again.get('s'))).digest;
    const third = await hostOn(t, crashed(t, copy), options);
    assert.equal((await accepted(third.get('s'))).digest, digest);
    assert.equal((await accepted(third.getRun('s', 'run_1'))).timeNs, timeNs);
  });

  test('is not cut by a stop in good order: it goes on afterwards', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder);
    await accepted(host.create({ ...SPEC, name: 's' }));
    await accepted(host.startRun('s', { operations: 20_000 }));
    await host.close();
    const again = await hostOn(t, folder);
    assert.equal((await runEnd(again, 's', 'run_1')).state, 'finished');
  });
});

describe('a session at rest', () => {
  test('is put to rest after a stop in good order, and tells what it is without being woken', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder);
    await live(host, 's');
    // An image comes to what is stored.
    const documentOf = async (of: SessionHost): Promise<unknown> => {
      const { storedBytes: _bytes, ...document } = await accepted(of.get('s'));
      return document;
    };
    const before = (await documentOf(host)) as object;
    await host.close();
    const again = await hostOn(t, folder);
    assert.deepEqual(await documentOf(again), { ...before, state: 'hibernated' });
    assert.deepEqual([again.status().awake, again.status().sessions], [0, 1]);
    await accepted(again.read('s', { read: 'metrics' }));
    assert.equal(again.status().awake, 1);
    assert.deepEqual(await documentOf(again), before);
  });

  test('comes of being left alone, or of too many being awake; waking changes nothing', async (t) => {
    const limits = { awakeSessions: 3 };
    const host = await hostOn(t, folderFor(t), { limits });
    const digests = new Map<string, string>();
    for (let i = 0; i < 8; i++) {
      const name = `s${i}`;
      await accepted(host.create({ name, seed: i + 1 }));
      await send(host, name, `${lines(5, i)}\n`);
      digests.set(name, (await accepted(host.get(name))).digest!);
    }
    await until('three are awake', () => host.status().awake <= 3);
    const { items } = await accepted(host.list({}));
    assert.deepEqual(
      items.map(({ state }) => state),
      [...Array(5).fill('hibernated'), 'idle', 'idle', 'idle'],
    );
    for (const { name, digest } of items) assert.equal(digest, digests.get(name!));
    for (const [name, digest] of digests) {
      await accepted(host.apply(name, { op: 'advance', ns: 1 }));
      await accepted(host.reset(name));
      await send(host, name, `${lines(5, Number(name.slice(1)))}\n`);
      assert.equal((await accepted(host.get(name))).digest, digest);
    }
  });

  test('keeps its epoch, so that its subscribers miss nothing', async (t) => {
    const host = await hostOn(t, folderFor(t), { limits: { idleMs: 1 } });
    const recorder = new Recorder();
    host.listen(recorder);
    await accepted(host.create({ name: 's' }));
    const epoch = host.epochOf('s');
    await until('it rests', () => host.status().awake === 0);
    await accepted(host.apply('s', { op: 'advance', ns: 1 }));
    assert.equal(host.epochOf('s'), epoch);
    await until('a frame of after', () => recorder.of('metrics').some(({ timeNs }) => timeNs === 1));
  });

  test('is what it was left at, also where an older state of it is told in the same breath', async (t) => {
    const host = await hostOn(t, folderFor(t), { simulatorModule: FAKE, limits: { idleMs: 1 } });
    for (const name of ['s', 'other']) await accepted(host.create({ name }));
    await until('both rest', () => host.status().awake === 0);
    for (const name of ['s', 'other']) await accepted(host.apply(name, { op: 'advance', ns: 1 }));
    // The worker is busy until there is all of it to do: a look, a change, and then to put the session to rest.
    const memory = { physicalAddress: 0, lengthBytes: 2_500 } as const;
    const slow = host.apply('other', { op: 'map', device: 'slow', kind: 'single', direction: 'to-device', ...memory });
    const looked = host.get('s');
    await accepted(host.apply('s', { op: 'advance', ns: 1 }));
    await Promise.all([slow, looked]);
    await until('it rests', () => host.status().awake === 0);
    assert.equal((await accepted(host.apply('s', { op: 'advance', ns: 1 }))).timeNs, 3);
  });

  test('answers many at once, in their order, once it is awake', async (t) => {
    const host = await hostOn(t, folderFor(t), { limits: { idleMs: 1 } });
    await accepted(host.create({ name: 's' }));
    await until('it rests', () => host.status().awake === 0);
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, i) => accepted(host.apply('s', { op: 'advance', ns: i + 1 }))),
    );
    let sum = 0;
    assert.deepEqual(
      replies.map(({ timeNs }) => timeNs),
      Array.from({ length: 50 }, (_, i) => (sum += i + 1)),
    );
  });
});

describe('a worker that dies', () => {
  const crash = {
    op: 'map',
    device: 'crash',
    kind: 'single',
    direction: 'to-device',
    physicalAddress: 0,
    lengthBytes: 1,
  } as const;

  test('takes nothing with it: its sessions come back by themselves, under another epoch', async (t) => {
    const host = await hostOn(t, folderFor(t), { simulatorModule: FAKE });
    const recorder = new Recorder();
    host.listen(recorder);
    for (const name of ['a', 'b']) {
      await accepted(host.create({ name }));
      await accepted(host.apply(name, { op: 'advance', ns: 5 }));
    }
    const epoch = host.epochOf('b');
    const digest = (await accepted(host.get('b'))).digest;
    assert.equal(await refusal(host.apply('a', crash)), 'session-recovering');
    await until('both are back', () => host.status().awake === 2 && host.status().recovering === 0);
    assert.notEqual(host.epochOf('b'), epoch);
    assert.equal((await accepted(host.get('b'))).digest, digest);
    assert.equal((await accepted(host.apply('a', { op: 'advance', ns: 1 }))).timeNs, 6);
  });
});

describe('what cannot be had again', () => {
  test('is a session of its own trouble: it says why, can be deleted, and the others go on', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder);
    for (const name of ['bad', 'good']) {
      await accepted(host.create({ name }));
      await send(host, name, `${lines(10)}\n`);
    }
    await host.close();
    const file = new DatabaseSync(join(folder, 'sessions.sqlite'));
    file.exec(
      `UPDATE entries SET body = CAST(replace(CAST(body AS TEXT), '"ns":1003', '"ns":1004') AS BLOB) WHERE session = 1`,
    );
    file.close();
    const again = await hostOn(t, folder);
    const reply = await again.read('bad', { read: 'metrics' });
    assert.ok(!reply.ok);
    assert.equal(reply.problem.code, 'session-lost');
    assert.match(reply.problem.detail, /sessions\.sqlite: entry \d+ of session number 1 .* does not match its sum/);
    assert.equal((await accepted(again.get('bad'))).state, 'failed');
    await accepted(again.apply('good', { op: 'advance', ns: 1 }));
    await accepted(again.delete('bad'));
    await accepted(again.create({ name: 'bad' }));
  });

  test('is a session of another version of the core, by name', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder);
    await accepted(host.create({ name: 's' }));
    await host.close();
    const again = await hostOn(t, folder, { simulatorModule: FAKE });
    const reply = await again.read('s', { read: 'metrics' });
    assert.ok(!reply.ok);
    assert.ok(reply.problem.detail.includes(`made by version ${coreVersion} of the core, and this is version fake`));
  });

  test('a journal that leads to another state than the one written down is not believed', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder);
    await accepted(host.create({ name: 's' }));
    await send(host, 's', `${lines(3)}\n`);
    await host.close();
    const database = new JournalDatabase(join(folder, 'sessions.sqlite'), 'commit');
    const [stored] = database.sessions();
    const status = { ...stored!.rest!.status, digest: '0'.repeat(64) };
    database.commit([{ do: 'rest', number: 1, status }]);
    database.close();
    const again = await hostOn(t, folder);
    const reply = await again.read('s', { read: 'metrics' });
    assert.ok(!reply.ok);
    assert.match(reply.problem.detail, /does not lead to the state/);
  });
});

test('a session whose worker takes long to put it to rest is not lost sight of', async (t) => {
  const limits = { callTimeoutMs: 300, idleMs: 1 };
  const host = await hostOn(t, folderFor(t), { simulatorModule: FAKE, limits });
  await accepted(host.create({ name: 'slow', fake: { suspensions: 1, resumeMs: 1600 } }));
  const { id } = await accepted(host.create({ name: 'left' }));
  // While the worker is at it, the host looks twice whether calls have waited too long.
  await host.apply('slow', { op: 'advance', ns: LONG_NS });
  const stateOf = async (): Promise<string> =>
    (await accepted(host.list({}))).items.find((session) => session.id === id)!.state;
  await until('it rests', async () => (await stateOf()) === 'hibernated');
  let told: string | null = null;
  await until('the worker has time for it', async () => {
    const reply = await host.apply('left', { op: 'advance', ns: 1 });
    told = reply.ok ? null : reply.problem.code;
    return told !== 'session-recovering' && told !== 'timeout';
  });
  assert.equal(told, null);
});

test('a session on its way to rest is not told with a digest of before', async (t) => {
  const host = await hostOn(t, folderFor(t), { simulatorModule: FAKE, limits: { idleMs: 1 } });
  await accepted(host.create({ name: 'slow', fake: { suspensions: 1, resumeMs: 1600 } }));
  await accepted(host.create({ name: 'left' }));
  await accepted(host.apply('left', { op: 'advance', ns: 5 }));
  // The worker is at it when the session has been left alone for long enough, and until after the list.
  const slow = host.apply('slow', { op: 'advance', ns: LONG_NS });
  await sleep(1200);
  const left = async () => (await accepted(host.list({}))).items.find(({ name }) => name === 'left')!;
  const { state, digest } = await left();
  assert.deepEqual({ state, digest }, { state: 'recovering', digest: null });
  await slow;
  await until('it rests', async () => (await left()).state === 'hibernated');
  const { operations, digest: there } = await left();
  assert.deepEqual([operations, there], [1, (await accepted(host.get('left'))).digest]);
});

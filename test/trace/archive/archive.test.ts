import assert from 'node:assert/strict';
import { existsSync, readdirSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { markUse } from '../../../src/trace/archive/uses.ts';
import { TraceStore } from '../../../src/trace/store.ts';
import { openTape } from '../../../src/trace/tape.ts';
import { Recording } from '../../../tools/prove/trace/recording.ts';
import { codeOf, create, ended, newFolder, openArchive, PLAIN, part, until, upload, value } from './archives.ts';

function recordingOf(seed: number, bytes: number) {
  const recording = new Recording(seed, bytes);
  const text = Buffer.concat([...recording.blocks()]);
  return { text, figures: recording.figures, openMaps: recording.openMaps };
}

const small = recordingOf(1, 300_000);
const filesOf = (folder: string) => readdirSync(join(folder, 'traces')).filter((name) => name !== 'uses');

describe('The archive', () => {
  it('takes a recording, reads it, and accounts for every line of it', async (t) => {
    const folder = newFolder(t);
    const archive = openArchive(t, folder);
    const id = await upload(archive, small.text);
    const trace = await ended(archive, id);
    const { figures } = small;
    assert.deepEqual([trace.state, trace.problem, trace.progress], ['ready', null, 1]);
    assert.deepEqual([trace.bytes, trace.unpackedBytes, trace.upload.complete], [figures.bytes, figures.bytes, true]);
    assert.equal(trace.lines.total, figures.lines);
    assert.equal(trace.lines.comments, figures.comments);
    assert.equal(trace.lines.understood, figures.maps + figures.unmaps);
    const skipped = trace.lines.skipped.reduce((sum, { count }) => sum + count, 0);
    assert.equal(skipped, figures.foreign);
    assert.deepEqual([trace.events.map, trace.events.unmap], [figures.maps, figures.unmaps]);
    assert.deepEqual([trace.openMaps, trace.unmatchedUnmaps], [small.openMaps, 0]);
    assert.equal(trace.devices.length, 3);
    assert.equal(trace.records, figures.maps + figures.unmaps);
    // What is kept is the tape, and a seal of its own says what it is.
    assert.deepEqual(filesOf(folder), [`${trace.digest}.tape`]);
    const tape = openTape(value(archive.tapeOf(id)).path);
    t.after(() => tape.close());
    assert.deepEqual([tape.digest, tape.count], [trace.digest, trace.records]);
    tape.verify();
  });

  it('reads the same, packed in whatever way, and keeps one tape of it', async (t) => {
    const folder = newFolder(t);
    const archive = openArchive(t, folder);
    const half = small.text.length >> 1;
    const halves = [small.text.subarray(0, half), small.text.subarray(half)];
    const packed = [
      ['identity', small.text],
      ['gzip', gzipSync(small.text)],
      ['zstd', zstdCompressSync(small.text)],
      ['gzip', Buffer.concat(halves.map((part) => gzipSync(part)))],
      ['zstd', Buffer.concat(halves.map((part) => zstdCompressSync(part)))],
    ] as const;
    const digests = new Set<string | null>();
    const ids: string[] = [];
    for (const [encoding, bytes] of packed) {
      const id = await upload(archive, bytes, { encoding });
      const trace = await ended(archive, id);
      assert.equal(trace.state, 'ready', JSON.stringify(trace.problem));
      assert.deepEqual([trace.bytes, trace.lines.total], [bytes.length, small.figures.lines]);
      digests.add(trace.digest);
      ids.push(id);
    }
    assert.equal(digests.size, 1);
    assert.equal(filesOf(folder).length, 1);
    // It stays as long as one of them does.
    for (const id of ids.slice(1)) value(await archive.delete(id));
    assert.equal(filesOf(folder).length, 1);
    value(await archive.events(ids[0] as string, { from: 0, limit: 1 }));
    value(await archive.delete(ids[0] as string));
    assert.deepEqual(filesOf(folder), []);
  });

  it('reads while bytes arrive', async (t) => {
    const archive = openArchive(t, newFolder(t));
    const id = create(archive);
    const body = new PassThrough();
    const appending = archive.append(id, part(body));
    body.write(small.text.subarray(0, 200_000));
    const trace = await until(() => {
      const now = value(archive.get(id));
      return now.lines.total > 1000 && now;
    });
    assert.deepEqual([trace.state, trace.upload.active, trace.upload.complete], ['uploading', true, false]);
    assert.equal(trace.bytes, 200_000);
    body.end(small.text.subarray(200_000));
    assert.equal(value(await appending).upload.complete, true);
    assert.equal((await ended(archive, id)).lines.total, small.figures.lines);
  });

  it('goes on where an upload broke off, after the server has ended, too', async (t) => {
    const folder = newFolder(t);
    let archive = openArchive(t, folder);
    const packed = zstdCompressSync(small.text);
    const id = create(archive, { encoding: 'zstd', lengthBytes: packed.length });
    let offset = 0;
    for (const cut of [1, 1000, 1001, packed.length >> 1, packed.length - 1]) {
      const body = new PassThrough();
      const appending = archive.append(id, part(body, { offset, complete: true }));
      body.write(packed.subarray(offset, cut));
      await until(() => value(archive.get(id)).bytes === cut);
      if (cut % 2 === 0) body.destroy(new Error('the connection broke'));
      else await archive.close();
      assert.equal(codeOf(await appending), cut % 2 === 0 ? 'aborted' : 'upload-superseded');
      if (cut % 2 !== 0) archive = openArchive(t, folder);
      offset = value(archive.get(id)).upload.offset;
      assert.equal(offset, cut);
    }
    value(await archive.append(id, part(packed.subarray(offset), { offset })));
    const trace = await ended(archive, id);
    assert.deepEqual([trace.state, trace.lines.total], ['ready', small.figures.lines]);
    const whole = await ended(archive, await upload(archive, small.text));
    assert.equal(trace.digest, whole.digest);
  });

  it('reads anew what was not read to its end when the server ended', async (t) => {
    const folder = newFolder(t);
    const first = openArchive(t, folder, { limits: { readers: 0 } });
    const id = await upload(first, small.text);
    assert.equal(value(first.get(id)).state, 'reading');
    await first.close();
    writeFileSync(join(folder, 'traces', `${id}.tape.part`), 'half a tape');
    writeFileSync(join(folder, 'traces', 'trc_other.upload'), 'of nobody');
    const second = openArchive(t, folder);
    assert.equal((await ended(second, id)).lines.total, small.figures.lines);
    assert.equal(filesOf(folder).length, 1);
    await second.close();
    // And finds it ready from then on.
    const third = openArchive(t, folder);
    assert.deepEqual(value(third.get(id)), value(third.get(id)));
    assert.equal(value(third.get(id)).events.map, small.figures.maps);
  });

  it('says so when bytes that it had are gone', async (t) => {
    const folder = newFolder(t);
    const first = openArchive(t, folder, { limits: { readers: 0 } });
    const lost = await upload(first, small.text);
    const short = create(first);
    await first.append(short, part(small.text.subarray(0, 5000), { complete: false }));
    await first.close();
    truncateSync(join(folder, 'traces', `${lost}.upload`), 100);
    truncateSync(join(folder, 'traces', `${short}.upload`), 4000);
    const second = openArchive(t, folder);
    const trace = value(second.get(lost));
    assert.deepEqual([trace.state, trace.problem?.code], ['failed', 'upload-lost']);
    // Of one that still uploads the sender is told where to go on.
    assert.equal(value(second.get(short)).upload.offset, 4000);
  });

  it('holds the sender to what it says of offset and length', async (t) => {
    const archive = openArchive(t, newFolder(t));
    const id = create(archive, { lengthBytes: 1000 });
    const bytes = small.text.subarray(0, 1000);
    const ask = async (request: Parameters<typeof part>[1], from = 0, to = 100) =>
      codeOf(await archive.append(id, part(bytes.subarray(from, to), request)));
    assert.equal(await ask({ offset: 1, complete: false }), 'mismatching-upload-offset');
    assert.equal(await ask({ complete: true }), 'inconsistent-upload-length');
    assert.equal(await ask({ complete: false, lengthBytes: 999 }), 'inconsistent-upload-length');
    assert.equal(await ask({ complete: false, bodyBytes: 1001 }), 'inconsistent-upload-length');
    assert.equal(value(archive.get(id)).bytes, 0);
    assert.equal(await ask({ complete: false }), null);
    assert.equal(await ask({ offset: 0, complete: false }), 'mismatching-upload-offset');
    // Nobody said how long this body is, and it is too long, or too short.
    assert.equal(
      codeOf(await archive.append(id, part(Readable.from([small.text]), { offset: 100, complete: false }))),
      'inconsistent-upload-length',
    );
    const { offset } = value(archive.get(id)).upload;
    assert.equal(
      codeOf(await archive.append(id, part(Readable.from([bytes.subarray(offset, 900)]), { offset }))),
      'inconsistent-upload-length',
    );
    assert.equal(await ask({ offset: 900, complete: true }, 900, 1000), null);
    assert.equal(await ask({ offset: 1000, complete: true }, 1000, 1000), 'upload-complete');
  });

  it('takes a second request for an upload in the place of the first', async (t) => {
    const archive = openArchive(t, newFolder(t));
    const id = create(archive);
    const dead = new PassThrough();
    const first = archive.append(id, part(dead));
    dead.write(small.text.subarray(0, 1000));
    await until(() => value(archive.get(id)).bytes === 1000);
    const second = archive.append(id, part(small.text.subarray(1000), { offset: 1000 }));
    assert.equal(codeOf(await first), 'upload-superseded');
    assert.equal(value(await second).bytes, small.text.length);
    assert.equal((await ended(archive, id)).lines.total, small.figures.lines);
  });

  it('ends an upload that brings nothing, and keeps what came', async (t) => {
    const archive = openArchive(t, newFolder(t), { limits: { idleMs: 20 } });
    const id = create(archive);
    const body = new PassThrough();
    body.write(small.text.subarray(0, 1000));
    assert.equal(codeOf(await archive.append(id, part(body))), 'idle-timeout');
    assert.equal(value(archive.get(id)).upload.offset, 1000);
  });

  it('with an Idempotency-Key makes one trace, also for who asks again after a restart', async (t) => {
    const folder = newFolder(t);
    const first = openArchive(t, folder);
    const made = { key: 'k local', print: 'p' };
    const one = value(first.create(PLAIN, 'local', made));
    const again = value(first.create(PLAIN, 'local', made));
    assert.deepEqual([one.replayed, again.replayed, again.trace.id], [false, true, one.trace.id]);
    assert.equal(codeOf(first.create(PLAIN, 'local', { ...made, print: 'q' })), 'idempotency-mismatch');
    await first.close();
    const second = openArchive(t, folder);
    assert.equal(value(second.create(PLAIN, 'local', made)).trace.id, one.trace.id);
    value(await second.delete(one.trace.id));
    assert.equal(value(second.create(PLAIN, 'local', made)).replayed, false);
  });

  it('says why a recording cannot be read, and takes no more of it', async (t) => {
    const archive = openArchive(t, newFolder(t));
    const failing = [
      [Buffer.from('neither this nor that\n'.repeat(100)), { format: 'auto' }, 'unrecognised'],
      [gzipSync(small.text).subarray(0, -9), { encoding: 'gzip' }, 'invalid-encoding'],
      [small.text, { encoding: 'zstd' }, 'invalid-encoding'],
      [small.text, { strict: true }, 'not-understood'],
    ] as const;
    for (const [bytes, input, code] of failing) {
      const trace = await ended(archive, await upload(archive, bytes, input));
      assert.deepEqual([trace.state, trace.problem?.code, trace.digest], ['failed', code, null]);
      assert.equal(codeOf(await archive.events(trace.id, { from: 0, limit: 1 })), 'trace-not-ready');
      assert.equal(trace.storedBytes, 0);
    }
    const strict = archive.list({ limit: 10 });
    assert.ok((value(strict).items[3]?.problem?.line ?? 0) > 6);
    // While it still uploads: who sends is told at once.
    const id = create(archive, { strict: true });
    const body = new PassThrough();
    const appending = archive.append(id, part(body));
    body.write('not a line of anything\n'.repeat(2000));
    assert.equal(codeOf(await appending), 'trace-failed');
    assert.equal(codeOf(await archive.append(id, part(Buffer.from('x'), { offset: 1 }))), 'trace-failed');
  });

  it('refuses formats and options that there are not, before a byte is taken', (t) => {
    const archive = openArchive(t, newFolder(t));
    const refused = [
      [{ format: 'tarot' }, '/format'],
      [{ format: 'constructor' }, '/format'],
      [{ options: { ordre: 'merged' } }, '/options'],
      [{ options: { mergeWindow: 0 } }, '/options'],
    ] as const;
    for (const [input, path] of refused) {
      const reply = archive.create({ ...PLAIN, ...input }, 'local');
      assert.ok(!reply.ok);
      assert.deepEqual([reply.problem.code, reply.problem.path], ['invalid-query', path]);
    }
    assert.equal(value(archive.list({ limit: 10 })).items.length, 0);
  });

  it('takes no more than there may be: traces, bytes of one, of an owner, of all, of the disk', async (t) => {
    const folder = newFolder(t);
    const { length } = small.text;
    const limits = { uploadBytes: length + 10_000, storedBytes: 2 * length + 50_000, traces: 5 };
    const archive = openArchive(t, folder, { limits: { ...limits, readers: 0 } });
    archive.govern((owner) => ({ traces: owner === 'few' ? 1 : 0, traceBytes: owner === 'small' ? 100_000 : 0 }));
    const asked = (input: object, owner = 'local') => codeOf(archive.create({ ...PLAIN, ...input }, owner));
    assert.equal(asked({ lengthBytes: length + 10_001 }), 'recording-too-large');
    assert.equal(asked({ lengthBytes: 100_001 }, 'small'), 'too-much-stored');
    assert.equal(asked({}, 'few'), null);
    assert.equal(asked({}, 'few'), 'too-many-traces');
    // Without a length it is found out when it comes.
    const endless = () => part(Readable.from(Array(20).fill(small.text.subarray(0, 65_536)), { objectMode: false }));
    const one = create(archive, {}, 'local');
    assert.equal(codeOf(await archive.append(one, endless())), 'recording-too-large');
    assert.equal(value(archive.get(one)).problem?.code, 'recording-too-large');
    assert.equal(value(archive.get(one)).storedBytes, 0);
    const two = create(archive, {}, 'small');
    const three = create(archive, {}, 'small');
    assert.equal(codeOf(await archive.append(two, part(small.text, { bodyBytes: null }))), null);
    assert.equal(codeOf(await archive.append(three, part(small.text, { bodyBytes: null }))), 'too-much-stored');
    assert.equal(value(archive.get(three)).state, 'uploading');
    const four = create(archive, {});
    value(await archive.append(four, part(small.text.subarray(0, length >> 1))));
    assert.equal(asked({}), 'too-many-traces');
    value(await archive.delete(one));
    assert.equal(asked({ lengthBytes: length }), 'storage-full');
    await archive.close();
    const full = openArchive(t, folder, { limits: { readers: 0, reserveBytes: Number.MAX_SAFE_INTEGER } });
    assert.equal(codeOf(await full.append(three, part(small.text))), 'storage-full');
  });

  it('does not read again and again what the server has ended over each time', async (t) => {
    const folder = newFolder(t);
    const first = openArchive(t, folder, { limits: { readers: 0 } });
    const id = await upload(first, small.text);
    await first.close();
    const mark = join(folder, 'traces', `${id}.reading`);
    writeFileSync(mark, '2');
    const second = openArchive(t, folder, { limits: { readers: 0 } });
    assert.equal(value(second.get(id)).state, 'reading');
    await second.close();
    writeFileSync(mark, '5');
    const third = openArchive(t, folder);
    const trace = value(third.get(id));
    assert.deepEqual([trace.state, trace.problem?.code], ['failed', 'reader-failed']);
    assert.deepEqual(filesOf(folder), []);
  });

  it('lets a reader that waits for bytes give its place to a recording that is there', async (t) => {
    const archive = openArchive(t, newFolder(t), { limits: { readers: 1, starvedMs: 20 } });
    const slow = create(archive);
    const body = new PassThrough();
    const appending = archive.append(slow, part(body));
    body.write(small.text.subarray(0, 1000));
    await until(() => archive.status().readers === 1);
    const quick = await upload(archive, small.text);
    assert.equal((await ended(archive, quick)).state, 'ready');
    body.end(small.text.subarray(1000));
    value(await appending);
    assert.equal((await ended(archive, slow)).digest, (await ended(archive, quick)).digest);
  });

  it('holds the sender back when the reader is far behind', async (t) => {
    const importer = new URL('./sleepy-importer.ts', import.meta.url).href;
    const archive = openArchive(t, newFolder(t), { importer, limits: { leadBytes: 1 << 20 } });
    const id = create(archive);
    let sent = 0;
    const slow = Buffer.from('sleepy'.padEnd(65_536));
    const body = new Readable({
      read() {
        sent += slow.length;
        this.push(sent > 64 << 20 ? null : slow);
      },
    });
    const appending = archive.append(id, part(body));
    const now = () => {
      const { bytes, progress } = value(archive.get(id));
      return { bytes, read: progress * bytes };
    };
    const begun = await until(() => now().read > 0 && now());
    // What is there when the reader begins, or what it may be behind, and a few blocks on their way.
    const later = await until(() => now().read > begun.read + (2 << 20) && now());
    const most = Math.max(begun.bytes, later.read + (1 << 20)) + 8 * slow.length;
    assert.ok(later.bytes <= most, `${later.bytes} bytes came, and ${later.read} were read`);
    value(await archive.delete(id));
    await appending;
  });

  it('deletes whatever a trace is doing, and forgets its name', async (t) => {
    const folder = newFolder(t);
    const archive = openArchive(t, folder);
    const id = create(archive, { name: 'mine' });
    assert.equal(codeOf(archive.create({ ...PLAIN, name: 'mine' }, 'local')), 'name-taken');
    assert.equal(codeOf(archive.create({ ...PLAIN, name: `trc_${'0'.repeat(26)}` }, 'local')), 'invalid-name');
    assert.equal(archive.resolve('mine', 'other'), null);
    const body = new PassThrough();
    const appending = archive.append(id, part(body));
    body.write(small.text.subarray(0, 100_000));
    await until(() => value(archive.get('mine')).lines.total > 0);
    assert.equal(value(await archive.delete('mine')).state, 'cancelled');
    assert.equal(codeOf(await appending), 'upload-superseded');
    assert.deepEqual(filesOf(folder), []);
    assert.equal(codeOf(archive.get(id)), 'unknown-trace');
    assert.equal(codeOf(await archive.delete(id)), 'unknown-trace');
    create(archive, { name: 'mine' });
  });

  it('keeps a tape that a session replays, until the session is gone', async (t) => {
    const folder = newFolder(t);
    const sessions = new Set(['ses_1', 'ses_2']);
    const parts = { hasSession: (session: string) => sessions.has(session) };
    let archive = openArchive(t, folder, parts);
    const id = await upload(archive, small.text);
    const { digest } = await ended(archive, id);
    for (const session of ['ses_1', 'ses_2', 'ses_gone']) markUse(archive.folder, digest as string, session);
    const refused = await archive.delete(id);
    assert.ok(!refused.ok && refused.problem.code === 'trace-in-use');
    assert.match(refused.problem.detail, /2 sessions .*ses_1, ses_2/);
    assert.ok(!refused.problem.detail.includes('ses_gone'));
    value(await archive.events(id, { from: 0, limit: 1 }));
    await archive.close();
    archive = openArchive(t, folder, parts);
    sessions.delete('ses_1');
    archive.sessionDeleted('ses_1');
    assert.equal(codeOf(await archive.delete(id)), 'trace-in-use');
    sessions.delete('ses_2');
    value(await archive.delete(id));
    assert.deepEqual(filesOf(folder), []);
  });

  it('has a trace as it was when its deletion cannot be written down', async (t) => {
    const folder = newFolder(t);
    const store = new TraceStore(join(folder, 'traces.sqlite'));
    const archive = openArchive(t, folder, { store });
    const { id } = await ended(archive, await upload(archive, small.text));
    const remove = t.mock.method(store, 'remove', () => {
      throw new Error('disk I/O error');
    });
    assert.equal(codeOf(await archive.delete(id)), 'storage-unavailable');
    value(await archive.events(id, { from: 0, limit: 1 }));
    remove.mock.restore();
    value(await archive.delete(id));
    assert.deepEqual(filesOf(folder), []);
  });

  it('does not lose a tape when the server ends between the two steps of a deletion', async (t) => {
    const folder = newFolder(t);
    const archive = openArchive(t, folder);
    const { digest, id } = await ended(archive, await upload(archive, small.text));
    await archive.close();
    const path = join(folder, 'traces', `${digest}.tape`);
    renameSync(path, `${path}.going`);
    const next = openArchive(t, folder);
    assert.equal(value(next.get(id)).state, 'ready');
    assert.ok(existsSync(path));
  });

  it('says that a trace is not to be used when its tape is damaged or of another version', async (t) => {
    const folder = newFolder(t);
    const archive = openArchive(t, folder);
    const { digest, id } = await ended(archive, await upload(archive, small.text));
    await archive.close();
    truncateSync(join(folder, 'traces', `${digest}.tape`), 70_000);
    const next = openArchive(t, folder);
    const trace = value(next.get(id));
    assert.deepEqual([trace.state, trace.problem?.code], ['failed', 'tape-unsealed']);
    assert.ok(!trace.problem?.detail.includes(folder), trace.problem?.detail);
    assert.equal(codeOf(await next.events(id, { from: 0, limit: 10 })), 'trace-not-ready');
  });

  it('pages through events, all or of one kind and device', async (t) => {
    const archive = openArchive(t, newFolder(t));
    const { id, records, devices } = await ended(archive, await upload(archive, small.text));
    const all = await pagesOf(archive, id, { limit: 1000 });
    assert.deepEqual(
      all.map(({ index }) => index),
      Array.from({ length: records }, (_, index) => index),
    );
    const maps = await pagesOf(archive, id, { limit: 7, kind: 'map', device: devices[1] as string });
    assert.deepEqual(
      maps,
      all.filter(({ kind, device }) => kind === 'map' && device === devices[1]),
    );
    assert.ok(maps.length > 100);
    // Both ends of a mapping know each other.
    for (const { kind, index, partner, iova } of all) {
      if (kind !== 'unmap') continue;
      assert.equal(all[partner as number]?.partner, index);
      assert.equal(all[partner as number]?.iova, iova);
    }
    assert.equal(all.filter(({ kind, partner }) => kind === 'map' && partner === undefined).length, small.openMaps);
    assert.deepEqual(await pagesOf(archive, id, { limit: 10, kind: 'nothing' }), []);
    assert.deepEqual(await pagesOf(archive, id, { limit: 10, device: 'nobody' }), []);
    assert.deepEqual(value(await archive.events(id, { from: records + 5, limit: 10 })).items, []);
  });
});

async function pagesOf(
  archive: ReturnType<typeof openArchive>,
  id: string,
  query: { limit: number; kind?: string; device?: string },
) {
  const items = [];
  for (let from: number | undefined = 0; from !== undefined; ) {
    const page: Awaited<ReturnType<typeof nextPage>> = await nextPage(from);
    items.push(...page.items);
    from = page.nextFrom;
  }
  return items;
  async function nextPage(from: number) {
    return value(await archive.events(id, { from, ...query }));
  }
}

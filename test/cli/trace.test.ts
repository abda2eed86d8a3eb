/** `trace`: uploads over connections that break, and what a recording says without a server. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Server } from '../../src/cli/server.ts';
import { uploadFile } from '../../src/cli/trace/upload.ts';
import type { TraceArchive } from '../../src/trace/archive/archive.ts';
import { Recording } from '../../tools/prove/trace/recording.ts';
import { type GuardedServer, startGuarded } from '../access/guarded-server.ts';
import { ended, newFolder, openArchive } from '../trace/archive/archives.ts';
import { lab, ROOT } from './command.ts';

const recording = new Recording(9, 1_500_000);
const text = Buffer.concat([...recording.blocks()]);

describe('trace upload', () => {
  const ends: (() => unknown)[] = [];
  const ending = { after: (end: () => unknown) => ends.unshift(end) };
  after(async () => {
    for (const end of ends) await end();
  });
  let server: GuardedServer;
  let archive: TraceArchive;
  let file = '';
  /** Between the command and the server: breaks a connection when so many bytes have gone through it; 0: none. */
  let breaksAfter = 0;
  let broken = 0;
  let port = 0;

  before(async () => {
    const folder = newFolder(ending);
    archive = openArchive(ending, folder);
    server = await startGuarded(ending, { traces: archive });
    file = join(folder, 'recording.txt');
    writeFileSync(file, text);
    const sockets = new Set<Socket>();
    const between = createServer((client) => {
      const onward = connect(server.port, '127.0.0.1');
      let passed = 0;
      for (const socket of [client, onward]) {
        sockets.add(socket);
        socket
          .on('error', () => {})
          .on('close', () => {
            client.destroy();
            onward.destroy();
          });
      }
      client.on('data', (bytes) => {
        passed += bytes.length;
        onward.write(bytes);
        if (breaksAfter === 0 || passed < breaksAfter) return;
        broken++;
        client.destroy();
      });
      onward.pipe(client);
    });
    await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve));
    port = (between.address() as AddressInfo).port;
    ending.after(() => {
      for (const socket of sockets) socket.destroy();
      between.close();
    });
  });

  const watch = () => ({ signal: new AbortController().signal, onBytes() {}, onBreak() {} });
  const query = { format: 'ftrace', strict: false, options: {} };

  it('goes on by itself as long as it gets further, and all arrives', async () => {
    breaksAfter = 400_000;
    const breaks: string[] = [];
    const uploaded = await uploadFile(new Server(`127.0.0.1:${port}`), file, query, {
      ...watch(),
      onBreak: (why) => breaks.push(why),
    });
    assert.ok(broken >= 3 && breaks.length >= 3, `${broken} breaks`);
    assert.equal(uploaded.bytes, text.length);
    const trace = await ended(archive, uploaded.id);
    assert.deepEqual([trace.state, trace.lines.total], ['ready', recording.figures.lines]);
  });

  it('given again, finds what is there; read in another way, it is another one', async () => {
    breaksAfter = 0;
    const again = await uploadFile(new Server(`127.0.0.1:${port}`), file, query, watch());
    assert.equal(archive.countOf('local'), 1);
    assert.equal(again.state, 'ready');
    const strict = await uploadFile(new Server(`127.0.0.1:${port}`), file, { ...query, strict: true }, watch());
    assert.notEqual(strict.id, again.id);
    assert.equal((await ended(archive, strict.id)).problem?.code, 'not-understood');
  });

  it('ends when nothing gets through, and says that the same command goes on', async () => {
    const gone = new Server('127.0.0.1:9');
    const signal = AbortSignal.timeout(700);
    await assert.rejects(uploadFile(gone, file, query, { ...watch(), signal }), { name: 'TimeoutError' });
    const missing = uploadFile(gone, `${file}.not`, query, watch());
    await assert.rejects(missing, /recording\.txt\.not cannot be read/);
  });
});

describe('trace show', () => {
  it('reads a file without a server, packed or not, and says when it cannot', async (t) => {
    const folder = newFolder(t);
    const plain = join(ROOT, 'test/trace/recordings/ath12k.txt');
    const { code, out } = await lab(['trace', 'show', plain, '--json']);
    assert.equal(code, 0);
    const said = JSON.parse(out);
    assert.deepEqual([said.format, said.problem, said.events.fault], ['ftrace', null, 1]);
    const packed = join(folder, 'some.gz');
    writeFileSync(packed, gzipSync(text));
    const shown = await lab(['trace', 'show', packed], { columns: 100 });
    assert.equal(shown.code, 0, shown.err);
    assert.ok(shown.out.includes(`${recording.figures.lines.toLocaleString('en')}: `), shown.out);
    assert.match(shown.out, /^skipped .*my_driver_poke|^skipped /m);
    const strict = await lab(['trace', 'show', packed, '--strict', '--json']);
    assert.deepEqual([strict.code, JSON.parse(strict.out).problem.code], [1, 'not-understood']);
    for (const words of [
      ['show', join(folder, 'none')],
      ['show'],
      ['show', plain, '--format', 'tarot'],
      ['show', plain, '--option', 'order'],
      ['list'],
      ['burn', plain],
    ])
      assert.equal((await lab(['trace', ...words])).code, 2, words.join(' '));
  });
});

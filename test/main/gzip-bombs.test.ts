/** A gigabyte in a megabyte, against a server of its own, whose memory the operating system counts. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { withServers } from './server-process.ts';

const MIB = 1_048_576;
/** Of the 1,024 MiB of each bomb. A server that keeps what it unpacks has them all, or the 256 of the limit of `ops`. */
const ALLOWED_KIB = 160 * 1_024;

function bomb(member: Buffer): Buffer {
  return Buffer.concat(new Array<Buffer>((1_024 * MIB) / member.length).fill(gzipSync(member, { level: 9 })));
}

/** The most that the process ever had in memory. */
function peakKib(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

const skip = process.platform === 'linux' ? false : 'the peak of a process is read from /proc';

test('bombs are cut at the limits and do not fill the memory', { skip }, () =>
  withServers(async (start, folder) => {
    const server = start(['--port', '0', '--data', folder, '--workers', '1', '--log-level', 'silent']);
    const address = await server.address();
    const post = (path: string, type: string, body: Buffer): Promise<Response> =>
      fetch(address + path, {
        method: 'POST',
        headers: { 'content-type': type, 'content-encoding': 'gzip' },
        body: body as never,
      });
    const made = await post('/v1/sessions', 'application/json', gzipSync('{"preset": "thread-2008", "name": "s"}'));
    assert.equal(made.status, 201);
    const before = peakKib(server.child.pid as number);

    const zeros = bomb(Buffer.alloc(16 * MIB));
    assert.ok(zeros.length < 1_100_000, 'a thousand to one');
    const json = await post('/v1/sessions', 'application/json', zeros.subarray(0, MIB - 1));
    assert.deepEqual(
      [json.status, ((await json.json()) as { code: string; detail: string }).code],
      [413, 'body-too-large'],
    );

    const ops = '/v1/sessions/s/ops?onError=continue';
    // One line without an end; then blank ones, each as long as a line may be.
    const endless = await post(ops, 'application/x-ndjson', zeros);
    assert.equal(endless.status, 413);
    assert.match(
      ((await endless.json()) as { code: string; detail: string }).detail,
      /more than 268435456 bytes when unpacked/,
    );
    const blanks = await post(ops, 'application/x-ndjson', bomb(Buffer.from(`${' '.repeat(65_535)}\n`.repeat(256))));
    assert.deepEqual(
      [blanks.status, ((await blanks.json()) as { code: string; detail: string }).code],
      [413, 'body-too-large'],
    );
    const array = await post(ops, 'application/json', zeros);
    assert.deepEqual(
      [array.status, ((await array.json()) as { code: string; detail: string }).code],
      [413, 'body-too-large'],
    );

    const grown = peakKib(server.child.pid as number) - before;
    assert.ok(grown < ALLOWED_KIB, `${grown} KiB more`);
    assert.equal((await fetch(`${address}/readyz`)).status, 200);
  }),
);

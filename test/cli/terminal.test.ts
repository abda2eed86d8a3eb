/** Pipes, colours, and a server that is not there. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { withServers } from '../main/server-process.ts';
import { BIN, environment, lab, ROOT } from './command.ts';

test('a reader that goes away after a line is no error', () => {
  const { stdout, stderr, status } = spawnSync(
    'sh',
    ['-c', '{ "$@"; echo "ended with $?" >&2; } | head -1', 'sh', process.execPath, BIN, 'catalog', '--json'],
    { cwd: ROOT, env: environment(), encoding: 'utf8' },
  );
  assert.equal(status, 0);
  assert.equal(stdout, '{\n');
  assert.equal(stderr, 'ended with 0\n');
});

test('there is no colour in a pipe, and with FORCE_COLOR there is', async () => {
  const [plain, coloured] = await Promise.all([
    lab(['catalog', 'policies']),
    lab(['catalog', 'policies'], { env: { FORCE_COLOR: '1' } }),
  ]);
  assert.ok(!plain.out.includes('\u001b'));
  assert.ok(coloured.out.includes('\u001b'));
});

describe('a server', () => {
  test('that is not there is named, and ends with 3', async () => {
    const { code, out, err } = await lab(['catalog', '--server', 'http://127.0.0.1:1']);
    assert.deepEqual([code, out], [3, '']);
    assert.match(err, /^iommu-lab: http:\/\/127\.0\.0\.1:1 cannot be reached: /);
    assert.equal(err.trim().split('\n').length, 1);
  });

  test('that is none of ours is told apart from ours', async () => {
    const other = createServer((_, response) => response.writeHead(404).end('<html>'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    const { code, err } = await lab(['catalog', '--server', `127.0.0.1:${port}`]);
    other.close();
    assert.equal(code, 3);
    assert.match(err, /answers 404 and not as iommu-lab does/);
  });

  test('with an address that is none ends with 2', async () => {
    const { code, err } = await lab(['catalog', '--server', 'http://']);
    assert.equal(code, 2);
    assert.match(err, /"http:\/\/" is no address of a server/);
  });

  test('that asks for a token is given the one of a file, or of the environment', () =>
    withServers(async (start, folder) => {
      const made = await lab(['token', 'create', '--name', 'cli', '--scope', 'read', '--data', folder]);
      assert.match(made.out, /^ilt_/);
      const server = start(['--port', '0', '--data', folder, '--workers', '1']);
      const address = await server.address();
      const file = join(folder, 'token');
      writeFileSync(file, made.out);
      const [none, byFile, byVariable, wrong] = await Promise.all([
        lab(['catalog', '--server', address]),
        lab(['catalog', '--server', address, '--token-file', file]),
        lab(['catalog', '--server', address], { env: { IOMMU_LAB_TOKEN: made.out.trim() } }),
        lab(['catalog', '--server', address, '--token-file', join(folder, 'nothing')]),
      ]);
      assert.equal(none.code, 3);
      assert.match(none.err, /Give a token with --token-file/);
      assert.deepEqual([byFile.code, byVariable.code], [0, 0]);
      assert.equal(byFile.out, byVariable.out);
      assert.equal(wrong.code, 2);
      assert.match(wrong.err, /--token-file cannot be read/);
    }));
});

test('serve is the server that npm start starts', () =>
  withServers(async (_, folder) => {
    const { Command } = await import('./command.ts');
    const served = new Command(['serve', '--port', '0', '--data', folder, '--workers', '1']);
    let said = '';
    served.child.stdout?.on('data', (text) => (said += text));
    while (!said.includes('Ctrl-C')) {
      assert.equal(served.child.exitCode, null);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const address = /http:\S+/.exec(said)![0];
    assert.equal((await fetch(`${address}/readyz`)).status, 200);
    served.child.kill('SIGTERM');
    assert.equal((await served.ended()).code, 0);
    const refused = await lab(['serve', '--prot', '0']);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /Unknown flag '--prot' \(did you mean --port\?\)/);
  }));

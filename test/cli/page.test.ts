/** Every command that docs/command-line.md shows does what it says: those with output are in `test/docs`, the others are run here. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { withServers } from '../main/server-process.ts';
import { BIN, environment, ROOT } from './command.ts';

const PAGE = readFileSync(join(ROOT, 'docs/command-line.md'), 'utf8');
const COMMANDS = [...PAGE.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, lines]) => lines!.trimEnd().split('\n'));

test('every command of the page is well', { skip: process.platform === 'win32' }, () =>
  withServers(async (start, folder) => {
    const address = await start(['--port', '0', '--data', join(folder, 'data'), '--workers', '1']).address();
    const sessions = `${address}/v1/sessions`;
    const post = async (url: string, body: object) =>
      (await (
        await fetch(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })
      ).json()) as { id: string };
    await post(sessions, { preset: 'thread-2008', name: 's' });
    await post(`${sessions}/s/buffers`, { lengthBytes: 4096 });
    const { id } = await post(`${sessions}/s/snapshots`, {});
    writeFileSync(join(folder, 'export.json'), await (await fetch(`${sessions}/s/snapshots/${id}?state=false`)).text());
    const short = { base: { preset: 'thread-2008' }, until: { operations: 300 }, seeds: [1] };
    writeFileSync(join(folder, 'experiment.json'), JSON.stringify(short));
    writeFileSync(join(folder, 'experiment.yaml'), JSON.stringify(short));
    writeFileSync(
      join(folder, 'rcache-today.json'),
      JSON.stringify({ ...short.base, policy: { allocator: { kind: 'rcache' } } }),
    );
    copyFileSync(join(ROOT, 'test/trace/recordings/ath12k.txt'), join(folder, 'recording.txt'));
    symlinkSync(BIN, join(folder, 'iommu-lab'));
    assert.ok(COMMANDS.length > 10);
    for (const command of COMMANDS) {
      const line = command.replaceAll(/(http:\/\/)?127\.0\.0\.1:8080/g, address);
      const env = environment({ PATH: `${folder}:${dirname(process.execPath)}:${process.env.PATH}` });
      await new Promise<void>((resolve, reject) =>
        execFile('sh', ['-c', line], { cwd: folder, env }, (error, _, stderr) =>
          error === null ? resolve() : reject(new Error(`${command}: ${error.code}\n${stderr}`)),
        ),
      );
    }
    for (const name of ['report.html', 'rows.csv', 'rows.parquet'])
      assert.ok(readFileSync(join(folder, name)).length > 0);
  }),
);

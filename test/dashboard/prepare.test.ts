/** What `npm ci` does for the dashboard: nothing that could fail it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

const folder = mkdtempSync(join(tmpdir(), 'prepare-'));
after(() => rmSync(folder, { recursive: true }));

/** A package of its own with another Vite, or with none. */
function prepared(name: string, vite: string | null) {
  const root = join(folder, name);
  mkdirSync(join(root, 'tools'), { recursive: true });
  copyFileSync('tools/prepare.mjs', join(root, 'tools', 'prepare.mjs'));
  if (vite !== null) {
    const place = join(root, 'node_modules', 'vite');
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, 'package.json'), '{"name": "vite", "type": "module", "main": "index.js"}');
    writeFileSync(join(place, 'index.js'), vite);
  }
  const { status, stdout, stderr } = spawnSync(process.execPath, ['tools/prepare.mjs'], {
    cwd: root,
    encoding: 'utf8',
  });
  return { status, text: stdout + stderr };
}

describe('the script that npm runs after an installation', () => {
  test('says nothing where there is nothing to build with', () => {
    assert.deepEqual(prepared('none', null), { status: 0, text: '' });
  });

  test('builds where there is, and says nothing then either', () => {
    const built = `import { writeFileSync } from 'node:fs'; export const build = async () => writeFileSync('built', '');`;
    assert.deepEqual(prepared('built', built), { status: 0, text: '' });
    assert.ok(existsSync(join(folder, 'built', 'built')));
  });

  test('tells of a build that fails, and does not fail the installation', () => {
    for (const [name, vite] of [
      ['rejects', `export const build = () => Promise.reject(new Error('no space left'));`],
      ['breaks', `import 'nowhere-to-be-found'; export const build = 1;`],
    ] as const) {
      const { status, text } = prepared(name, vite);
      assert.equal(status, 0, name);
      if (name === 'rejects') assert.match(text, /was not built: no space left.*npm run build:dashboard/);
    }
  });

  test('is the one that the package names', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
    assert.match(scripts.prepare, /^node tools\/prepare\.mjs \|\| exit 0$/);
  });
});

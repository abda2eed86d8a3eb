/** What Tab offers: from the program, and in a real bash. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { COMMANDS, SHELLS } from '../../src/cli/names.ts';
import { catalog } from '../../src/core/index.ts';
import { reproductions } from '../../src/lab/repro/index.ts';
import { BIN, environment, lab } from './command.ts';

async function offered(...words: string[]): Promise<{ values: string[]; directive: string }> {
  const { code, out, err } = await lab(['complete', '--', ...words]);
  assert.deepEqual([code, err], [0, '']);
  const lines = out.trimEnd().split('\n');
  const directive = lines.pop()!;
  return { values: lines.map((line) => line.split('\t')[0]!), directive };
}

const kinds = (section: string) => (catalog()[section] as { kind: string }[]).map(({ kind }) => kind);

describe('Tab offers', () => {
  test('all commands', async () => assert.deepEqual((await offered('')).values, [...COMMANDS]));
  test('those that begin so', async () => assert.deepEqual((await offered('com')).values, ['compare', 'completion']));
  test('presets, else files', async () => {
    const { values, directive } = await offered('run', 'th');
    assert.deepEqual([values, directive], [['thread-2008'], ':0']);
  });
  test('flags of the command', async () => {
    assert.deepEqual((await offered('compare', 'thread-2008', '--v')).values, ['--vary']);
    assert.deepEqual((await offered('serve', '--po')).values, ['--port']);
  });
  test('values of a flag', async () => {
    assert.deepEqual((await offered('compare', 'x', '--combine', '')).values, ['product', 'paired']);
    const { values } = await offered('compare', 'x', '--vary', 'policy.invalidation.kind=');
    assert.deepEqual(
      values,
      kinds('policies').map((kind) => `policy.invalidation.kind=${kind}`),
    );
  });
  test('the kinds that a list has not yet', async () => {
    const { values } = await offered('compare', 'x', '--vary', 'policy.invalidation.kind=strict,');
    const rest = kinds('policies').filter((kind) => kind !== 'strict');
    assert.deepEqual(
      values,
      rest.map((kind) => `policy.invalidation.kind=strict,${kind}`),
    );
  });
  test('sections and kinds of the catalog', async () => {
    assert.deepEqual((await offered('catalog', 'all')).values, ['allocators']);
    assert.deepEqual((await offered('catalog', '--json', 'allocators', '')).values, kinds('allocators'));
  });
  test('reproductions that are not named yet', async () => {
    const all = Object.keys(reproductions);
    assert.deepEqual((await offered('repro', all[0]!, '')).values.sort(), all.slice(1).sort());
  });
  test('nothing where nothing can follow', async () => {
    assert.deepEqual(await offered('catalog', 'policies', 'strict', ''), { values: [], directive: ':4' });
    assert.deepEqual(await offered('nonsense', ''), { values: [], directive: ':4' });
  });
});

for (const shell of SHELLS)
  test(`the script for ${shell} asks this program`, async () => {
    const { code, out, err } = await lab(['completion', shell]);
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /iommu-lab/);
    assert.match(out, / complete '?--'? /);
  });

const bash = spawnSync('bash', ['--version']).status === 0;

describe('in bash', { skip: bash ? false : 'there is no bash here' }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-test-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  symlinkSync(BIN, join(folder, 'iommu-lab'));
  const path = `${folder}:${dirname(process.execPath)}:${process.env.PATH}`;

  /** What readline would be given for a line that ends where the cursor stands. */
  function replies(line: string): string[] {
    const script = `
      source <(iommu-lab completion bash); source <(iommu-lab completion bash)
      COMP_LINE="$1"; COMP_POINT=\${#1}; COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
      _iommu_lab
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const out = execFileSync('bash', ['-c', script, 'bash', line], {
      env: environment({ PATH: path }),
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return out.split('\n').filter((each) => each !== '');
  }

  test('commands and presets are offered', () => {
    assert.deepEqual(replies('iommu-lab com'), ['compare', 'completion']);
    assert.deepEqual(replies('iommu-lab run thr'), ['thread-2008']);
  });

  test('what stands before an equals sign is not written twice', () => {
    assert.deepEqual(replies('iommu-lab compare x --vary policy.invalidation.kind=str'), ['strict']);
    assert.deepEqual(replies('iommu-lab compare x --vary policy.inv'), ['policy.invalidation.kind=']);
  });

  test('nothing of what is typed is run', () => {
    replies(`iommu-lab run $(touch ${join(folder, 'evil')}) `);
    replies(`iommu-lab run ;touch ${join(folder, 'evil')} `);
    assert.equal(existsSync(join(folder, 'evil')), false);
  });
});

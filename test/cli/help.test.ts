/** What somebody is told who does not know it yet, or mistypes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { COMMANDS } from '../../src/cli/names.ts';
import { BIN, environment, lab, ROOT } from './command.ts';

test('help lists every command, and the exit codes', async () => {
  const { code, out, err } = await lab(['--help']);
  assert.deepEqual([code, err], [0, '']);
  for (const name of COMMANDS) assert.match(out, new RegExp(`^  ${name} `, 'm'));
  assert.match(out, /Exit codes: 0 fine; 1 .*; 2 .*\n3 .*; 130/);
  assert.doesNotMatch(out, /\bcomplete\b/);
});

for (const name of COMMANDS.filter((each) => each !== 'serve' && each !== 'token'))
  test(`${name} has a help of its own, on stdout, and a second way to it`, async () => {
    const [asked, other] = await Promise.all([lab([name, '--help']), lab(['help', name])]);
    assert.equal(asked.code, 0);
    assert.match(asked.out, new RegExp(`^Usage: iommu-lab ${name}`));
    assert.equal(asked.err, '');
    assert.deepEqual(other, asked);
  });

test('serve and token show the help that npm start has', async () => {
  const main = (words: string[]) =>
    spawnSync(process.execPath, ['src/main.ts', ...words], { cwd: ROOT, env: environment(), encoding: 'utf8' }).stdout;
  assert.equal((await lab(['serve', '--help'])).out, main(['--help']));
  assert.equal((await lab(['token', '--help'])).out, main(['token', '--help']));
});

test('--version is that of the package', async () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  assert.deepEqual(await lab(['--version']), { code: 0, out: `${version}\n`, err: '' });
});

describe('what is not understood ends with 2, says so on stderr, and does nothing', () => {
  const cases: [string, string[], RegExp][] = [
    ['no command', [], /Usage: iommu-lab <command>/],
    ['an unknown command', ['comapre'], /^iommu-lab: unknown command 'comapre'\n\(Did you mean compare\?\)$/m],
    [
      'an unknown flag',
      ['compare', 'thread-2008', '--vray', 'a=1'],
      /unknown option '--vray'\n\(Did you mean --vary\?\)/,
    ],
    ['a missing argument', ['compare'], /missing required argument 'what'/],
    ['a flag without its value', ['run', 'thread-2008', '--until'], /'--until <rule>' argument missing/],
    [
      'a stop rule',
      ['run', 'thread-2008', '--until', '5ms'],
      /--until 5ms is not understood: operations=<number> or ns=/,
    ],
    ['seeds', ['run', 'thread-2008', '--seeds', '1,x'], /--seeds 1,x is not understood: whole numbers and ranges/],
    [
      'a setting without a value',
      ['compare', 'thread-2008', '--vary', 'strict'],
      /--vary strict is not understood: it is written path=value/,
    ],
    ['a shell', ['completion', 'csh'], /Allowed choices are bash, zsh, fish, powershell/],
    ['a way to combine', ['compare', 'x', '--combine', 'all'], /Allowed choices are product, paired/],
    ['a file that is not there', ['run', './nowhere.json'], /\.\/nowhere\.json cannot be read: there is no such file/],
    ['a folder', ['replay', './src'], /\.\/src cannot be read: it is a folder/],
    [
      'a report in a folder that is not there',
      ['compare', 'x', '--report', 'no/where.html'],
      /--report no\/where\.html cannot be written/,
    ],
    ['two documents for stdout', ['compare', 'x', '--json', '--markdown', '-'], /both want stdout/],
  ];
  for (const [what, words, says] of cases)
    test(what, async () => {
      const { code, out, err } = await lab(words);
      assert.equal(code, 2, err);
      assert.equal(out, '');
      assert.match(err, says);
      assert.doesNotMatch(err, /^\s+at /m);
    });
});

describe('under a Node that is too old', () => {
  const tooOld = `data:text/javascript,${encodeURIComponent(
    "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } });",
  )}`;
  const start = (env: Record<string, string>) =>
    spawnSync(process.execPath, ['--import', tooOld, BIN, 'catalog', 'rcche'], {
      env: environment(env),
      encoding: 'utf8',
    });

  test('the Node of the clone is found, and its exit code handed on', () => {
    const { status, stderr } = start({});
    assert.equal(status, 2);
    assert.match(stderr, /no kind "rcche"\. Did you mean rcache\?/);
  });

  test('without one it says what is needed', () => {
    const { status, stderr } = start({ IOMMU_LAB_OWN_NODE: '1' });
    assert.equal(status, 1);
    assert.match(stderr, /needs Node 24 or newer/);
  });
});

test('catalog loads no web server, and --help no simulation', async () => {
  const loaded = async (words: string[]): Promise<string> => {
    const hook = `data:text/javascript,${encodeURIComponent(
      "import { registerHooks } from 'node:module'; registerHooks({ load(url, context, next) { process.stderr.write('loaded ' + url + ' '); return next(url, context); } });",
    )}`;
    return (await lab(words, { env: { NODE_OPTIONS: `--import ${hook}` } })).err;
  };
  const [catalog, help] = await Promise.all([loaded(['catalog', 'policies']), loaded(['--help'])]);
  assert.match(catalog, /src\/core\/catalog\.ts/);
  assert.doesNotMatch(catalog, /fastify|src\/main\.ts|openapi/);
  assert.match(help, /src\/cli\/program\.ts/);
  assert.doesNotMatch(help, /src\/core\/|fastify/);
});

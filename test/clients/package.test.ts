/**
 * `clients/typescript` as it would be published: what is in it, that programs with the types of Node, of a browser, or of neither compile
 * against it in strict mode, and that what was built runs the tutorial. All in one file, as each builds it anew.
 */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { buildClient } from '../../tools/client/build.ts';
import { startServer } from './server.ts';
import { programFolder, tutorialBlock } from './tutorial.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PACKAGE = join(ROOT, 'clients/typescript');
const TSC = join(ROOT, 'node_modules/.bin/tsc');

const PROGRAM = `
import { ConnectionError, IommuLab, IommuLabError, type Operation, type OpReply, type Session } from 'iommu-lab-client';

const lab = new IommuLab({ url: 'http://127.0.0.1:8080', token: () => 'ilt_', timeoutMs: 1000 });
const session: Session = await lab.createSession({ name: 'a', policy: { invalidation: { kind: 'strict' } } });
const digest: string | null = session.digest;
const operations: Operation[] = [{ op: 'map', device: 'nic0', kind: 'single', direction: 'to-device', buffer: '$b', as: 'm' }];
for await (const reply of lab.ops('a', operations)) {
  if (reply.ok && reply.op === 'map') reply.result.iova satisfies string;
  if (!reply.ok) reply.problem.code satisfies string;
}
for await (const { name } of lab.listSessions({ state: 'idle' })) name satisfies string | undefined;
for await (const message of lab.openStream('a', { topics: ['metrics', 'faults'] })) {
  if (message.type === 'metrics') message.timeNs satisfies number;
  if (message.type === 'gap') message.reason satisfies string;
}
const csv: string = await lab.getExperimentResults('e', { accept: 'text/csv', rows: true });
const replies: OpReply[] = await lab.ops('a', operations).all();
try {
  await lab.waitForRun('a', 'run_1');
} catch (error) {
  if (error instanceof IommuLabError && error.code === 'unknown-run') error.path satisfies string | undefined;
  if (error instanceof ConnectionError) error.reason satisfies 'unreachable' | 'timeout' | 'cut';
}
// @ts-expect-error a topic that is none
lab.openStream('a', { topics: ['metric'] });
// @ts-expect-error a member that is none
await lab.createSession({ nmae: 'a' });
// @ts-expect-error a direction that is none
await lab.mapMemory('a', 'nic0', { kind: 'single', direction: 'sideways' });
// @ts-expect-error a domain must be named
await lab.getPageTable('a', { iova: '0x1000' });
export { csv, digest, replies };
`;

const OF_NODE = `
import { IommuLab } from 'iommu-lab-client';
new IommuLab({ fetch, WebSocket });
await new IommuLab().getVersion({ signal: AbortSignal.timeout(1000) });
`;

describe('the package for clients', () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'iommu-lab-package-'));
    mkdirSync(join(folder, 'node_modules/@types'), { recursive: true });
    symlinkSync(PACKAGE, join(folder, 'node_modules/iommu-lab-client'));
    for (const name of ['node', 'undici-types'])
      symlinkSync(
        join(ROOT, name === 'node' ? 'node_modules/@types/node' : `node_modules/${name}`),
        join(folder, name === 'node' ? 'node_modules/@types/node' : `node_modules/${name}`),
      );
    writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
    buildClient();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('has what a client needs and nothing of the server', () => {
    const { stdout, stderr } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: PACKAGE,
      encoding: 'utf8',
    });
    const packed = JSON.parse(stdout) as { name: string; files: { path: string }[] }[] | Record<string, never>;
    const [{ name, files }] = (Array.isArray(packed) ? packed : Object.values(packed)) as [
      { name: string; files: { path: string }[] },
    ];
    assert.equal(name, 'iommu-lab-client', stderr);
    const paths = files.map(({ path }) => path).sort();
    const modules = ['call', 'cbor', 'client', 'errors', 'index', 'lines', 'ops', 'pages', 'platform', 'stream'];
    modules.push(
      'transport',
      'wire',
      ...['operations', 'problem-codes', 'stream-messages', 'types'].map((each) => `generated/${each}`),
    );
    assert.deepEqual(
      paths,
      [
        'LICENSE',
        'README.md',
        'package.json',
        ...modules.flatMap((each) => [`dist/${each}.js`, `dist/${each}.d.ts`]),
      ].sort(),
    );
    for (const path of paths.filter((each) => each.endsWith('.js') || each.endsWith('.d.ts'))) {
      const text = readFileSync(join(PACKAGE, path), 'utf8');
      for (const [, from] of text.matchAll(/\b(?:from |import\()['"]([^'"]+)['"]/g))
        assert.match(from!, /^\.{1,2}\/[\w/.-]+\.js$/, `${path} imports ${from}`);
      assert.doesNotMatch(text, /<reference|node:|NodeJS/, path);
    }
    const manifest = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as Record<string, unknown>;
    assert.equal(manifest.dependencies, undefined);
    assert.equal(manifest.sideEffects, false);
    assert.equal(readFileSync(join(PACKAGE, 'LICENSE'), 'utf8'), readFileSync(join(ROOT, 'LICENSE'), 'utf8'));
  });

  const strict = [
    '--strict',
    '--exactOptionalPropertyTypes',
    '--noUncheckedIndexedAccess',
    '--noEmit',
    '--target',
    'es2022',
  ];
  const settings: Record<string, { flags: string[]; text: string }> = {
    'neither Node nor a browser': { flags: ['--lib', 'es2022', '--types', ''], text: PROGRAM },
    Node: { flags: ['--lib', 'es2022', '--types', 'node'], text: PROGRAM + OF_NODE },
    'a browser': { flags: ['--lib', 'es2022,dom,dom.iterable', '--types', ''], text: PROGRAM + OF_NODE },
    'a bundler': {
      flags: ['--lib', 'es2022,dom', '--types', '', '--module', 'esnext', '--moduleResolution', 'bundler'],
      text: PROGRAM,
    },
  };
  for (const [name, { flags, text }] of Object.entries(settings))
    it(`compiles in strict mode with the types of ${name}`, () => {
      const file = join(folder, `${name.replaceAll(' ', '-')}.ts`);
      writeFileSync(file, text.replace(OF_NODE, OF_NODE.replace(/import .*\n/, '')));
      const module = flags.includes('--module') ? [] : ['--module', 'nodenext'];
      const { status, stdout } = spawnSync(TSC, [...strict, ...module, ...flags, file], {
        cwd: folder,
        encoding: 'utf8',
      });
      assert.equal(status, 0, stdout);
    });

  it('is imported by its name', () => {
    writeFileSync(
      join(folder, 'run.mjs'),
      "import * as all from 'iommu-lab-client'; console.log(Object.keys(all).join());",
    );
    const { stdout, stderr } = spawnSync(process.execPath, [join(folder, 'run.mjs')], { encoding: 'utf8' });
    assert.equal(stdout, 'ConnectionError,IommuLab,IommuLabError\n', stderr);
  });

  it('runs the program of docs/tutorial.md, which prints what stands there', async () => {
    const server = await startServer();
    const own = programFolder('tutorial.ts', tutorialBlock('typescript'));
    try {
      const env = { ...process.env, IOMMU_LAB_URL: server.address };
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [own.program], { env });
      assert.equal(stderr, '');
      assert.equal(stdout, tutorialBlock('output'));
    } finally {
      await server.stop();
      rmSync(own.folder, { recursive: true, force: true });
    }
  });
});

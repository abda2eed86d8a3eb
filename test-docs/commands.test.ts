/**
 * Every command that a page shows, and that is not generated with its output, is carried out here as a reader would: by a shell, one
 * after the other, page by page, on a server of the page's own. Needs curl and jq.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type ServerProcess, withServers } from '../test/main/server-process.ts';
import { pages } from '../tools/site/pages.ts';
import { ELSEWHERE, NOT_RUN } from './elsewhere.ts';
import { type Command, commandsOf } from './page-commands.ts';
import { PRELUDES } from './preludes.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BIN = join(ROOT, 'bin/iommu-lab.mjs');
/** Pages whose commands a test of their own runs, with the words by which it takes them. */
const OWN_TESTS: Record<string, string> = {
  'docs/command-line.md': 'test/cli/page.test.ts',
  'docs/tutorial.md': 'test-python/docs.test.ts',
  'docs/clients.md': 'test-python/docs.test.ts',
  'docs/integrations.md': 'test-python/docs.test.ts',
};
const isRunHere = ({ text }: Command): boolean =>
  ![...ELSEWHERE.map(({ command }) => command), ...NOT_RUN].some((shown) => shown.test(text));
const TOOLS = { curl: 'curl', jq: 'jq' };

before(() => {
  for (const [tool, name] of Object.entries(TOOLS))
    if (spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0)
      throw new Error(`${tool} is not installed: apt-get install -y --no-install-recommends ${name}`);
});

describe('commands that run elsewhere', () => {
  for (const { command, file, words } of ELSEWHERE)
    test(`${command.source} are still run by ${file}`, () => {
      assert.ok(readFileSync(join(ROOT, file), 'utf8').includes(words), `${file} says nothing of "${words}"`);
      const shown = pages().flatMap(commandsOf);
      assert.ok(
        shown.some(({ text }) => command.test(text)),
        'no page shows such a command any longer',
      );
    });
});

/** `npm exec -c 'node --test ...'`: the files are there, and `npm test` runs them. */
const NODE_TEST = /^npm exec -c 'node --test (.+)'$/;

function assertTestFiles(argumentsOf: string): void {
  const words = [...argumentsOf.matchAll(/"([^"]+)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);
  const pattern = words[0] === '--test-name-pattern' ? new RegExp(words[1]!) : null;
  const globs = pattern === null ? words : words.slice(2);
  for (const glob of globs) {
    const files = globSync(glob, { cwd: ROOT });
    assert.ok(files.length > 0 && files.every((file) => /^test\/.+\.test\.ts$/.test(file)), glob);
  }
}

for (const page of pages()) {
  const commands = commandsOf(page);
  if (commands.length === 0 || page in OWN_TESTS) continue;
  test(`the commands of ${page} do what it says`, { timeout: 240_000 }, () =>
    withServers(async (start, folder) => {
      const place = new Place(start, folder, page);
      await place.open(commands);
      for (const command of commands) {
        if (!isRunHere(command)) continue;
        const tests = NODE_TEST.exec(command.text);
        if (tests !== null) assertTestFiles(tests[1]!);
        else await place.run(command);
      }
    }),
  );
}

type Start = (flags: string[], environment?: Record<string, string>) => ServerProcess;

/** Where a page's commands are typed: a folder, a server, and what the page takes for granted. */
class Place {
  private readonly start: Start;
  private readonly folder: string;
  private readonly page: string;
  private readonly environment: Record<string, string> = {};
  private readonly instead: Record<string, string> = {};
  private address = '';

  constructor(start: Start, folder: string, page: string) {
    this.start = start;
    this.folder = folder;
    this.page = page;
  }

  async open(commands: Command[]): Promise<void> {
    symlinkSync(BIN, join(this.folder, 'iommu-lab'));
    for (const name of ['test', 'docs']) symlinkSync(join(ROOT, name), join(this.folder, name));
    // A page that shows how the server is started with flags of its own starts it where it says so.
    const own = commands.filter(isRunHere);
    if (!own.some(({ text }) => STARTS_WITH_FLAGS.test(text))) await this.serve([]);
    await PRELUDES[this.page]?.({ address: this.address, folder: this.folder, instead: this.instead });
  }

  private async serve(flags: string[]): Promise<void> {
    const data = join(this.folder, 'data');
    this.address = await this.start([...flags, '--port', '0', '--data', data, '--workers', '1']).address();
    this.address = this.address.replace(/\/\/(0\.0\.0\.0|\[::\])/, '//127.0.0.1');
  }

  /** The command with what is here instead of what the page's reader has. */
  private here(text: string): string {
    const own = Object.entries(this.instead).reduce((all, [shown, real]) => all.replaceAll(shown, real), text);
    return this.address === '' ? own : own.replaceAll(LISTENING, new URL(this.address).host);
  }

  async run({ text, line }: Command): Promise<void> {
    const where = `${this.page}:${line}: ${text}`;
    if (/^npm start( &)?$/.test(text)) return;
    const flags = STARTS_WITH_FLAGS.exec(text);
    if (flags !== null) return this.serve(flags[1]!.split(' '));
    const npm = /^npm( -s)? (start|run) /.test(text);
    // A stream of events goes on for ever; two seconds of it will do.
    const bounded = text.replace(/^curl -N /, 'curl -N -m 2 ');
    const done = spawnSync('sh', ['-c', this.here(bounded)], {
      cwd: npm ? ROOT : this.folder,
      env: {
        ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('IOMMU_LAB_'))),
        ...this.environment,
        IOMMU_LAB_DATA: join(this.folder, 'data'),
        PATH: [this.folder, dirname(process.execPath), join(ROOT, 'node_modules/.bin'), process.env.PATH].join(':'),
        LAB: this.address,
        OTHER: this.address,
        NO_COLOR: '1',
      },
      encoding: 'utf8',
      timeout: 120_000,
    });
    const expected = /# (4\d\d)\b/.exec(text)?.[1];
    const status = PROBLEM.exec(done.stdout)?.[1];
    const problem = status === expected ? '' : `It was answered by a problem of ${status}.`;
    assert.ok(
      mayEnd(bounded, done.status) && problem === '',
      `${where}\nended with ${done.status}. ${problem}\n${done.stdout}\n${done.stderr}`,
    );
    const token = /^(ilt_\S+)$/m.exec(done.stdout);
    if (token !== null) this.environment.TOKEN = token[1]!;
    const created = /^\{"id":"(\w+)"/.exec(done.stdout);
    if (created !== null) this.instead['{id}'] = created[1]!;
  }
}

/** A problem document, which curl takes for an answer like any other: only where a comment names its status. */
const PROBLEM = /"type":\s*"\/problems\/.*?"status":\s*(\d+)/;
const STARTS_WITH_FLAGS = /^npm start -- (-.+)$/;
/** How the pages call the server that listens. */
const LISTENING = /(localhost|127\.0\.0\.1|lab\.example\.org):8080/g;

/** With `-m` curl ends a stream that goes on for ever by its time limit, 28. */
function mayEnd(text: string, status: number | null): boolean {
  return status === 0 || (status === 28 && /curl .*(-m|--max-time) /.test(text));
}

test('a page that needs something first says what, and is there', () => {
  for (const page of Object.keys(PRELUDES)) assert.ok(existsSync(join(ROOT, page)), page);
  for (const [page, file] of Object.entries(OWN_TESTS)) {
    assert.ok(existsSync(join(ROOT, page)), page);
    assert.ok(readFileSync(join(ROOT, file), 'utf8').includes(page), file);
  }
});

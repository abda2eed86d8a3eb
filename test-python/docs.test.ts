/**
 * Commands and programs of `docs/tutorial.md`, `docs/clients.md` and `docs/integrations.md`, run in their order by the shell, Python and Node
 * against a real server. A block of text behind one is what it prints. Not run is what says so, with its reason.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type RealServer, startServer } from '../test/clients/server.ts';
import { programFolder, tutorialBlock } from '../test/clients/tutorial.ts';
import { buildClient } from '../tools/client/build.ts';
import { NOTEBOOK_TOOLS, python, ROOT, requirePython } from './python.ts';

requirePython(NOTEBOOK_TOOLS);
const missing = ['curl', 'jq', 'bash'].filter((tool) => spawnSync(tool, ['--version']).status !== 0);
if (missing.length > 0)
  throw new Error(`There is no ${missing.join(', ')}. Install it: apt-get install -y ${missing.join(' ')}`);

interface Block {
  language: string;
  text: string;
  /** What it prints; null where the page does not say. */
  output: string | null;
  notRun: string | undefined;
}

const FENCED =
  /(?:<!-- (?:not run: (?<reason>[^>]*)|[^>]*) -->\n\n)?```(?<language>\w+)\n(?<text>[\s\S]*?)```\n(?:\n```text\n(?<output>[\s\S]*?)```\n)?/g;

function blocksOf(page: string): Block[] {
  return [...readFileSync(join(ROOT, page), 'utf8').matchAll(FENCED)].map(({ groups }) => {
    const { language, text, output, reason } = groups as Record<string, string | undefined>;
    return { language: language!, text: text!, output: output ?? null, notRun: reason };
  });
}

/** Replies between commands are for the reader: what they are is compared where they are made. */
const commandsOf = (transcript: string): string => {
  const lines = transcript.split('\n');
  const commands: string[] = [];
  for (let i = 0; i < lines.length; i++) {
    if (!lines[i]!.startsWith('$ ')) continue;
    let command = lines[i]!.slice(2);
    if (command.endsWith("<<'OPS'")) while (lines[i] !== 'OPS') command += `\n${lines[++i]}`;
    commands.push(command);
    if (/\/(runs|experiments) .*-d/.test(command)) commands.push('sleep 3');
  }
  return `${commands.join('\n')}\n`;
};

for (const page of ['docs/tutorial.md', 'docs/clients.md', 'docs/integrations.md'])
  describe(page, () => {
    let server: RealServer;
    let folder: string;
    before(async () => {
      buildClient();
      folder = mkdtempSync(join(tmpdir(), 'iommu-lab-docs-'));
      server = await startServer();
    });
    after(async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    const shell = (text: string): string => {
      const here = text.replaceAll('localhost:8080', new URL(server.address).host).replaceAll('/tmp', folder);
      const cwd = text.includes('npm ') ? ROOT : folder;
      const { status, stdout, stderr } = spawnSync('bash', ['-euo', 'pipefail', '-c', here], { cwd, encoding: 'utf8' });
      assert.equal(status, 0, `${here}\n${stdout}\n${stderr}`);
      return stdout;
    };

    for (const [i, { language, text, output, notRun }] of blocksOf(page).entries()) {
      const name = `${i + 1}. ${text
        .split('\n')
        .find((line) => line !== '')
        ?.slice(0, 80)}`;
      if (notRun !== undefined || language === 'text') continue;
      if (language === 'console') {
        it(`takes ${name}`, () => {
          for (const reply of shell(commandsOf(text)).split('\n'))
            assert.doesNotMatch(reply, /"problem"|"type":"\/problems/);
        });
        continue;
      }
      it(`runs ${name}`, async () => {
        const printed = await run(language, text);
        if (output !== null) assert.equal(printed, output);
        else if (language === 'python') assert.equal(printed, tutorialBlock('output'));
      });
    }

    async function run(language: string, text: string): Promise<string> {
      if (language === 'sh') return shell(text);
      if (language === 'python') {
        const { status, out, err } = await python(
          ['-c', text],
          { IOMMU_LAB_URL: server.address, IOMMU_LAB_TOKEN: '' },
          'default',
        );
        assert.equal(status, 0, err);
        return out;
      }
      const own = programFolder(`program.${language === 'ts' ? 'ts' : 'mjs'}`, text);
      try {
        const env = { ...process.env, IOMMU_LAB_URL: server.address };
        const { status, stdout, stderr } = spawnSync(process.execPath, [own.program], { env, encoding: 'utf8' });
        assert.equal(status, 0, stderr);
        return stdout;
      } finally {
        rmSync(own.folder, { recursive: true, force: true });
      }
    }

    if (page === 'docs/tutorial.md')
      it('has left the report and the results', () => {
        assert.match(readFileSync(join(folder, 'report.html'), 'utf8'), /<html/);
        assert.match(readFileSync(join(folder, 'results.csv'), 'utf8').split('\n')[0]!, /,/);
      });
  });

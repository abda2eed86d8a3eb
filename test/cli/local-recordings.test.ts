/** `run` and `compare` on a recording in a file of this machine, without a server. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { ExperimentResults } from '../../src/lab/compare/results.ts';
import { lab } from './command.ts';

const ATH12K = fileURLToPath(new URL('../trace/recordings/ath12k.txt', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));
mkdirSync(join(folder, 'recordings'));
copyFileSync(ATH12K, join(folder, 'recordings', 'ath12k.txt'));
writeFileSync(join(folder, 'ath12k.gz'), gzipSync(readFileSync(ATH12K)));
/** Where a command puts its tapes, to see that none is left. */
const temporary = join(folder, 'temporary');
mkdirSync(temporary);
const env = { TMPDIR: temporary };

function experiment(name: string, replay: Record<string, unknown>): string {
  const path = join(folder, name);
  const workload = {
    kind: 'replay',
    device: 'wifi',
    accesses: [{ rule: 'every-page', order: 'descending' }],
    ...replay,
  };
  const document = {
    base: {
      policy: { allocator: { kind: 'rcache' } },
      devices: [{ name: 'wifi', kind: 'replay' }],
      workloads: [workload],
    },
    vary: { 'policy.invalidation.kind': ['strict', 'flush-queue'] },
    until: { ns: 400e9 },
    seeds: [1],
    control: false,
  };
  writeFileSync(path, JSON.stringify(document));
  return path;
}

/** Of each arm: accesses after the unmap, and those of them that went through. */
function late(out: string): number[][] {
  return (JSON.parse(out) as ExperimentResults).arms.map(({ exposure }) => [
    exposure.attemptsAfterUnmap!.median,
    exposure.staleAccesses!.median,
  ]);
}

const ASIDE = [
  [1, 0],
  [1, 1],
];

describe('an experiment on a file', () => {
  test('names it as its trace, from the folder of the document', async () => {
    const path = experiment('by-trace.json', { trace: 'recordings/ath12k.txt' });
    const { code, out, err } = await lab(['compare', path, '--json', '--no-progress'], { env });
    assert.deepEqual([code, err], [0, '']);
    assert.deepEqual(late(out), ASIDE);
  });

  test('or as its recording, packed, and comes to the same', async () => {
    const path = experiment('by-recording.json', { trace: 'wifi', recording: './ath12k.gz' });
    const { code, out } = await lab(['compare', path, '--json', '--no-progress'], { env });
    assert.equal(code, 0);
    assert.deepEqual(late(out), ASIDE);
  });

  test('is run as one session, too, from the folder of the command where it is piped in', async () => {
    const spec = {
      devices: [{ name: 'wifi', kind: 'replay' }],
      workloads: [{ kind: 'replay', device: 'wifi', recording: 'ath12k.txt' }],
    };
    const around = { env, cwd: join(folder, 'recordings'), input: JSON.stringify(spec) };
    const { code, out } = await lab(['run', '-', '--until', 'ns=400000000000', '--json', '--no-progress'], around);
    assert.equal(code, 0, out);
    assert.equal(JSON.parse(out).arms.length, 1);
  });

  test('varies files: an arm for each', async () => {
    const path = experiment('varied.json', { recording: 'recordings/ath12k.txt' });
    const vary = 'workloads.0.recording=recordings/ath12k.txt,with-fewer.txt';
    writeFileSync(join(folder, 'with-fewer.txt'), readFileSync(ATH12K, 'utf8').replace(/^.*io_page_fault.*$/m, ''));
    const { code, out } = await lab(['compare', path, '--vary', vary, '--json', '--no-progress'], { env });
    assert.equal(code, 0, out);
    // Under the policy of who says none, which is lazy.
    assert.deepEqual(late(out), [
      [1, 1],
      [0, 0],
    ]);
  });

  test('says which lines were not understood', async () => {
    const path = join(folder, 'with-rubbish.txt');
    writeFileSync(path, `${readFileSync(ATH12K, 'utf8')}this is no line of a trace\n`);
    const of = experiment('rubbish.json', { trace: basename(path) });
    const { code, err } = await lab(['compare', of, '--json', '--no-progress'], { env });
    assert.equal(code, 0);
    assert.match(err, /^iommu-lab: with-rubbish\.txt: 1 of \d+ lines were not understood/m);
  });

  test('leaves nothing behind', () => {
    assert.deepEqual(
      readdirSync(temporary).filter((name) => name.startsWith('iommu-lab')),
      [],
    );
  });

  test('that is not there, or is none, is refused with 2 by its name', async () => {
    const none = await lab(['compare', experiment('none.json', { trace: 'nowhere.txt' })], { env });
    assert.equal(none.code, 2);
    assert.match(none.err.replaceAll(/\s+/g, ' '), /replays "nowhere\.txt", and there is no such file in/);
    writeFileSync(join(folder, 'letter.txt'), 'Dear reader,\nthis is no recording.\n');
    const letter = await lab(['compare', experiment('letter.json', { trace: 'letter.txt' })], { env });
    assert.equal(letter.code, 2);
    assert.match(letter.err.replaceAll(/\s+/g, ' '), /letter\.txt cannot be replayed/);
  });

  test('is not sent to a server, which has to have it', async () => {
    const path = experiment('elsewhere.json', { recording: 'recordings/ath12k.txt' });
    const { code, err } = await lab(['compare', path, '--server', 'http://127.0.0.1:1'], { env });
    assert.equal(code, 2);
    assert.match(err.replaceAll(/\s+/g, ' '), /iommu-lab trace upload recordings\/ath12k\.txt/);
  });
});

test('a worker refuses a folder of tapes that is not there', async () => {
  const { code, err } = await lab(['worker', '--redis', 'redis://127.0.0.1:1', '--traces', join(folder, 'nowhere')]);
  assert.equal(code, 2);
  assert.match(err, /--traces .*nowhere: there is no such folder/);
});

/** `replay` of a recording: side by side under policies; an export with events of ours comes to its digest. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { resolveSpec } from '../../src/core/index.ts';
import { historyText } from '../../src/trace/export/history.ts';
import { lab } from './command.ts';

const ATH12K = fileURLToPath(new URL('../trace/recordings/ath12k.txt', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-'));
after(() => rmSync(folder, { recursive: true, force: true }));

describe('a recording on the command line', () => {
  test('is replayed side by side, and the accesses that are synthesised decide', async () => {
    const verdicts = async (accesses: string) => {
      const { code, out } = await lab([
        'replay',
        ATH12K,
        '--policy',
        'strict,flush-queue',
        '--accesses',
        accesses,
        '--json',
      ]);
      assert.equal(code, 0);
      return JSON.parse(out).sides.map(({ verdicts: { fault, stale } }: { verdicts: Record<string, number> }) => [
        fault,
        stale,
      ]);
    };
    assert.deepEqual(await verdicts('every-page:descending'), [
      [1, 0],
      [0, 1],
    ]);
    assert.deepEqual(await verdicts('every-page'), [
      [1, 0],
      [1, 0],
    ]);
  });

  test('is told about in words', async () => {
    const { code, out, err } = await lab(['replay', ATH12K]);
    assert.equal(code, 0);
    assert.match(`${out}${err}`.replaceAll(/\s+/g, ' '), /6\.176 ms after the driver had taken that address back/);
  });

  test('that was exported here comes to its digest, and one that was changed does not', async () => {
    const records = [{ run: { forNs: 50_000 } }, { end: 'finished' as const, events: 0 }];
    const text = [...historyText(resolveSpec({ preset: 'thread-2008' }), records, { labEvents: true })].join('');
    const path = join(folder, 'trace.txt');
    writeFileSync(path, text);
    const { code, out } = await lab(['replay', path, '--json']);
    assert.equal(code, 0);
    assert.deepEqual([JSON.parse(out).equal, JSON.parse(out).records], [true, 2]);
    writeFileSync(path, text.replace('"forNs":50000', '"forNs":50001'));
    const changed = await lab(['replay', path, '--json']);
    assert.deepEqual([changed.code, JSON.parse(changed.out).equal], [1, false]);
  });

  test('that is none is refused, as are rules that there are not', async () => {
    const path = join(folder, 'none.txt');
    writeFileSync(path, 'this is a letter\n');
    assert.match((await lab(['replay', path])).err, /neither an export nor a recording/);
    assert.match((await lab(['replay', ATH12K, '--accesses', 'all'])).err, /there is no rule "all"/);
    assert.match((await lab(['replay', ATH12K, '--policy', 'nobody'])).err, /policy\/invalidation\/kind/);
  });
});

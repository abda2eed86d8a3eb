/** `repro`: published beside simulated, as docs/fidelity.md has it, and an exit code for scripts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { reproductions } from '../../src/lab/repro/index.ts';
import { reproduce } from '../../src/lab/repro/run.ts';
import { withServers } from '../main/server-process.ts';
import { lab } from './command.ts';

interface Row {
  target: string;
  what: string;
  status: string;
  relativeError: number | null;
}

describe('repro', () => {
  test('has the rows that the reproduction itself comes to', async () => {
    const id = 'intel-iommu-2008';
    const { code, out, err } = await lab(['repro', id, '--json', '--no-progress']);
    assert.deepEqual([code, err], [0, '']);
    const [table, ...more] = JSON.parse(out) as { id: string; rows: Row[] }[];
    assert.deepEqual([table!.id, more], [id, []]);
    assert.deepEqual(
      table!.rows.map(({ what, status, relativeError }) => [what, status, relativeError]),
      reproduce(reproductions[id]!).map(({ row, status, relativeError }) => [row.what, status, relativeError]),
    );
  });

  test('comes to the same on a server', () =>
    withServers(async (start, folder) => {
      const address = await start(['--port', '0', '--data', folder, '--workers', '1']).address();
      const words = ['repro', 'intel-iommu-2008', '--json', '--no-progress'];
      const [there, here] = await Promise.all([lab([...words, '--server', address]), lab(words)]);
      assert.deepEqual(there, here);
    }));

  /** With a row that does not appear, as the file itself says, and quick. */
  const missing = Object.values(reproductions).find(({ misses }) => (misses ?? []).length > 0);

  test('ends with 1 when a row that should appear does not, and names it', {
    skip: missing === undefined,
  }, async () => {
    const { code, out, err } = await lab(['repro', `repro/${missing!.id}`, '--no-progress'], { columns: 80 });
    assert.equal(code, 1);
    for (const line of out.split('\n')) assert.ok(line.length <= 80, line);
    for (const part of ['published', 'simulated', 'error', 'status']) assert.ok(out.includes(part), part);
    assert.match(err, new RegExp(`^iommu-lab: does not appear: ${missing!.id} `, 'm'));
  });

  test('says which there are, when one is asked for that is not there', async () => {
    const { code, out, err } = await lab(['repro', 'eiovr15']);
    assert.deepEqual([code, out], [2, '']);
    assert.match(err, /There is no reproduction "eiovr15"\. Did you mean eiovar15\? There are intel-iommu-2008, /);
  });
});

/** Jobs that replay a recording, computed by workers elsewhere: with a folder of tapes they come to what they come to here. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { Tapes } from '../src/host/recordings.ts';
import { runJob } from '../src/lab/job.ts';
import { tapePath } from '../src/trace/archive/uses.ts';
import { createImporter } from '../src/trace/importer.ts';
import { TapeWriter } from '../src/trace/tape.ts';
import { keyed, outcomesOf } from './jobs.ts';
import { readyWorker, server } from './stage.ts';

const data = mkdtempSync(join(tmpdir(), 'iommu-lab-redis-'));
after(() => rmSync(data, { recursive: true, force: true }));

/** A tape as a server has it. */
function tapeIn(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const unnamed = join(folder, 'unnamed');
  const tape = new TapeWriter(unnamed);
  const importer = createImporter({ format: 'ftrace', sink: tape });
  importer.write(readFileSync(new URL('../test/trace/recordings/ath12k.txt', import.meta.url)));
  importer.end();
  const { digest } = tape.seal(importer.summary());
  copyFileSync(unnamed, tapePath(folder, digest));
  return digest;
}

describe('jobs on a recording through a queue', { timeout: 300_000 }, () => {
  const folder = join(data, 'traces');
  const recording = tapeIn(folder);
  const job = (seed: number) =>
    keyed({
      seed,
      devices: [{ name: 'wifi', kind: 'replay' }],
      workloads: [{ kind: 'replay', device: 'wifi', trace: 'wifi', recording, accesses: [{ rule: 'every-page' }] }],
    });

  it('come to what they come to in the process of the server, where workers have its folder', async () => {
    await readyWorker(0, folder);
    const jobs = [job(1), job(2)];
    const recordings = new Tapes(folder).of(null);
    const near = jobs.map(({ job }) => runJob(job, { recordings }));
    assert.ok(
      near.every(({ ok }) => ok),
      JSON.stringify(near),
    );
    assert.deepEqual(await outcomesOf(await server(), jobs), near);
  });

  it('fail by a name that says what to do, where workers have none', async () => {
    await readyWorker(0);
    const [outcome] = await outcomesOf(await server(), [job(3)]);
    assert.ok(!outcome!.ok);
    assert.equal(outcome!.code, 'recording-missing');
    assert.match(outcome!.detail, new RegExp(`"wifi", digest ${recording}, .*--traces.*${recording}\\.tape`));
  });
});

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
import { withServers } from '../test/main/server-process.ts';
import { keyed, outcomesOf } from './jobs.ts';
import { readyWorker, redis, server } from './stage.ts';

const ATH12K = new URL('../test/trace/recordings/ath12k.txt', import.meta.url);
const data = mkdtempSync(join(tmpdir(), 'iommu-lab-redis-'));
after(() => rmSync(data, { recursive: true, force: true }));

/** A tape as a server has it. */
function tapeIn(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const unnamed = join(folder, 'unnamed');
  const tape = new TapeWriter(unnamed);
  const importer = createImporter({ format: 'ftrace', sink: tape });
  importer.write(readFileSync(ATH12K));
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

  it('are planned by a server that has the recording, and computed by a worker that shares its folder', () =>
    withServers(async (start, place) => {
      const flags = ['--data', join(place, 'data'), '--port', '0', '--workers', '1', '--redis', redis.url];
      const address = await start(flags).address();
      const ask = async (path: string, body?: string, type = 'application/json') => {
        const init = body === undefined ? {} : { method: 'POST', body, headers: { 'content-type': type } };
        const reply = await fetch(`${address}${path}`, init);
        const answer = (await reply.json()) as Record<string, unknown>;
        assert.ok(reply.ok, JSON.stringify(answer));
        return answer;
      };
      const ended = async (path: string) => {
        for (;;) {
          const document = await ask(path);
          if (document.endedAt !== null) return document;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      };
      await ask('/v1/traces?name=wifi', readFileSync(ATH12K, 'utf8'), 'text/plain');
      assert.equal((await ended('/v1/traces/wifi')).state, 'ready');
      await readyWorker(0, join(place, 'data', 'traces'));
      const { id } = await ask(
        '/v1/experiments',
        JSON.stringify({
          base: {
            policy: { allocator: { kind: 'rcache' } },
            devices: [{ name: 'wifi', kind: 'replay' }],
            workloads: [{ kind: 'replay', device: 'wifi', trace: 'wifi' }],
          },
          vary: { 'policy.invalidation.kind': ['strict', 'flush-queue'] },
          until: { ns: 400e9 },
          seeds: [1],
          control: false,
        }),
      );
      await ended(`/v1/experiments/${id}`);
      const { failures, arms } = (await ask(`/v1/experiments/${id}/results`)) as {
        failures: unknown[];
        arms: unknown[];
      };
      assert.deepEqual([failures, arms.length], [[], 2]);
    }));
});

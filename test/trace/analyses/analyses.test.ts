/** Looks at whole recordings: each of their bounds ends or refuses one, and gives its place back. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Analyses } from '../../../src/trace/analyses/analyses.ts';
import { createImporter } from '../../../src/trace/importer.ts';
import { TapeWriter } from '../../../src/trace/tape.ts';

const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'ath12k.tape');
const tape = new TapeWriter(path);
const importer = createImporter({ format: 'ftrace', sink: tape });
importer.write(readFileSync(new URL('../recordings/ath12k.txt', import.meta.url)));
importer.end();
tape.seal(importer.summary());

/** Of maps that nothing unmaps: whoever looks for their ends keeps all of them. */
function neverUnmapped(count: number): string {
  const path = join(folder, 'open.tape');
  const tape = new TapeWriter(path);
  const importer = createImporter({ format: 'ftrace', sink: tape });
  let text = '';
  for (let i = 0; i < count; i++) {
    const time = `1.${String(i).padStart(6, '0')}`;
    text += `  a-1 [000] ..... ${time}: dma_map_phys: 0000:3b:00.0 dir=TO_DEVICE dma_addr=${(i * 4096).toString(16)} size=4096 phys_addr=${(i * 4096).toString(16)} attrs=\n`;
  }
  importer.write(Buffer.from(text));
  importer.end();
  tape.seal(importer.summary());
  return path;
}

const never = new AbortController().signal;

/** Code and detail of a refusal; null: it came to its end. */
async function refusal(analyses: Analyses, signal = never, of = path): Promise<string | null> {
  const reply = await analyses.run({ path: of, kind: 'checks' }, signal);
  return reply.ok ? null : `${reply.problem.code}: ${reply.problem.detail}`;
}

test('as many as there may be at a time, and one more when one has ended', async () => {
  const analyses = new Analyses({ analyses: 2 });
  const two = [refusal(analyses), refusal(analyses)];
  assert.match(String(await refusal(analyses)), /^overloaded: 2 recordings are being looked at, and 2 is the most/);
  assert.deepEqual(await Promise.all(two), [null, null]);
  assert.equal(await refusal(analyses), null);
});

test('one that takes too long is ended, and its place is free', async () => {
  const analyses = new Analyses({ analyses: 1, wholeMs: 1 });
  for (let i = 0; i < 2; i++)
    assert.match(String(await refusal(analyses)), /^trace-too-large: .*takes more than 0\.001 s/);
});

test('one that takes too much memory is ended, and its place is free', async () => {
  const analyses = new Analyses({ analyses: 1, heapMib: 24 });
  const open = neverUnmapped(400_000);
  for (let i = 0; i < 2; i++)
    assert.match(String(await refusal(analyses, never, open)), /^trace-too-large: .*takes more than 24 MiB of heap/);
  assert.equal(await refusal(new Analyses(), never, open), null);
});

test('one that nobody waits for any more is ended', async () => {
  const analyses = new Analyses({ analyses: 1 });
  const gone = new AbortController();
  const ended = refusal(analyses, gone.signal);
  gone.abort();
  assert.match(String(await ended), /nobody waits for it/);
  assert.equal(await refusal(analyses), null);
});

test('a tape that is damaged is said to be, and not to be too large', async () => {
  const damaged = join(folder, 'damaged.tape');
  const bytes = readFileSync(path);
  bytes[bytes.length - 3]! ^= 1;
  writeFileSync(damaged, bytes);
  const reply = await new Analyses().run({ path: damaged, kind: 'forensics' }, never);
  assert.ok(!reply.ok && reply.problem.code === 'trace-damaged');
});

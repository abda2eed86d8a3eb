/** `run` and `compare`: the same answer here and on a server, in a terminal and as a document. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { ExperimentResults } from '../../src/lab/compare/results.ts';
import { Command, lab } from './command.ts';

const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const SHORT = ['--until', 'operations=500', '--no-progress'];
const FEW = ['--seeds', '1,2'];
const VARIED = ['compare', 'thread-2008', '--vary', 'policy.invalidation.kind=strict,deferred-2008', ...SHORT, ...FEW];
const LABELS = ['strict', 'deferred-2008'];

const results = (out: string): ExperimentResults => JSON.parse(out);

describe('compare', () => {
  test('shows a line an arm, its control, and the frontier', async () => {
    const { code, out, err } = await lab(VARIED, { columns: 100 });
    assert.deepEqual([code, err], [0, '']);
    for (const label of [...LABELS, 'passthrough']) assert.match(out, new RegExp(`^[ *c] {2}${label} `, 'm'));
    assert.match(out, /^Frontier of speed and exposure/m);
    assert.match(out, /^Differences/m);
    assert.match(out, /^c {2}passthrough .* open +open /m);
  });

  for (const columns of [60, 80, 140])
    test(`fits a terminal of ${columns}, with exposure beside speed`, async () => {
      const { code, out } = await lab(VARIED, { columns });
      assert.equal(code, 0);
      for (const line of out.split('\n')) assert.ok(line.length <= columns, line);
      const head = out.split('\n').find((line) => / arm /.test(line))!;
      for (const title of ['speed', 'exposed', 'longest', 'stale']) assert.ok(head.includes(title), head);
    });

  test('--json is one document with all of it, whatever the width, and the same each time', async () => {
    const [narrow, again] = await Promise.all([
      lab([...VARIED, '--json'], { columns: 30 }),
      lab([...VARIED, '--json']),
    ]);
    assert.equal(narrow.out, again.out);
    const { arms, comparisons, frontier } = results(narrow.out);
    assert.deepEqual(
      arms.map(({ label }) => label),
      ['passthrough', ...LABELS],
    );
    assert.ok(comparisons.length > 0 && frontier.length > 0);
    for (const { seeds } of arms) assert.deepEqual(seeds, [1, 2]);
  });

  test('takes what flags say: seeds, settings, pairs, no control', async () => {
    const { code, out } = await lab([
      ...['compare', 'thread-2008', '--vary', 'machine.cpus=2,4', '--vary', 'policy.invalidation.kind=strict,delayed'],
      ...['--combine', 'paired', '--seeds', '5-6', '--no-control', '--set', 'workloads.rx.gbps=5', '--json', ...SHORT],
    ]);
    assert.equal(code, 0);
    const { arms } = results(out);
    assert.deepEqual(
      arms.map(({ varied, seeds }) => [varied['machine.cpus'], varied['policy.invalidation.kind'], seeds]),
      [
        [2, 'strict', [5, 6]],
        [4, 'delayed', [5, 6]],
      ],
    );
    for (const { rerun } of arms) {
      const { workloads } = rerun.base as { workloads: { name: string; gbps: number }[] };
      assert.equal(workloads.find(({ name }) => name === 'rx')!.gbps, 5);
    }
  });

  test('takes a file of JSON, one of YAML, and what is piped in, for the same', async () => {
    const input = {
      base: { preset: 'thread-2008' },
      vary: { 'policy.invalidation.kind': LABELS },
      until: { operations: 500 },
      seeds: [1],
    };
    const yaml = `base: {preset: thread-2008}\nvary:\n  policy.invalidation.kind: [${LABELS}]\nuntil: {operations: 500}\nseeds: [1]\n`;
    const said = await Promise.all([
      lab(['compare', file('e.json', input), '--json', '--no-progress']),
      lab(['compare', file('e.yaml', yaml), '--json', '--no-progress']),
      lab(['compare', '-', '--json', '--no-progress'], { input: JSON.stringify(input) }),
    ]);
    for (const { code, out, err } of said) {
      assert.equal(code, 0, err);
      assert.deepEqual(results(out).arms, results(said[0]!.out).arms);
    }
  });

  test('takes workloads in the place of its own', async () => {
    const workloads = file('w.json', [{ name: 'only', kind: 'nic-tx', device: 'nic0', gbps: 1 }]);
    const { code, out } = await lab([...VARIED, '--workloads', workloads, '--json']);
    assert.equal(code, 0);
    for (const { workloads: each } of results(out).arms)
      assert.deepEqual(
        each.map(({ name }) => name),
        ['only'],
      );
  });

  test('writes report, CSV, Parquet and Markdown', async () => {
    const paths = ['report.html', 'rows.csv', 'rows.parquet', 'summary.md'].map((name) => join(folder, name));
    const flags = ['--report', '--csv', '--parquet', '--markdown'].flatMap((flag, i) => [flag, paths[i]!]);
    const { code, err } = await lab([...VARIED, ...flags]);
    assert.equal(code, 0, err);
    const [html, csv, parquet, markdown] = paths.map((path) => readFileSync(path));
    assert.match(html!.toString(), /^<!doctype html>/i);
    const [head, ...rows] = csv!.toString().trim().split('\n');
    assert.match(head!, /(^|,)arm/);
    assert.ok(rows.length >= 3 * 2);
    assert.equal(parquet!.subarray(0, 4).toString(), 'PAR1');
    assert.match(markdown!.toString(), /deferred-2008/);
    for (const path of paths) assert.ok(err.includes(path));
    const piped = await lab([...VARIED, '--markdown', '-']);
    assert.deepEqual(
      [piped.code, piped.out],
      [0, markdown!.toString().endsWith('\n') ? markdown!.toString() : `${markdown}\n`],
    );
  });
});

describe('run', () => {
  test('of a session preset is one run of it, with its figures', async () => {
    const { code, out, err } = await lab(['run', 'thread-2008', ...SHORT], { columns: 100 });
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /^thread-2008, seed 1: .* simulated$/m);
    for (const name of ['rx', 'tx', 'disk', 'probe']) assert.match(out, new RegExp(`^${name} `, 'm'));
    assert.match(out, /^stale accesses +\d/m);
    const { arms } = results((await lab(['run', 'thread-2008', '--json', ...SHORT])).out);
    assert.deepEqual([arms.length, arms[0]!.control, arms[0]!.seeds], [1, false, [1]]);
  });

  test('of a spec takes its seed, or those that are given', async () => {
    const spec = file('spec.json', { preset: 'thread-2008', seed: 7 });
    const [own, given] = await Promise.all([
      lab(['run', spec, '--json', ...SHORT]),
      lab(['run', spec, ...FEW, '--json', ...SHORT]),
    ]);
    assert.deepEqual(results(own.out).arms[0]!.seeds, [7]);
    assert.deepEqual(results(given.out).arms[0]!.seeds, [1, 2]);
  });

  test('of an experiment shows every arm, without verdicts', async () => {
    const path = file('x.json', { base: { preset: 'thread-2008' }, vary: { 'policy.invalidation.kind': LABELS } });
    const { code, out } = await lab(['run', path, ...SHORT, '--seeds', '1'], { columns: 100 });
    assert.equal(code, 0);
    for (const label of LABELS) assert.match(out, new RegExp(`^${label} `, 'm'));
    assert.doesNotMatch(out, /Frontier|Differences/);
  });
});

describe('what is wrong is named, all of it, and ends with 2', () => {
  test('a name', async () => {
    const { code, out, err } = await lab(['compare', 'thread-208']);
    assert.deepEqual([code, out], [2, '']);
    assert.match(
      err,
      /^iommu-lab: There is no experiment, no preset and no file "thread-208"\. Did you mean thread-2008\?/,
    );
  });

  test('members of a spec', async () => {
    const path = file('bad.json', {
      base: { preset: 'thread-2008', machine: { cpus: 0, wheels: 4 } },
      vary: { 'policy.invalidation.kind': ['strict'] },
      sedes: [1],
    });
    const { code, out, err } = await lab(['compare', path]);
    assert.deepEqual([code, out], [2, '']);
    assert.match(err, /^iommu-lab: The experiment cannot be used, as 3 members are wrong:\n/);
    for (const pointer of ['/base/machine/cpus', '/base/machine/wheels', '/sedes'])
      assert.ok(err.includes(`  ${pointer}: `), err);
    assert.doesNotMatch(err, /^\s+at /m);
  });

  test('a kind, with what there is', async () => {
    const { code, err } = await lab(['compare', 'thread-2008', '--vary', 'policy.invalidation.kind=strct,strict']);
    assert.equal(code, 2);
    assert.match(err, / {2}\/vary\/policy\.invalidation\.kind\/0.*strct|must be one of/);
    assert.match(err, /strict/);
  });

  test('a path', async () => {
    const { code, err } = await lab(['run', 'thread-2008', '--set', 'workloads.rxx.gbps=1']);
    assert.equal(code, 2);
    assert.match(
      err,
      /--set workloads\.rxx\.gbps: none of the workloads is called or counted "rxx"; there are rx, tx, disk, probe/,
    );
  });

  test('text that is no JSON, or no object', async () => {
    const [text, list] = await Promise.all([
      lab(['run', file('t.json', '{"a": }')]),
      lab(['run', file('l.json', [1])]),
    ]);
    assert.deepEqual([text.code, list.code], [2, 2]);
    assert.match(text.err, /t\.json is not JSON: /);
    assert.match(list.err, /l\.json must hold one object/);
  });

  test('nothing is written then', async () => {
    const report = join(folder, 'none.html');
    assert.equal((await lab(['compare', 'thread-208', '--report', report])).code, 2);
    assert.equal(existsSync(report), false);
  });
});

describe('Ctrl-C', () => {
  const LONG = ['compare', 'thread-2008', '--until', 'ns=3600000000000', '--seeds', '1'];

  test('once ends what is under way, without figures, with 130', async () => {
    const command = new Command(LONG);
    await command.hasComputed();
    command.child.kill('SIGINT');
    const { code, out, err } = await command.ended();
    assert.deepEqual([code, out], [130, '']);
    assert.match(err, /iommu-lab: cancelling; once more ends it at once/);
    assert.doesNotMatch(err, /^\s+at /m);
  });

  test('SIGTERM does, too, with 143', async () => {
    const command = new Command(LONG);
    await command.hasComputed();
    command.child.kill('SIGTERM');
    assert.equal((await command.ended()).code, 143);
  });
});

test('a log has a line of progress now and then, and with --no-progress none', async () => {
  const command = new Command(['compare', 'thread-2008', '--until', 'ns=400000000', '--seeds', '1-40']);
  await command.hears(/^iommu-lab: \d+ of 280 jobs$/m);
  command.child.kill('SIGINT');
  const { code, err } = await command.ended();
  assert.equal(code, 130);
  assert.ok(!err.includes('\u001b'), err);
});

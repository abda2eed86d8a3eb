/** Experiments on a server: what is asked of it, and what becomes of its bad news. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withServers } from '../main/server-process.ts';
import { Command, lab } from './command.ts';
import { type Asked, documentOf, OtherServer, say } from './other-server.ts';

const EXPERIMENT = JSON.stringify({ base: { preset: 'thread-2008' }, until: { operations: 10 } });

async function withOther(
  answer: (asked: Asked, response: Parameters<typeof say>[0], count: number) => void,
  play: (server: OtherServer) => Promise<void>,
): Promise<void> {
  const server: OtherServer = new OtherServer((asked, response) =>
    answer(asked, response, server.count(asked.method, asked.path)),
  );
  await server.open();
  try {
    await play(server);
  } finally {
    server.close();
  }
}

const compared = (server: OtherServer, ...flags: string[]) =>
  lab(['compare', '-', '--no-progress', '--server', server.address, ...flags], { input: EXPERIMENT });

const RESULTS = {
  experiment: 'exp_1',
  state: 'finished',
  complete: false,
  arms: [],
  comparisons: [],
  frontier: [],
  dominated: [],
  frontiers: [],
  knobs: [],
  failures: [{ arm: 'arm-1', seed: 2, code: 'too-much-memory', detail: 'The simulation takes 2 bytes of memory.' }],
};

test('a job that failed is told on stderr, and ends with 1; the request went out as it was', () =>
  withOther(
    ({ method, path }, response, count) => {
      if (method === 'POST') say(response, 202, documentOf('queued'));
      else if (path.endsWith('/results')) say(response, 200, RESULTS);
      else say(response, 200, documentOf(count < 3 ? 'running' : 'finished'));
    },
    async (server) => {
      const { code, out, err } = await compared(server, '--json', '--seeds', '3');
      assert.equal(code, 1);
      assert.deepEqual(JSON.parse(out), RESULTS);
      assert.equal(err, 'iommu-lab: arm-1, seed 2 failed: The simulation takes 2 bytes of memory. (too-much-memory)\n');
      assert.deepEqual(server.asked[0]!.body, { ...JSON.parse(EXPERIMENT), seeds: [3] });
      assert.equal(server.count('GET', '/v1/experiments/exp_1'), 3);
    },
  ));

test('every member that the server finds wrong is named, with 2', () =>
  withOther(
    (_, response) =>
      say(response, 400, {
        type: '/problems/invalid-experiment',
        title: 'Invalid experiment',
        status: 400,
        code: 'invalid-experiment',
        detail: 'two members',
        errors: [
          { path: '/base/machine/cpus', message: 'must be at least 1' },
          { path: '', message: 'makes 900 arms and 500 is the limit' },
        ],
      }),
    async (server) => {
      const { code, out, err } = await compared(server);
      assert.deepEqual([code, out], [2, '']);
      assert.equal(
        err,
        'iommu-lab: The experiment cannot be used, as 2 members are wrong:\n  /base/machine/cpus: must be at least 1\n  (all of it): makes 900 arms and 500 is the limit\n',
      );
    },
  ));

test('a server that is away for a while is asked again, and the experiment goes on', () =>
  withOther(
    ({ method, path }, response, count) => {
      if (method === 'POST') say(response, 202, documentOf('queued'));
      else if (path.endsWith('/results')) say(response, 200, { ...RESULTS, failures: [] });
      else if (count <= 2) response.destroy();
      else say(response, 200, documentOf('finished'));
    },
    async (server) => {
      const { code, err } = await compared(server, '--json');
      assert.deepEqual([code, err], [0, '']);
      assert.equal(server.count('POST', '/v1/experiments'), 1);
    },
  ));

test('one that fails for good ends with 3', () =>
  withOther(
    (_, response) =>
      say(response, 503, { code: 'storage-unavailable', title: 'Storage', status: 503, detail: 'The disk is full.' }),
    async (server) => {
      const { code, err } = await compared(server);
      assert.deepEqual([code, err], [3, 'iommu-lab: The disk is full.\n']);
    },
  ));

test('Ctrl-C cancels the experiment there, once', () =>
  withOther(
    ({ method }, response) => {
      if (method === 'DELETE') say(response, 200, documentOf('cancelled'));
      else say(response, method === 'POST' ? 202 : 200, documentOf('running'));
    },
    async (server) => {
      const command = new Command(['compare', '-', '--server', server.address], { input: EXPERIMENT });
      while (server.count('GET', '/v1/experiments/exp_1') < 2) await new Promise((resolve) => setTimeout(resolve, 10));
      command.child.kill('SIGINT');
      const { code, out } = await command.ended();
      assert.deepEqual([code, out], [130, '']);
      assert.equal(server.count('DELETE', '/v1/experiments/exp_1'), 1);
    },
  ));

test('Ctrl-C while it is being made waits for its name, and then cancels it', () =>
  withOther(
    ({ method }, response) => {
      if (method === 'DELETE') say(response, 200, documentOf('cancelled'));
      else if (method === 'POST') setTimeout(() => say(response, 202, documentOf('running')), 1000);
      else say(response, 200, documentOf('running'));
    },
    async (server) => {
      const command = new Command(['compare', '-', '--server', server.address], { input: EXPERIMENT });
      while (server.count('POST', '/v1/experiments') < 1) await new Promise((resolve) => setTimeout(resolve, 10));
      command.child.kill('SIGINT');
      assert.equal((await command.ended()).code, 130);
      assert.equal(server.count('DELETE', '/v1/experiments/exp_1'), 1);
    },
  ));

test('a second Ctrl-C waits for nothing', () =>
  withOther(
    ({ method }, response) => {
      // Nothing answers a DELETE.
      if (method !== 'DELETE') say(response, method === 'POST' ? 202 : 200, documentOf('running'));
    },
    async (server) => {
      const command = new Command(['compare', '-', '--server', server.address], { input: EXPERIMENT });
      while (server.count('GET', '/v1/experiments/exp_1') < 2) await new Promise((resolve) => setTimeout(resolve, 10));
      command.child.kill('SIGINT');
      await command.hears(/once more ends it at once/);
      command.child.kill('SIGINT');
      assert.equal((await command.ended()).code, 130);
    },
  ));

test('a real server comes to the same arms, writes the same rows, and is left without what was cancelled', () =>
  withServers(async (start, folder) => {
    const server = start(['--port', '0', '--data', join(folder, 'data'), '--workers', '1', '--log-level', 'error']);
    const address = await server.address();
    const csv = ['there.csv', 'here.csv'].map((name) => join(folder, name));
    const [parquet, markdown, html] = ['r.parquet', 'r.md', 'r.html'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const words = [
      'compare',
      'thread-2008',
      '--vary',
      'policy.invalidation.kind=strict,delayed',
      '--set',
      'machine.cpus=4',
    ];
    const more = ['--seeds', '1', '--until', 'operations=300', '--no-progress', '--json'];
    const written = ['--parquet', parquet, '--markdown', markdown, '--report', html];
    const there = await lab([...words, ...more, '--server', address, '--csv', csv[0]!, ...written]);
    const here = await lab([...words, ...more, '--csv', csv[1]!]);
    assert.deepEqual([there.code, here.code], [0, 0], there.err + here.err);
    const [a, b] = [JSON.parse(there.out), JSON.parse(here.out)];
    assert.deepEqual([a.arms, a.comparisons, a.frontiers], [b.arms, b.comparisons, b.frontiers]);
    const rowsOf = (path: string, id: string) => readFileSync(path, 'utf8').replaceAll(id, '');
    assert.equal(rowsOf(csv[0]!, a.experiment), rowsOf(csv[1]!, b.experiment));
    assert.equal(readFileSync(parquet).subarray(0, 4).toString(), 'PAR1');
    assert.match(readFileSync(markdown, 'utf8'), /^# /);
    assert.match(readFileSync(html, 'utf8'), /^<!doctype html>/i);
    const command = new Command(['compare', 'thread-2008', '--until', 'ns=3600000000000', '--server', address]);
    const states = async () => {
      const { items } = (await (await fetch(`${address}/v1/experiments`)).json()) as { items: { state: string }[] };
      return items.map(({ state }) => state);
    };
    while ((await states()).at(-1) !== 'running') await new Promise((resolve) => setTimeout(resolve, 50));
    command.child.kill('SIGINT');
    assert.equal((await command.ended()).code, 130);
    assert.deepEqual(await states(), ['finished', 'cancelled']);
    const bad = await lab(['compare', 'thread-2008', '--vary', 'policy.invalidation.kind=strct', '--server', address]);
    assert.equal(bad.code, 2);
    assert.match(bad.err, /\/vary\/policy\.invalidation\.kind\/0/);
  }));

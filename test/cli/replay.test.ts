/** `replay`: an export done again comes to the digest that it states, here and on a server, or is said not to; and under other policies. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ServerProcess, withServers } from '../main/server-process.ts';
import { Command, lab } from './command.ts';

type Plain = Record<string, unknown>;

interface Exported extends Plain {
  digest: string;
  records: Plain[];
  spec: Plain;
}

const LINES = [
  { op: 'buffer', lengthBytes: 16_384, as: 'b' },
  { op: 'map', device: 'nic0', kind: 'single', direction: 'from-device', buffer: '$b', lengthBytes: 1500, as: 'm' },
  { op: 'dma', device: 'nic0', iova: '$m.iova+100', lengthBytes: 1000, access: 'write' },
  { op: 'unmap', mapping: '$m' },
  // What this reaches is a question of the policy.
  { op: 'dma', device: 'nic0', iova: '$m.iova+100', lengthBytes: 1000, access: 'write' },
  // What a disk writes through an address that the NIC was given, in the domain of both; and one that nobody was given.
  { op: 'map', device: 'nic0', kind: 'single', direction: 'from-device', buffer: '$b', lengthBytes: 9000, as: 'n' },
  { op: 'dma', device: 'disk0', iova: '$n.iova+5000', lengthBytes: 4000, access: 'write' },
  { op: 'dma', device: 'disk0', iova: '0x12345000', lengthBytes: 8, access: 'read' },
  { op: 'unmap', device: 'nic0', iova: '$n.iova', lengthBytes: 9000, direction: 'from-device' },
  { op: 'advance', ns: 20_000 },
];

let server: ServerProcess;
let address: string;
let folder: string;
let exported: Exported;
let path: string;
/** The same, but for the run that was cancelled: such a run is one up to a time under other policies. */
let wholePath: string;
/** Operations alone. */
let operationsPath: string;
let over: () => void;
let whole: Promise<void>;

before(async () => {
  await new Promise<void>((begun, failed) => {
    whole = withServers(async (start, at) => {
      folder = at;
      server = start(['--port', '0', '--data', join(folder, 'data'), '--workers', '1', '--log-level', 'error']);
      address = await server.address();
      const post = async (what: string, body: string, type = 'application/json'): Promise<Response> => {
        const response = await fetch(`${address}/v1/sessions${what}`, {
          method: 'POST',
          headers: { 'content-type': type },
          body,
        });
        assert.ok(response.ok, await response.clone().text());
        return response;
      };
      await post('', JSON.stringify({ preset: 'thread-2008', name: 'done' }));
      const lines = LINES.map((line) => JSON.stringify(line)).join('\n');
      await (await post('/done/ops', lines, 'application/x-ndjson')).text();
      const exportTo = async (name: string): Promise<string> => {
        const { id } = (await (await post('/done/snapshots', '{}')).json()) as { id: string };
        const text = await (await fetch(`${address}/v1/sessions/done/snapshots/${id}?state=false`)).text();
        const at = join(folder, `${name}.json`);
        writeFileSync(at, text);
        return at;
      };
      operationsPath = await exportTo('operations');
      await post('/done/runs', JSON.stringify({ forNs: 2_000_000 }));
      while ((await read('/done')).activeRun !== null);
      wholePath = await exportTo('whole');
      // One that is ended before its time.
      await post('/done/runs', JSON.stringify({ forNs: 3_600_000_000_000 }));
      await fetch(`${address}/v1/sessions/done/runs/run_2`, { method: 'DELETE' });
      while ((await read('/done')).activeRun !== null);
      path = await exportTo('export');
      exported = JSON.parse(readFileSync(path, 'utf8'));
      await fetch(`${address}/v1/sessions/done`, { method: 'DELETE' });
      begun();
      await new Promise<void>((resolve) => {
        over = resolve;
      });
    }).catch(failed);
  });
});

after(async () => {
  over();
  await whole;
});

function changed(name: string, change: (document: Exported) => void): string {
  const document = structuredClone(exported);
  change(document);
  const at = join(folder, `${name}.json`);
  writeFileSync(at, JSON.stringify(document));
  return at;
}

const read = async (what: string): Promise<Plain> =>
  (await (await fetch(`${address}/v1/sessions${what}`)).json()) as Plain;

const sessionsLeft = async (): Promise<number> => ((await read('')).items as unknown[]).length;

describe('under its own policy', () => {
  test('it comes to the digest of the export, here', async () => {
    const { code, out, err } = await lab(['replay', path]);
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, new RegExp(`^digest {2}${exported.digest}\nequal to that of the export`, 'm'));
  });

  test('and on a server, which is left as it was', async () => {
    const { code, out } = await lab(['replay', path, '--server', address]);
    assert.equal(code, 0);
    assert.match(out, new RegExp(`^digest {2}${exported.digest}\nequal`));
    assert.equal(await sessionsLeft(), 0);
  });

  test('from a pipe, as one document', async () => {
    const { code, out } = await lab(['replay', '-', '--json'], { input: readFileSync(path, 'utf8') });
    const { equal, digest, stated, records } = JSON.parse(out);
    assert.deepEqual([code, equal, digest, stated], [0, true, exported.digest, exported.digest]);
    assert.equal(records, exported.records.length);
  });

  const other = () =>
    changed('other', ({ records }) => {
      const map = records.find(({ op }) => op === 'map')!;
      map.lengthBytes = 1501;
    });

  test('an export that was changed does not, and ends with 1', async () => {
    const { code, out } = await lab(['replay', other()]);
    assert.equal(code, 1);
    assert.match(out, new RegExp(`^not equal to that of the export, ${exported.digest}`, 'm'));
    assert.match(out, /^digest {2}(?!.*undefined)[0-9a-f]{64}$/m);
  });

  test('nor on a server', async () => {
    const { code, out } = await lab(['replay', other(), '--server', address, '--json']);
    assert.equal(code, 1);
    assert.deepEqual(JSON.parse(out).equal, false);
    assert.equal(await sessionsLeft(), 0);
  });

  test('one that cannot have happened ends with 1, and names the record', async () => {
    const at = changed('impossible', ({ records }) => {
      records.splice(1, 0, { op: 'unmap', mapping: 'map_77_1' });
    });
    const { code, err } = await lab(['replay', at]);
    assert.equal(code, 1);
    assert.match(err, /^iommu-lab: It cannot be done again: \/records\/1 is refused: /);
  });
});

describe('what is no export ends with 2, and names every member', () => {
  const cases: [string, (document: Exported) => void, RegExp][] = [
    ['format', (document) => (document.format = 'x'), /This is no export of a session/],
    ['version of the core', (document) => (document.coreVersion = '0'), /\/coreVersion is 0, and this is /],
    [
      'records',
      ({ records }) => {
        (records[0] as Plain).lengthBytes = -1;
        records[1] = { op: 'mapp' };
        records[2] = { nonsense: 1 };
      },
      /\/records\/0: \/lengthBytes .*\n {2}\/records\/1: \/op unknown operation `mapp`.*\n {2}\/records\/2: is none/,
    ],
    [
      'spec',
      ({ spec }) => ((spec.policy as Plain).invalidation = { kind: 'wrap' }),
      /The spec cannot be used, as one member is wrong:\n {2}\/policy\/invalidation\/kind: wrap flushes/,
    ],
  ];
  for (const [what, change, says] of cases)
    test(what, async () => {
      const { code, out, err } = await lab(['replay', changed('wrong', change)]);
      assert.deepEqual([code, out], [2, '']);
      assert.match(err, says);
    });
});

describe('under other policies', () => {
  const POLICIES = 'strict,deferred-2008,never';

  async function sideBySide(...flags: string[]): Promise<Plain[]> {
    const { code, out, err } = await lab(['replay', path, '--policy', POLICIES, '--json', ...flags]);
    assert.deepEqual([code, err], [0, '']);
    return JSON.parse(out);
  }

  test('its own among them is the session itself, bit by bit', async () => {
    const { code, out } = await lab(['replay', wholePath, '--policy', POLICIES, '--json']);
    assert.equal(code, 0);
    const lines = JSON.parse(out) as Plain[];
    const { digest } = JSON.parse(readFileSync(wholePath, 'utf8')) as Exported;
    assert.deepEqual(
      lines.map((line) => line.digest === digest),
      [false, true, false],
    );
  });

  test('addresses follow the mappings: the same access is stale under one policy and a fault under another', async () => {
    const vary = ['--vary', 'policy.allocator.kind=rbtree-2008,bitmap'];
    const { code, out, err } = await lab([
      'replay',
      operationsPath,
      '--policy',
      'strict,deferred-2008',
      ...vary,
      '--json',
    ]);
    assert.deepEqual([code, err], [0, '']);
    const lines = JSON.parse(out) as Plain[];
    for (const line of lines) assert.deepEqual([line.failed, line.impossible], [0, 0], String(line.label));
    const seen = lines.map(({ label, metrics }) => {
      const { exposure, counts } = metrics as { exposure: Plain; counts: Plain };
      return [label, exposure.staleAccesses, counts.faults];
    });
    // One access after its unmap, and one to what nobody was ever given.
    assert.deepEqual(seen, [
      ['strict, rbtree-2008', 0, 2],
      ['strict, bitmap', 0, 2],
      ['deferred-2008, rbtree-2008', 1, 1],
      ['deferred-2008, bitmap', 1, 1],
    ]);
  });

  test('a server comes to the same, and is left as it was', async () => {
    const [here, there] = await Promise.all([sideBySide(), sideBySide('--server', address)]);
    assert.deepEqual(
      there.map(({ label, digest, done }) => [label, digest, done]),
      here.map(({ label, digest, done }) => [label, digest, done]),
    );
    assert.equal(await sessionsLeft(), 0);
  });

  for (const columns of [40, 60, 80, 140])
    test(`the table fits a terminal of ${columns}`, async () => {
      const vary = ['--vary', 'policy.allocator.kind=rbtree-2008,bitmap'];
      const { code, out } = await lab(['replay', path, '--policy', 'strict,deferred-2008', ...vary], { columns });
      assert.equal(code, 0);
      for (const line of out.split('\n')) assert.ok(line.length <= columns, line);
      for (const part of ['strict, bitmap', 'exposed', 'longest', 'stale']) assert.ok(out.includes(part), part);
    });

  test('one that the spec does not go with is named, and nothing is left behind', async () => {
    for (const where of [[], ['--server', address]]) {
      const { code, err } = await lab(['replay', path, '--policy', 'strict,wrap', ...where]);
      assert.equal(code, 2);
      assert.match(err, /The spec under wrap cannot be used.*\n {2}\/policy\/invalidation\/kind: wrap flushes/);
    }
    assert.equal(await sessionsLeft(), 0);
  });

  test('Ctrl-C ends it with 130, and takes its sessions along', async () => {
    // An hour of simulated time under each.
    const at = changed('long', ({ records }) => {
      const end = records.findLastIndex((record) => 'end' in record);
      records.splice(end + 1, 0, { run: { forNs: 60_000_000_000 } }, { end: 'finished', events: 0, computedMs: 0 });
    });
    for (const where of [[], ['--server', address]]) {
      const command = new Command(['replay', at, '--policy', 'strict,deferred-2008', ...where]);
      // It says nothing before it has a record behind it; a process that has not begun would end without a word, too.
      if (where.length === 0) await command.hasComputed();
      else while ((await sessionsLeft()) === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      command.child.kill('SIGINT');
      const { code, err, out } = await command.ended();
      assert.deepEqual([code, out], [130, ''], err);
      assert.match(err, /cancelling; once more ends it at once/);
    }
    assert.equal(await sessionsLeft(), 0);
  });
});

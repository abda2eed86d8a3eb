/** `catalog`: the registries, for people and for scripts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { catalog } from '../../src/core/index.ts';
import { withServers } from '../main/server-process.ts';
import { lab } from './command.ts';

type Entries = Record<string, { kind: string }[]>;

test('without a word it names every kind there is', async () => {
  const { code, out } = await lab(['catalog']);
  assert.equal(code, 0);
  for (const [section, entries] of Object.entries(catalog() as Entries)) {
    assert.match(out, new RegExp(`^${section} \\(${entries.length}\\)$`, 'm'));
    for (const { kind } of entries) assert.ok(out.includes(kind), kind);
  }
});

for (const columns of [40, 60, 80, 140])
  test(`no line is wider than a terminal of ${columns}`, async () => {
    const asked = [['catalog'], ['catalog', 'profiles'], ['catalog', 'nic-rx'], ['catalog', 'policies', 'batched']];
    for (const { code, out } of await Promise.all(asked.map((words) => lab(words, { columns })))) {
      assert.equal(code, 0);
      for (const line of out.split('\n')) assert.ok(line.length <= columns, line);
    }
  });

test('a kind has its parameters with bounds and defaults, whether or not its section is named', async () => {
  const [alone, within] = await Promise.all([lab(['catalog', 'rcache']), lab(['catalog', 'allocators', 'rcache'])]);
  assert.equal(alone.out, within.out);
  assert.match(alone.out, /^magazineEntries +integer 1 to 1024 +127 +ranges in a magazine/m);
  assert.match(alone.out, /^Source: Linux drivers\/iommu\/iova\.c/m);
});

describe('--json', () => {
  test('is one document, and what the registries say', async () => {
    const [all, section, kind] = await Promise.all([
      lab(['catalog', '--json']),
      lab(['catalog', 'policies', '--json']),
      lab(['catalog', 'policies', 'strict', '--json']),
    ]);
    const { policies } = JSON.parse(all.out) as Entries;
    assert.deepEqual(policies, JSON.parse(JSON.stringify(catalog().policies)));
    assert.deepEqual(JSON.parse(section.out), policies);
    assert.deepEqual(
      JSON.parse(kind.out),
      policies!.find((entry) => entry.kind === 'strict'),
    );
  });

  test('is what a server of this version answers', () =>
    withServers(async (start, folder) => {
      const server = start(['--port', '0', '--data', folder, '--workers', '1']);
      const address = await server.address();
      const [here, there] = await Promise.all([
        lab(['catalog', '--json']),
        lab(['catalog', '--json'], { env: { IOMMU_LAB_SERVER: address } }),
      ]);
      assert.deepEqual(JSON.parse(there.out), JSON.parse(here.out));
    }));
});

describe('what there is not ends with 2, and with what was probably meant', () => {
  const cases: [string[], RegExp][] = [
    [['policies', 'strct'], /The catalog's policies have no "strct"\. Did you mean strict\?/],
    [['polices'], /no section and no kind "polices"\. Did you mean policies\?/],
    [['rcahce'], /Did you mean rcache\?/],
    [['strict', 'rcache'], /no section and no kind "strict"/],
  ];
  for (const [words, says] of cases)
    test(words.join(' '), async () => {
      const { code, out, err } = await lab(['catalog', ...words]);
      assert.deepEqual([code, out], [2, '']);
      assert.match(err, says);
    });
});

/** The docs say what the program says: generated parts are fresh, links lead somewhere, every key of a registry is in the glossary. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { catalog } from '../../src/core/index.ts';
import { Counters } from '../../src/core/meter/counters.ts';
import { rowNames } from '../../src/core/meter/work.ts';
import { causeNames, verdictNames } from '../../src/core/truth/oracle.ts';
import { parseCurl } from '../../tools/docs/curl.ts';
import { freshen, PARTS } from '../../tools/docs/pages.ts';
import { pages } from '../../tools/site/pages.ts';
import { closeScenes } from '../../tools/thread-2008/parts.ts';

after(closeScenes);

/** `test/docs/thread-2008.test.ts`, `test/lab/repro/fidelity.test.ts` and `test/lab/questions/pages.test.ts` have these: they take longest. */
const ownTest = (page: string): boolean =>
  ['docs/thread-2008.md', 'docs/fidelity.md'].includes(page) || page.startsWith('docs/questions/');

describe('generated parts', () => {
  for (const page of pages().filter((name) => !ownTest(name)))
    test(`those of ${page} are what \`npm run docs\` writes`, async () => {
      assert.deepEqual((await freshen(page)).stale, []);
    });

  test('every part stands in a page, and every marker has its end', () => {
    const text = pages()
      .map((page) => readFileSync(page, 'utf8'))
      .join('\n');
    const marked = [...text.matchAll(/<!-- generated: (.+?) -->/g)].map(([, name]) => name!);
    assert.deepEqual([...new Set(marked)].sort(), Object.keys(PARTS).sort());
    assert.equal(marked.length, text.match(/<!-- end -->/g)?.length);
  });

  test('a part that was changed by hand is noticed', async () => {
    const { text, parts } = await freshen('docs/policies.md');
    assert.ok(parts.includes('reuse'));
    assert.ok(text.includes('one global flush when 250 wait, or after 10 ms'));
  });
});

test('every allocator has a page with a transcript', () => {
  const { allocators } = catalog() as Record<string, { kind: string }[]>;
  for (const { kind } of allocators!) {
    const page = `docs/allocators/${kind}.md`;
    assert.ok(existsSync(page), page);
    assert.match(readFileSync(page, 'utf8'), /<!-- generated: .+ -->\n\n```console\n\$ curl /, page);
  }
});

test('every link to a file of the project leads to one, and to a heading that it has', () => {
  const broken = pages().flatMap((page) => {
    const text = readFileSync(page, 'utf8');
    return [...text.matchAll(/\]\((?!https?:)([^)#\s]*)(#[^)]*)?\)/g)]
      .filter(([, path, heading]) => {
        const target = path === '' ? page : join(dirname(page), path!);
        if (!existsSync(target)) return true;
        return heading !== undefined && !headings(readFileSync(target, 'utf8')).includes(heading.slice(1));
      })
      .map(([link]) => `${page}: ${link}`);
  });
  assert.deepEqual(broken, []);
});

/** As GitHub makes anchors of them. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('the glossary', () => {
  const glossary = readFileSync('docs/GLOSSARY.md', 'utf8');
  const known = new Set([...glossary.matchAll(/`([^`]+)`/g)].map(([, word]) => word!));
  const { allocators, policies, modes, devices, workloads, profiles, presets } = catalog() as Record<
    string,
    { kind: string }[]
  >;
  const keys: Record<string, string[]> = {
    ...Object.fromEntries(
      Object.entries({ allocators, policies, modes, devices, workloads, profiles, presets }).map(([name, entries]) => [
        name,
        entries!.map(({ kind }) => kind),
      ]),
    ),
    verdicts: [...verdictNames],
    causes: causeNames.filter((name) => name !== ''),
    'rows of the breakdown': rowNames,
    counters: Object.keys(new Counters()),
  };
  for (const [name, all] of Object.entries(keys))
    test(`has all ${name}`, () => {
      assert.ok(all.length > 0);
      assert.deepEqual(
        all.filter((key) => !known.has(key)),
        [],
      );
    });
});

describe('curl commands of the docs', () => {
  test('are read as the shell would', () => {
    assert.deepEqual(
      parseCurl(`curl -s localhost:8080/v1/sessions -H 'content-type: application/json' -d '{"name": "a b"}'`),
      {
        method: 'POST',
        path: '/v1/sessions',
        headers: { 'content-type': 'application/json' },
        body: '{"name": "a b"}',
      },
    );
    assert.deepEqual(
      parseCurl(`curl -s localhost:8080/v1/sessions/a/ops --data-binary @- <<'OPS'\n{"op": "x"}\n{"op": "y"}\nOPS`),
      {
        method: 'POST',
        path: '/v1/sessions/a/ops',
        headers: {},
        body: '{"op": "x"}\n{"op": "y"}\n',
      },
    );
  });

  test('an option that is not understood is refused, not skipped', () => {
    assert.throws(() => parseCurl('curl -s -L localhost:8080/v1'), /not understood: -L/);
  });
});

/** The docs as a site: every page is in its menu, and every link of it leads somewhere. */
import assert from 'node:assert/strict';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildSite } from '../../tools/site/build.ts';
import { chapters, INDEX } from '../../tools/site/navigation.ts';
import { pages } from '../../tools/site/pages.ts';
import { fileOf, renderPage } from '../../tools/site/render.ts';

test('every page stands in the index once', () => {
  const listed = chapters().flatMap((chapter) => chapter.pages.map(({ page }) => page));
  assert.deepEqual(
    pages().filter((page) => page !== INDEX && !listed.includes(page)),
    [],
    'pages that docs/README.md does not list',
  );
  assert.equal(new Set(listed).size, listed.length, 'pages that it lists twice');
});

test('names of files: the index, the README, folders', () => {
  assert.equal(fileOf('docs/README.md'), 'index.html');
  assert.equal(fileOf('README.md'), 'readme.html');
  assert.equal(fileOf('docs/questions/README.md'), 'questions/index.html');
  assert.equal(fileOf('docs/allocators/rcache.md'), 'allocators/rcache.html');
});

test('links between pages become links of the site, others their text; HTML in a page is text', () => {
  const isPage = (path: string) => ['docs/api.md', 'docs/questions/README.md'].includes(path);
  const text =
    '# A `title`\n\n[one](../api.md#errors) [two](../questions/) [three](../../src/main.ts) [four](https://example.org)\n\n<script>x</script>\n';
  const { title, html } = renderPage('docs/allocators/rcache.md', text, isPage);
  assert.equal(title, 'A title');
  assert.match(html, /<h1 id="a-title">A <code>title<\/code><\/h1>/);
  assert.match(html, /<a href="\.\.\/api\.html#errors">one<\/a> <a href="\.\.\/questions\/index\.html">two<\/a> three/);
  assert.match(html, /<a href="https:\/\/example\.org">four<\/a>/);
  assert.ok(!html.includes('<script>'));
});

describe('the site as it is built', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'site-'));
    assert.equal(buildSite(folder), pages().length);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('every link of it leads to a page and a heading that are there', () => {
    const broken: string[] = [];
    const anchors = new Map<string, Set<string>>();
    const read = (file: string) => readFileSync(join(folder, file), 'utf8');
    const files = globSync('**/*.html', { cwd: folder });
    for (const file of files)
      anchors.set(file, new Set([...read(file).matchAll(/ id="([^"]+)"/g)].map(([, id]) => id!)));
    for (const file of files)
      for (const [, href] of read(file).matchAll(/ href="([^"]+)"/g)) {
        if (/^[a-z]+:/.test(href!)) continue;
        const [path, anchor] = href!.split('#') as [string, string | undefined];
        const target = path === '' ? file : join(dirname(file), path);
        if (!existsSync(join(folder, target))) broken.push(`${file}: ${href}`);
        else if (anchor !== undefined && !anchors.get(target)?.has(decodeURIComponent(anchor)))
          broken.push(`${file}: ${href}`);
      }
    assert.ok(files.length > 90);
    assert.deepEqual(broken, []);
  });

  test('needs nothing from elsewhere, and no script', () => {
    for (const file of globSync('**/*.html', { cwd: folder })) {
      const text = readFileSync(join(folder, file), 'utf8');
      assert.ok(!/<script|<img|<iframe|<link[^>]*https?:/.test(text), file);
    }
  });
});

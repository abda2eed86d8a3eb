/**
 * The pages of the docs as HTML that needs nothing but itself: no script, no font or picture from elsewhere.
 *
 * Links between pages stay links; to a file of the project that is no page they become its name, since the site does not hold it.
 */
import { dirname, join, relative } from 'node:path';
import markdownIt from 'markdown-it';
import { type Chapter, INDEX } from './navigation.ts';

/** What a page of the site is called: `docs/api.md` -> `api.html`, the index and the README by names of their own. */
export function fileOf(page: string): string {
  if (page === INDEX) return 'index.html';
  if (page === 'README.md') return 'readme.html';
  return relative('docs', page)
    .replace(/\.md$/, '.html')
    .replace(/README\.html$/, 'index.html');
}

/** As GitHub makes anchors of headings. */
export function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

export interface Rendered {
  title: string;
  html: string;
  /** Level 2 and 3, for the list at the side. */
  headings: { level: number; text: string; anchor: string }[];
}

/** @param isPage whether a path from the root is a page of the site */
export function renderPage(page: string, text: string, isPage: (path: string) => boolean): Rendered {
  const markdown = markdownIt({ html: false, linkify: false });
  const headings: Rendered['headings'] = [];
  let title = page;
  const tokens = markdown.parse(withoutMarkers(text), {});
  for (const [i, token] of tokens.entries()) {
    if (token.type === 'heading_open') {
      const inline = tokens[i + 1]!;
      const words = plain(inline.content);
      const anchor = anchorOf(words);
      token.attrSet('id', anchor);
      const level = Number(token.tag.slice(1));
      if (level === 1) title = words;
      else if (level <= 3) headings.push({ level, text: words, anchor });
    }
    if (token.type === 'table_open') token.attrSet('tabindex', '0');
    for (const child of token.children ?? []) {
      if (child.type !== 'link_open') continue;
      const href = String(child.attrGet('href'));
      if (/^[a-z]+:/.test(href) || href.startsWith('#')) continue;
      const [path, anchor] = href.split('#') as [string, string | undefined];
      const target = join(dirname(page), path);
      const known = isPage(target) ? target : isPage(join(target, 'README.md')) ? join(target, 'README.md') : undefined;
      if (known === undefined) {
        // Its text stays: it names the file.
        child.type = 'text';
        child.content = '';
        const close = token.children!.slice(token.children!.indexOf(child)).find(({ type }) => type === 'link_close')!;
        close.type = 'text';
        close.content = '';
        continue;
      }
      const to = relative(dirname(fileOf(page)), fileOf(known));
      child.attrSet('href', anchor === undefined ? to : `${to}#${anchor}`);
    }
  }
  return { title, html: markdown.renderer.render(tokens, markdown.options, {}), headings };
}

/** Comments that mark generated parts are for `npm run docs`. */
const withoutMarkers = (text: string): string => text.replaceAll(/^<!-- .*? -->\n/gm, '');

/** A heading's or a link's text without its marks. */
const plain = (text: string): string => text.replaceAll(/`|\*\*|\[([^\]]+)\]\([^)]*\)/g, '$1');

/** The whole document around a page. */
export function documentOf(page: string, rendered: Rendered, chapters: Chapter[]): string {
  const file = fileOf(page);
  const to = (path: string) => relative(dirname(file), path) || '.';
  const menu = chapters
    .map(({ title, pages }) => {
      const open = pages.some((entry) => entry.page === page);
      const links = pages.map((entry) => {
        const current = entry.page === page ? ' aria-current="page"' : '';
        return `<li><a href="${to(fileOf(entry.page))}"${current}>${escapeHtml(entry.title)}</a></li>`;
      });
      return `<details${open ? ' open' : ''}><summary>${escapeHtml(title)}</summary><ul>${links.join('')}</ul></details>`;
    })
    .join('\n');
  const inside = rendered.headings
    .filter(({ level }) => level === 2)
    .map(({ text, anchor }) => `<li><a href="#${anchor}">${escapeHtml(text)}</a></li>`);
  const contents =
    inside.length < 3
      ? ''
      : `<details class="inside"><summary>On this page</summary><ul>${inside.join('')}</ul></details>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(rendered.title)} · iommu-lab</title>
<link rel="stylesheet" href="${to('site.css')}">
</head>
<body>
<a class="skip" href="#main">To the text</a>
<header><a href="${to('index.html')}">iommu-lab</a> <span>guide</span></header>
<nav aria-label="Pages">
${menu}
<a href="${to('headings.html')}">All headings, A to Z</a>
</nav>
<main id="main">
${contents}
${rendered.html}</main>
</body>
</html>
`;
}

/** A page of every heading of every page: what one looks for is found with the browser's own search. */
export function headingsPage(all: { page: string; rendered: Rendered }[]): Rendered {
  const entries = all
    .flatMap(({ page, rendered }) => [
      { text: rendered.title, href: fileOf(page), page: '' },
      ...rendered.headings.map(({ text, anchor }) => ({
        text,
        href: `${fileOf(page)}#${anchor}`,
        page: rendered.title,
      })),
    ])
    .sort((a, b) => a.text.localeCompare(b.text, 'en'));
  const items = entries.map(({ text, href, page }) => {
    const where = page === '' ? '' : ` <small>${escapeHtml(page)}</small>`;
    return `<li><a href="${href}">${escapeHtml(text)}</a>${where}</li>`;
  });
  return {
    title: 'All headings',
    headings: [],
    html: `<h1>All headings</h1>\n<ul class="index">${items.join('\n')}</ul>\n`,
  };
}

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { compareExperiment } from '../../../src/lab/compare/compare.ts';
import type { ArmResult, ExperimentResults } from '../../../src/lab/compare/results.ts';
import type { ExperimentData } from '../../../src/lab/experiment.ts';
import { escapeHtml, escapeMarkdown, printableJson } from '../../../src/lab/report/escape.ts';
import { CONTENT_SECURITY_POLICY, toHtml, toMarkdown } from '../../../src/lab/report/index.ts';
import { number } from '../../../src/lab/report/numbers.ts';
import { standalone } from '../../../src/lab/report/plots/draw.ts';
import { experimentOf, finished, madeUpRun } from '../small-lab.ts';
import { EVIL, hostileText, manyArms, policies, reproduction, scaling, workingSet } from './experiments.ts';

interface Element {
  name: string;
  attributes: Record<string, string>;
  children: Element[];
  /** Of it and all below. */
  text: string;
}

const ENTITY = /&(?:amp|lt|gt|quot|#39|#x[0-9a-f]+|#\d+);/gi;
const KNOWN: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };

function decoded(text: string): string {
  assert.equal(text.replace(ENTITY, '').includes('&'), false, `a bare & in ${text.slice(0, 80)}`);
  return text.replace(ENTITY, (entity) => KNOWN[entity.slice(1, -1)] ?? entity);
}

/** A reader of XML that takes nothing amiss silently: each end tag ends what is open, attributes are quoted and there once. */
function parseXml(document: string): Element {
  const root: Element = { name: '', attributes: {}, children: [], text: '' };
  const open = [root];
  const ids = new Set<string>();
  let at = document.indexOf('<html');
  while (at < document.length) {
    const next = document.indexOf('<', at);
    const text = document.slice(at, next < 0 ? undefined : next);
    for (const element of open) element.text += decoded(text);
    if (next < 0) break;
    const tag = /^<(\/?)([a-zA-Z][\w-]*)((?: [\w:-]+="[^"<]*")*)( ?\/?)>/.exec(document.slice(next, next + 100_000));
    assert.ok(tag, `no tag: ${document.slice(next, next + 120)}`);
    const [whole, end, name, attributes, empty] = tag as unknown as [string, string, string, string, string];
    at = next + whole.length;
    if (end === '/') {
      assert.equal(open.pop()!.name, name, `</${name}> at ${next}`);
      continue;
    }
    const element: Element = { name, attributes: {}, children: [], text: '' };
    for (const [, key, value] of attributes.matchAll(/ ([\w:-]+)="([^"]*)"/g)) {
      assert.equal(element.attributes[key!], undefined, `${key} twice`);
      element.attributes[key!] = decoded(value!);
    }
    const { id } = element.attributes;
    if (id !== undefined) {
      assert.ok(!ids.has(id), `id ${id} twice`);
      ids.add(id);
    }
    open.at(-1)!.children.push(element);
    if (!empty.includes('/')) open.push(element);
  }
  assert.deepEqual(open, [root]);
  return root.children[0]!;
}

function all(element: Element, name?: string): Element[] {
  const below = element.children.flatMap((child) => all(child, name));
  return name === undefined || element.name === name ? [element, ...below] : below;
}

describe('the report as HTML', () => {
  const made: Record<string, { data: ExperimentData; results: ExperimentResults; html: string; root: Element }> = {};
  before(async () => {
    for (const [name, make] of Object.entries({ policies, scaling, workingSet, manyArms, hostileText })) {
      const data = make();
      const results: ExperimentResults = compareExperiment(data);
      if (name === 'hostileText') results.reproduction = reproduction;
      const html = await toHtml(data, results);
      made[name] = { data, results, html, root: parseXml(html) };
    }
  });

  it('is well-formed, and has nothing that loads, runs or styles from elsewhere', () => {
    for (const { root, html } of Object.values(made)) {
      const names = new Set(all(root).map((element) => element.name));
      for (const name of ['script', 'link', 'img', 'iframe', 'object', 'image', 'use', 'foreignObject', 'a'])
        assert.ok(!names.has(name), name);
      for (const { attributes } of all(root))
        for (const [key, value] of Object.entries(attributes)) {
          assert.ok(!/^on|^(src|href|style|xlink:href|action)$/.test(key), key);
          assert.ok(!/url\((?!#)/.test(value), value);
        }
      assert.ok(html.startsWith('<!DOCTYPE html>\n'));
    }
  });

  it('allows its own style sheet and nothing else', () => {
    const { root } = made.policies!;
    const [style] = all(root, 'style');
    const sum = createHash('sha256').update(style!.text).digest('base64');
    assert.ok(CONTENT_SECURITY_POLICY.includes(`'sha256-${sum}'`));
    const meta = all(root, 'meta').find(({ attributes }) => attributes['http-equiv'] === 'Content-Security-Policy');
    assert.equal(meta!.attributes.content, CONTENT_SECURITY_POLICY);
    assert.match(CONTENT_SECURITY_POLICY, /^default-src 'none'; /);
  });

  it('is the same bytes each time', async () => {
    const { data, results, html } = made.policies!;
    assert.equal(await toHtml(data, results), html);
    const again = policies();
    assert.equal(await toHtml(again, compareExperiment(again)), html);
  });

  it('has a caption and headings with a scope in each table, a title and a description in each plot', () => {
    for (const { root } of Object.values(made)) {
      for (const table of all(root, 'table')) {
        assert.ok(all(table, 'caption')[0]!.text.length > 10);
        for (const heading of all(table, 'th')) assert.ok(heading.attributes.scope !== undefined);
        const columns = new Set(
          all(table, 'tr').map((row) =>
            row.children.reduce((sum, { attributes }) => sum + Number(attributes.colspan ?? 1), 0),
          ),
        );
        assert.equal(columns.size, 1, 'rows of one length');
      }
      for (const svg of all(root, 'svg')) {
        assert.equal(svg.attributes.role, 'img');
        const [title, desc] = [all(svg, 'title')[0]!, all(svg, 'desc')[0]!];
        assert.equal(svg.attributes['aria-labelledby'], `${title.attributes.id} ${desc.attributes.id}`);
        assert.ok(title.text.length > 5 && desc.text.length > 20);
      }
    }
  });

  it('has the plots that an experiment has something for', () => {
    const plots = (name: string) =>
      all(made[name]!.root, 'svg').map((svg) => svg.attributes['aria-labelledby']!.split('-title')[0]);
    assert.deepEqual(plots('policies'), ['frontier', 'cycles', 'windows']);
    assert.deepEqual(plots('scaling'), [
      'frontier-1',
      'frontier-2',
      'frontier-3',
      'frontier-4',
      'cycles',
      'windows',
      'scaling',
    ]);
    assert.deepEqual(plots('workingSet'), ['iotlb']);
  });

  it('draws each arm, its name and each number of the cycles', () => {
    const { root, results } = made.policies!;
    const [frontier, cycles] = all(root, 'svg') as [Element, Element];
    const words = (svg: Element) => all(svg, 'text').map(({ text }) => text);
    for (const { label } of results.arms) {
      assert.ok(words(frontier).includes(label), label);
      assert.ok(words(cycles).includes(label), label);
    }
    assert.ok(words(frontier).includes('no window') && words(frontier).includes('no protection'));
    for (const { cyclesPerOperation } of results.arms)
      assert.ok(words(cycles).includes(number(cyclesPerOperation!.median, 4)));
  });

  it('shows text of people as it was typed, wherever it stands', () => {
    const { root, data, html } = made.hostileText!;
    const shown = escapeShown(EVIL);
    assert.equal(all(root, 'h1')[0]!.text, shown);
    assert.equal(all(root, 'title')[0]!.text, shown);
    for (const { label } of data.document.arms)
      assert.ok(all(root, 'th').some(({ text }) => text.startsWith(escapeShown(label))));
    assert.ok(
      all(root, 'td').some(({ text }) => text === shown),
      'the detail of a failure',
    );
    assert.ok(!html.includes('<script'));
    // A cut name in a plot too.
    assert.ok(all(root, 'text').some(({ text }) => text.startsWith('<script>alert("x")</script>')));
    assert.ok(all(root, 'text').some(({ text }) => text.startsWith('zr0-c0" class="x" style="x:')));
  });

  it('says what is missing, and has no figure of it', () => {
    const { root } = made.hostileText!;
    const [note] = all(root, 'p').filter(({ attributes }) => attributes.role === 'note');
    assert.match(note!.text, /^Partial results: 5 of 8 runs have a result, 1 failed and 2 are still to come\./);
    assert.ok(!all(made.policies!.root, 'p').some(({ attributes }) => attributes.role === 'note'));
    const row = all(root, 'tr').find((each) => each.text.startsWith('not yet'))!;
    assert.deepEqual([...new Set(row.children.slice(2).map(({ text }) => text))], ['–']);
  });

  it('tells of assumptions with their range, of seeds and version, and how to get each arm alone', () => {
    const { root, results } = made.policies!;
    const text = root.text;
    assert.ok(text.includes('Assumptions of riommu15-brcm that the runs used'));
    assert.match(text, /by core version \w+: 24 runs of 5 ms of simulated time, seeds 1, 2, 3/);
    const requests = all(root, 'pre').map((pre) => pre.text);
    for (const { rerun } of results.arms) assert.ok(requests.includes(JSON.stringify(rerun)));
    assert.ok(requests.some((request) => request.startsWith('curl ')));
  });

  it('has a table of what was published beside what was simulated', () => {
    const caption = (root: Element) =>
      all(root, 'caption').some(({ text }) => text.startsWith('Published and simulated'));
    assert.ok(caption(made.hostileText!.root));
    assert.ok(!caption(made.policies!.root));
    assert.ok(made.hostileText!.root.text.includes('does not appear: fifo is 3 points off'));
  });

  it('can be made of an experiment that has no result at all', async () => {
    const data = experimentOf({ base: {}, arms: [{ set: {} }], until: { operations: 1 }, seeds: [1] }, () => null);
    const root = parseXml(await toHtml(data, compareExperiment(data)));
    assert.equal(all(root, 'svg').length, 0);
    assert.ok(root.text.includes('0 of 1 runs have a result'));
  });

  it('can be made of figures of any size, 0 and null', async () => {
    const size = fc.constantFrom(0, 1e-9, 0.5, 3, 1e6, 1e12);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(size, size, size), { minLength: 1, maxLength: 5 }), async (rows) => {
        const arms = rows.map((_, i) => ({
          label: `n ${i}`,
          set: { 'machine.cpus': i + 1, 'policy.invalidation.kind': 'strict' },
        }));
        const data = experimentOf(
          { base: {}, arms, until: { operations: 1 }, seeds: [1, 2], control: true },
          ({ id }, seed) => {
            const [throughputGbps, pageSeconds, longestWindowNs] = rows[Number(id.slice(4)) - 1] ?? [1, 0, 0];
            return finished(madeUpRun({ throughputGbps: throughputGbps * seed, pageSeconds, longestWindowNs }));
          },
        );
        const html = await toHtml(data, compareExperiment(data));
        assert.ok(!/NaN|Infinity|undefined/.test(html.replace(/<style>[\s\S]*?<\/style>/, '')));
        parseXml(html);
      }),
      { numRuns: 25 },
    );
  });
});

/** What stands for letters that would turn the order round. */
const escapeShown = (text: string) => text.replaceAll('\u202e', '\ufffd');

describe('a drawing on its own', () => {
  it('loses what is for a mouse, and nothing that people typed', () => {
    const typed = escapeHtml(' class="a" style="font-size:9px" url(#zr7-c0) id="zr7-c0"');
    const svg = `<svg width="1"><style ><![CDATA[.x{}]]></style><g clip-path="url(#zr7-c0)" class="zr7-cls-0"><text style="font-size:12px;font-family:x;" fill="#fff">${typed}</text></g><clipPath id="zr7-c0"></clipPath></svg>`;
    const seen = standalone(svg, { id: 'p', title: 'T<', description: 'D&', width: 10, height: 5 });
    assert.ok(
      seen.includes(
        `<g clip-path="url(#p-c0)"><text font-size="12px" fill="var(--paper)">${typed}</text></g><clipPath id="p-c0">`,
      ),
    );
    assert.ok(seen.includes('<title id="p-title">T&lt;</title>') && !seen.includes('<style'));
  });
});

describe('the summary as Markdown', () => {
  it('has the arms, what can be said of them and what cannot, and the request', async () => {
    const data = policies();
    const results = compareExperiment(data);
    const text = await toMarkdown(data, results);
    const [{ throughputGbps, cyclesPerOperation }] = results.arms as [ArmResult];
    const first = `| strict | ${number(throughputGbps!.median)} | ${number(cyclesPerOperation!.median, 4)} |`;
    assert.ok(text.includes(first), first);
    assert.match(text, /^# Which policy should a 10 Gb\/s receiver run/);
    assert.match(text, /- strict costs [\d.]+ times the cycles of deferred-2008 \([\d.]+ to [\d.]+ over 3 seeds\)/);
    assert.match(text, /- no difference seen between strict and batched in throughput, cycles per operation,/);
    assert.match(text, /- deferred-2008 leaves 0\.\d+ page-seconds exposed, against none with strict \(over 3 seeds\)/);
    assert.match(
      text,
      /- On the frontier: \*\*deferred-2008, bitmap, wrap, bitmap, strict, never\*\*; dominated: strict, batched, flush-queue/,
    );
    assert.match(text, /differ in policy\.invalidation\.kind alone/);
    assert.match(text, /Costs: riommu15-brcm\. Assumptions that were used: /);
    assert.match(text, /```sh\ncurl -sS -X POST /);
    assert.ok(!/exposed, against .* with control/.test(text), 'no exposure against a control');
  });

  it('does nothing with what people typed but show it', async () => {
    const data = hostileText();
    const text = await toMarkdown(data, { ...compareExperiment(data), reproduction });
    const outside = text.replace(/```[\s\S]*```/, '');
    assert.ok(!/(?<!\\)<script/.test(outside));
    assert.ok(!/@octocat|#1\b|https:/.test(outside));
    for (const line of outside.split('\n').filter((each) => each.startsWith('| ')))
      assert.ok([8, 11].includes(line.split(/(?<!\\)\|/).length - 1), line);
    assert.match(text, /Partial results: 5 of 8 runs have a result, 1 failed and 2 are still to come/);
    assert.match(text, /## Published and simulated/);
    assert.match(text, /one seed: how far seeds spread is not known/);
  });

  it('has a command that a shell takes for what was sent', async () => {
    const data = hostileText();
    const text = await toMarkdown(data, compareExperiment(data));
    const [, command] = /```sh\n(curl .*)\n```/.exec(text) as unknown as [string, string];
    const [, quoted] = / -d ('.*')$/.exec(command) as unknown as [string, string];
    const body = quoted.replaceAll("'\\''", '\u0000').replaceAll("'", '').replaceAll('\u0000', "'");
    assert.equal(JSON.parse(body).title, EVIL);
    assert.deepEqual(JSON.parse(body).arms, data.document.request.arms);
  });
});

describe('text of people', () => {
  it('is JSON that shows every letter', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = printableJson({ text });
        assert.equal(JSON.parse(json).text, text);
        assert.ok(!/[\u202a-\u202e\u2066-\u2069]/.test(json));
      }),
    );
  });

  it('cannot leave an attribute or a line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        assert.ok(!/[<>"']/.test(escapeHtml(text)));
        const line = escapeMarkdown(text);
        assert.ok(!/[\n\r]/.test(line));
        assert.ok(!/[<>|`*_[\]]/.test(line.replace(/\\[\s\S]/g, '')), line);
      }),
    );
  });
});

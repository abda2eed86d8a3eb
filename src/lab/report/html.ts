/**
 * The report: one HTML file that needs nothing else, no request, no script. Written so that it is XML too, read on a screen of any width,
 * in the dark, on paper, and by a screen reader. Whatever people typed goes through `escapeHtml`, here and in the plots.
 */
import { profiles } from '../../core/meter/cost-profile.ts';
import type { ArmResult, ExperimentResults, Figure, MaybeFigure, Measured } from '../compare/results.ts';
import { CYCLE_ROWS, DRIVER_ROW } from '../compare/sample.ts';
import type { ExperimentData } from '../experiment.ts';
import { escapeHtml as e, printableJson } from './escape.ts';
import { number, percent, type Shown, time } from './numbers.ts';
import { placeOf } from './places.ts';
import { ROW_NAMES } from './plots/cycles.ts';
import { draw } from './plots/draw.ts';
import { plotsOf } from './plots/index.ts';
import type { Plot } from './plots/plot.ts';
import { CONTENT_SECURITY_POLICY, STYLE } from './style.ts';
import {
  curlOf,
  headline,
  inputOf,
  METRICS,
  metricOf,
  pairsByWeight,
  pairsInWords,
  partialText,
  restsOn,
  sceneText,
  tellable,
  untilText,
  valueText,
} from './words.ts';

/** What is said in words at the top. */
const SENTENCES = 12;
const SCENES = 4;
const KNOBS = 40;
/** Of a comparison, the figures that are told first. */
const DECIDING = new Set([
  'throughputGbps',
  'iops',
  'operationsPerSecond',
  'cyclesPerOperation',
  'exposure.pageSeconds',
  'exposure.staleAccesses',
]);
/** Rows of a table that a reader goes through; all are in CSV, Parquet and JSON. */
const COMPARISON_ROWS = 400;
const WORKLOAD_ROWS = 300;

interface Head {
  text: string;
  numeric?: boolean;
}
/** A cell that is markup already. */
interface Markup {
  html: string;
}
type Cell = string | Markup;

interface TableParts {
  caption: string;
  groups?: { text: string; columns: number }[];
  head: Head[];
  rows: { cells: Cell[]; apart?: boolean }[];
}

const markup = (cell: Cell) => (typeof cell === 'string' ? e(cell) : cell.html);

/** The first cell of a row is its heading. */
function table({ caption, groups, head, rows }: TableParts): string {
  const groupRow =
    groups === undefined
      ? ''
      : `<tr>${groups
          .map(({ text, columns }) =>
            text === ''
              ? `<td colspan="${columns}"></td>`
              : `<th scope="colgroup" colspan="${columns}" class="group">${e(text)}</th>`,
          )
          .join('')}</tr>`;
  const kind = (i: number) => (head[i]!.numeric ? ' class="n"' : '');
  const heads = head.map(({ text }, i) => `<th scope="col"${kind(i)}>${e(text)}</th>`).join('');
  const body = rows.map(({ cells, apart }) => {
    const [first, ...rest] = cells;
    const others = rest.map((cell, i) => `<td${kind(i + 1)}>${markup(cell)}</td>`).join('');
    return `<tr${apart ? ' class="apart"' : ''}><th scope="row">${markup(first!)}</th>${others}</tr>`;
  });
  return [
    `<div class="scroll" role="region" tabindex="0" aria-label="${e(caption.split('. ')[0]!)}">`,
    `<table><caption>${e(caption)}</caption>`,
    `<thead>${groupRow}<tr>${heads}</tr></thead>`,
    `<tbody>\n${body.join('\n')}\n</tbody></table></div>`,
  ].join('\n');
}

/** Median, and below it how far the seeds spread. */
function figureCell(figure: MaybeFigure | undefined, shown: Shown = number): Cell {
  if (figure === null || figure === undefined) return '–';
  const { median, low, high }: Figure = figure;
  const [from, to] = [shown(low), shown(high)];
  const spread = from === to ? '' : `<span class="spread">${e(`${from} to ${to}`)}</span>`;
  return { html: e(shown(median)) + spread };
}

const armCell = ({ label, id }: ArmResult): Cell => ({ html: `${e(label)}<span class="id">${e(id)}</span>` });

const count: Shown = (value) => number(value, 4);
const share: Shown = (value) => percent(value, 3);

type Column = [title: string, cell: (measured: Measured) => Cell];

const column = (title: string, metric: (measured: Measured) => MaybeFigure | undefined, shown: Shown): Column => [
  title,
  (measured) => figureCell(metric(measured), shown),
];

/** Rates that any arm has. */
function speedColumns(arms: readonly Measured[]): Column[] {
  const has = (name: 'throughputGbps' | 'iops') => arms.some((arm) => arm[name]);
  const columns: Column[] = [];
  if (has('throughputGbps')) columns.push(column('Gb/s', (arm) => arm.throughputGbps, number));
  if (has('iops')) columns.push(column('I/Os per s', (arm) => arm.iops, count));
  if (columns.length === 0) columns.push(column('operations per s', (arm) => arm.operationsPerSecond, count));
  return [
    ...columns,
    column('cycles per operation', (arm) => arm.cyclesPerOperation, count),
    column('CPUs busy', (arm) => arm.cpuUtilisation, share),
    column('latency p50', (arm) => arm.latencyNs.p50, time),
    column('latency p99', (arm) => arm.latencyNs.p99, time),
  ];
}

function exposureColumns(arms: readonly Measured[]): Column[] {
  const hostile = arms.some(({ exposure }) => exposure.hostileYield !== null);
  return [
    column('page-seconds', (arm) => arm.exposure.pageSeconds, number),
    column('longest window', (arm) => arm.exposure.longestWindowNs, time),
    column('stale accesses', (arm) => arm.exposure.staleAccesses, count),
    column('to another tenant', (arm) => arm.exposure.crossTenantAccesses, count),
    column('detected', (arm) => arm.exposure.detectability, share),
    ...(hostile ? [column('hostile yield', (arm) => arm.exposure.hostileYield, share)] : []),
  ];
}

function placeCell(arm: ArmResult, results: ExperimentResults): Cell {
  const { place, by } = placeOf(arm, results);
  return by === '' ? place : { html: `${e(place)}<span class="id">${e(by)}</span>` };
}

function armsTable(results: ExperimentResults): string {
  const { arms } = results;
  const [speed, exposure] = [speedColumns(arms), exposureColumns(arms)];
  const figures = [...speed, ...exposure];
  return table({
    caption:
      'Arms, with exposure beside speed. Medians over the seeds; below, how far the seeds spread. Exposure is that of potential windows: what the policy leaves open. Detected: the share of accesses after unmap that faulted. A dash: there is none.',
    groups: [
      { text: '', columns: 2 },
      { text: 'speed', columns: speed.length },
      { text: 'exposure', columns: exposure.length },
    ],
    head: [{ text: 'arm' }, { text: 'place' }, ...figures.map(([text]) => ({ text, numeric: true }))],
    rows: arms.map((arm) => ({
      cells: [armCell(arm), placeCell(arm, results), ...figures.map(([, cell]) => cell(arm))],
      apart: arm.unprotected || arm.control,
    })),
  });
}

/** Of each pair the figures that decide. */
function inShort(results: ExperimentResults): string {
  const pairs = pairsByWeight(results);
  const sentences = pairs.flatMap(({ verdicts, alikeText, because }) => {
    const deciding = verdicts.filter(({ comparison }) => DECIDING.has(comparison.metric)).map(({ text }) => text);
    return [...deciding, ...(alikeText === null ? [] : [`${alikeText} (${because})`])];
  });
  const items = [...frontierItems(results), ...sentences.slice(0, SENTENCES).map((text) => `<li>${e(text)}</li>`)];
  if (items.length === 0) return '<p>There are no two arms to compare yet.</p>';
  const rest = sentences.length > SENTENCES ? '<p>All comparisons are in the table below.</p>' : '';
  return `<ul>\n${items.join('\n')}\n</ul>${rest}`;
}

function frontierItems({ frontiers, arms }: ExperimentResults): string[] {
  const label = (id: string) => arms.find((arm) => arm.id === id)!.label;
  return frontiers.slice(0, SCENES).map(({ scene, frontier, dominated, loadLimited }) => {
    const where = sceneText(scene);
    const of = where === '' ? '' : ` of ${where}`;
    const speed = loadLimited ? ' All carry the same load, so cycles count as speed.' : '';
    const beaten = dominated.length === 0 ? ' None is dominated.' : ` Dominated: ${dominated.length}.`;
    const names = frontier.map((id) => `<strong>${e(label(id))}</strong>`).join('; ');
    return `<li>On the frontier${e(of)}: ${names}.${beaten}${speed}</li>`;
  });
}

function frontierText(results: ExperimentResults): string {
  const label = (id: string) => results.arms.find((arm) => arm.id === id)!.label;
  const knobs = results.knobs.map(
    ({ a, b, path, from, to }) =>
      `<li>${e(label(a))} and ${e(label(b))}: <code>${e(path)}</code>, ${e(valueText(from))} against ${e(valueText(to))}.</li>`,
  );
  const controls = results.arms.some(({ unprotected, control }) => unprotected || control)
    ? '<p>Arms without protection are on no frontier: a device reaches all memory all the time, so no window opens, and their exposure of 0 is not that of a policy that closes every window.</p>'
    : '';
  const single =
    knobs.length === 0
      ? ''
      : `<p>A single knob lies between these arms of the frontier:</p>\n<ul>\n${knobs.slice(0, KNOBS).join('\n')}\n</ul>`;
  return `${controls}\n${single}`;
}

function comparisonsTable(results: ExperimentResults): string {
  const pairs = pairsInWords(results);
  const label = new Map(results.arms.map((arm) => [arm.id, arm]));
  const because = new Map(pairs.map((pair) => [`${pair.a.id} ${pair.b.id}`, pair.because]));
  const all = tellable(results);
  const shown = all.slice(0, COMPARISON_ROWS);
  const cut = all.length - shown.length;
  return table({
    caption: `Comparisons. The first arm against the second: ratio of runs with the same seed, with the interval of 99.5 per cent on which the verdict rests. What is without protection is compared in speed alone.${cut > 0 ? ` The first ${COMPARISON_ROWS}; ${cut} more are in the results as JSON.` : ''}`,
    head: [
      { text: 'arms' },
      { text: 'figure' },
      { text: 'first', numeric: true },
      { text: 'second', numeric: true },
      { text: 'ratio', numeric: true },
      { text: 'verdict' },
      { text: 'rests on' },
    ],
    rows: shown.map((comparison, i) => {
      const { a, b, metric, ratio, verdict } = comparison;
      const [one, other] = [label.get(a)!, label.get(b)!];
      const { title, shown: form } = METRICS[metric]!;
      const before = shown[i - 1];
      const first = before?.a === a && before.b === b;
      const names = `${e(one.label)} / ${e(other.label)}<span class="id">${e(because.get(`${a} ${b}`)!)}</span>`;
      return {
        cells: [
          first ? { html: `<span class="id">${e(one.id)} / ${e(other.id)}</span>` } : { html: names },
          title,
          figureCell(metricOf(one, metric), form),
          figureCell(metricOf(other, metric), form),
          ratio === null ? '–' : number(ratio, 4),
          verdict,
          restsOn(comparison),
        ],
      };
    }),
  });
}

function cyclesTable({ arms }: ExperimentResults): string {
  const some = arms.filter(({ cycles }) => cycles.driver !== null);
  const rows = [...CYCLE_ROWS, DRIVER_ROW].filter((row) => some.some(({ cycles }) => (cycles[row]?.high ?? 0) > 0));
  return table({
    caption: 'Cycles of an operation by row. Medians over the seeds.',
    head: [{ text: 'arm' }, ...rows.map((row) => ({ text: ROW_NAMES[row]!, numeric: true }))],
    rows: some.map((arm) => ({ cells: [armCell(arm), ...rows.map((row) => figureCell(arm.cycles[row], count))] })),
  });
}

function windowsTable({ arms }: ExperimentResults): string {
  const columns: [string, (arm: ArmResult) => MaybeFigure, Shown][] = [
    ['windows', (arm) => arm.exposure.windows, count],
    ['page-seconds, potential', (arm) => arm.exposure.pageSeconds, number],
    ['page-seconds, actual', (arm) => arm.exposure.actualPageSeconds, number],
    ['byte-seconds, potential', (arm) => arm.exposure.byteSeconds, number],
    ['longest, potential', (arm) => arm.exposure.longestWindowNs, time],
    ['longest, actual', (arm) => arm.exposure.actualLongestWindowNs, time],
    ['pages at a time, mean', (arm) => arm.exposure.meanPages, number],
    ['pages at a time, most', (arm) => arm.exposure.peakPages, count],
    ['accesses after unmap', (arm) => arm.exposure.attemptsAfterUnmap, count],
  ];
  return table({
    caption:
      'Windows. Potential: until an invalidation covers the page. Actual: while a cached entry, a walk-cache path or the PTE still translates.',
    head: [{ text: 'arm' }, ...columns.map(([text]) => ({ text, numeric: true }))],
    rows: arms
      .filter(({ seeds }) => seeds.length > 0)
      .map((arm) => ({
        cells: [armCell(arm), ...columns.map(([, metric, shown]) => figureCell(metric(arm), shown))],
        apart: arm.unprotected,
      })),
  });
}

function workloadsTable({ arms }: ExperimentResults): string {
  const all = arms.flatMap((arm) => arm.workloads.map((workload) => ({ arm, workload })));
  if (all.length <= arms.length && all.every(({ arm }) => arm.workloads.length <= 1)) return '';
  const measured = all.map(({ workload }) => workload);
  const figures = [...speedColumns(measured), ...exposureColumns(measured)];
  const cut = all.length - WORKLOAD_ROWS;
  return `<h2>Workloads</h2>\n${table({
    caption: `Each workload of each arm.${cut > 0 ? ` The first ${WORKLOAD_ROWS}; the others are in the rows as CSV.` : ''}`,
    head: [{ text: 'arm' }, { text: 'workload' }, ...figures.map(([text]) => ({ text, numeric: true }))],
    rows: all.slice(0, WORKLOAD_ROWS).map(({ arm, workload }) => ({
      cells: [armCell(arm), `${workload.name} (${workload.kind})`, ...figures.map(([, cell]) => cell(workload))],
      apart: arm.unprotected,
    })),
  })}`;
}

function answerPart({ answer }: ExperimentResults): string {
  if (answer === undefined) return '';
  const { question, source, sentences, head, rows } = answer;
  return `<h2>The answer</h2>\n<p><strong>${e(question)}</strong> Asked by: ${e(source)}.</p>\n<p>${e(sentences.join(' '))}</p>\n${table(
    {
      caption: 'What it is read off.',
      head: head.map((text, i) => ({ text, numeric: i > 0 })),
      rows: rows.map((cells) => ({ cells })),
    },
  )}`;
}

function reproductionTable({ reproduction }: ExperimentResults): string {
  if (reproduction === undefined) return '';
  const { title, citation, rows } = reproduction;
  return `<h2>Published and simulated</h2>\n<p>${e(title)}. ${e(citation)}</p>\n${table({
    caption: 'Published and simulated. Predicted: no constant was fitted on this row; calibrated: one was.',
    head: [
      { text: 'target' },
      { text: 'what' },
      { text: 'published' },
      { text: 'where' },
      { text: 'simulated' },
      { text: 'relative error', numeric: true },
      { text: 'constants' },
      { text: 'status' },
    ],
    rows: rows.map(({ target, what, published, where, tag, simulated, relativeError, calibrated, status, remark }) => ({
      cells: [
        target,
        what,
        published,
        `${tag}: ${where}`,
        simulated,
        relativeError === null ? '–' : percent(relativeError, 3),
        calibrated ? 'calibrated' : 'predicted',
        remark === '' ? status : `${status}: ${remark}`,
      ],
    })),
  })}`;
}

function failuresTable({ failures, arms }: ExperimentResults): string {
  if (failures.length === 0) return '';
  const label = (id: string) => arms.find((arm) => arm.id === id);
  return `<h2>What failed</h2>\n${table({
    caption: 'Runs that came to no result. They are in no figure.',
    head: [{ text: 'arm' }, { text: 'seed', numeric: true }, { text: 'code' }, { text: 'what happened' }],
    rows: failures.map(({ arm, seed, code, detail }) => {
      const known = label(arm);
      return { cells: [known === undefined ? arm : armCell(known), String(seed), code, detail] };
    }),
  })}`;
}

/** Whose costs, and which of them nobody published. */
function provenance({ document }: ExperimentData, { arms }: ExperimentResults): string {
  const names = [...new Set(arms.flatMap(({ profile }) => (profile === null ? [] : profile)))].sort();
  const parts = names.map((name) => {
    const profile = profiles[name];
    const used = arms.filter((arm) => arm.profile === name).flatMap(({ assumptions }) => assumptions);
    const assumptions = [...new Set(used)].sort();
    const source = profile === undefined ? '' : `<p>${e(profile.title)}. ${e(profile.source)}</p>`;
    if (assumptions.length === 0) return `<h3>${e(name)}</h3>\n${source}\n<p>No assumption was used.</p>`;
    const rows = assumptions.map((step) => {
      const known = profile?.steps[step];
      const range = known?.range === undefined ? '–' : `${number(known.range[0]!, 4)} to ${number(known.range[1]!, 4)}`;
      return {
        cells: [
          step,
          known === undefined ? '–' : number(known.cycles, 6),
          range,
          known?.why ?? 'of the device or the chip, see the catalog',
        ],
      };
    });
    const head = [
      { text: 'step' },
      { text: 'cycles', numeric: true },
      { text: 'range', numeric: true },
      { text: 'why' },
    ];
    const caption = `Assumptions of ${name} that the runs used. Numbers without a publication for this machine, with the range in which they may lie.`;
    return `<h3>${e(name)}</h3>\n${source}\n${table({ caption, head, rows })}`;
  });
  const { request, coreVersion, jobs } = document;
  const seeds = request.seeds.join(', ');
  const warm = request.warmUp === undefined ? '' : ` after a warm-up of ${untilText(request.warmUp)}`;
  return [
    '<h2>Where the numbers come from</h2>',
    `<p>Every number is simulated, by core version ${e(coreVersion)}: ${number(jobs.total, 6)} runs of ${e(untilText(request.until))}${e(warm)}, seeds ${e(seeds)}. The same request gives the same numbers on any machine. Costs are those of the profiles below.</p>`,
    ...parts,
    '<h2>To run it again</h2>',
    `<pre>${e(curlOf(inputOf({ document })))}</pre>`,
  ].join('\n');
}

function alone({ arms, reproduction }: ExperimentResults): string {
  if (reproduction !== undefined) return '';
  const items = arms.map(
    (arm) => `<h3>${e(arm.label)} <span class="id">${e(arm.id)}</span></h3>\n<pre>${e(printableJson(arm.rerun))}</pre>`,
  );
  return `<h2>Each arm alone</h2>\n<p>What to send to <code>POST /v1/experiments</code> for one arm by itself.</p>\n${items.join('\n')}`;
}

async function figures(plots: readonly Plot[]): Promise<string> {
  const drawn: string[] = [];
  for (const plot of plots) {
    const svg = await draw({ ...plot, description: plot.caption });
    drawn.push(
      `<figure>\n<div class="scroll" role="region" tabindex="0" aria-label="${e(plot.title)}">\n${svg}\n</div>\n<figcaption><strong>${e(plot.title)}</strong> ${e(plot.caption)}</figcaption>\n</figure>`,
    );
  }
  return drawn.join('\n');
}

export async function toHtml(data: ExperimentData, results: ExperimentResults): Promise<string> {
  const { document } = data;
  const plots = plotsOf(results);
  const title = headline(document);
  const partial = partialText(document, results);
  const measured = results.arms.some(({ seeds }) => seeds.length > 0);
  const { request } = document;
  const about = `Experiment ${document.id}, ${document.createdAt.slice(0, 10)}: ${document.arms.length} arms, ${request.seeds.length} seeds, ${untilText(request.until)} each; core version ${document.coreVersion}.`;
  const parts = [
    `<h1>${e(title)}</h1>`,
    `<p class="about">${e(about)}</p>`,
    partial === null ? '' : `<p class="partial" role="note"><strong>${e(partial)}</strong></p>`,
  ];
  parts.push(answerPart(results));
  if (measured)
    parts.push(
      '<h2>In short</h2>',
      inShort(results),
      '<h2>Speed and exposure</h2>',
      armsTable(results),
      await figures(plots.frontier),
      frontierText(results),
      '<h2>Where the cycles go</h2>',
      await figures(plots.cycles),
      cyclesTable(results),
      '<h2>How long pages stay reachable</h2>',
      await figures(plots.windows),
      windowsTable(results),
      ...(plots.scaling.length > 0 ? ['<h2>Scaling</h2>', await figures(plots.scaling)] : []),
      ...(plots.iotlb.length > 0 ? ['<h2>The IOTLB</h2>', await figures(plots.iotlb)] : []),
      ...(results.comparisons.length > 0 ? ['<h2>Comparisons</h2>', comparisonsTable(results)] : []),
      workloadsTable(results),
    );
  parts.push(reproductionTable(results), failuresTable(results), provenance(data, results), alone(results));
  return [
    '<!DOCTYPE html>',
    '<html xmlns="http://www.w3.org/1999/xhtml" lang="en">',
    '<head>',
    '<meta charset="utf-8" />',
    `<meta http-equiv="Content-Security-Policy" content="${e(CONTENT_SECURITY_POLICY)}" />`,
    '<meta name="viewport" content="width=device-width, initial-scale=1" />',
    `<title>${e(title)}</title>`,
    `<style>${STYLE}</style>`,
    '</head>',
    '<body>',
    '<main>',
    ...parts.filter((part) => part !== ''),
    '</main>',
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

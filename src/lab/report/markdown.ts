/** A summary for an issue tracker: what was asked, the arms, what can be said of them and what cannot, and how to get the same again. */
import type { ArmResult, ExperimentResults } from '../compare/results.ts';
import type { ExperimentData } from '../experiment.ts';
import { escapeMarkdown as m } from './escape.ts';
import { figureText, number, percent, time } from './numbers.ts';
import { placeOf } from './places.ts';
import { curlOf, headline, inputOf, pairsByWeight, partialText, sceneText, untilText, valueText } from './words.ts';

/** Trackers cut long texts. */
const ARMS = 60;
const SENTENCES = 40;
const ROWS = 100;

const count = (value: number) => number(value, 4);
const share = (value: number) => percent(value, 3);

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

type Column = [title: string, cell: (arm: ArmResult) => string];

function columnsOf(arms: readonly ArmResult[], results: ExperimentResults): Column[] {
  const has = (name: 'throughputGbps' | 'iops') => arms.some((arm) => arm[name]);
  const speed: Column[] = [];
  if (has('throughputGbps')) speed.push(['Gb/s', (arm) => figureText(arm.throughputGbps)]);
  if (has('iops')) speed.push(['I/Os per s', (arm) => figureText(arm.iops, count)]);
  if (speed.length === 0) speed.push(['operations per s', (arm) => figureText(arm.operationsPerSecond, count)]);
  return [
    ['arm', (arm) => m(arm.label)],
    ...speed,
    ['cycles per operation', (arm) => figureText(arm.cyclesPerOperation, count)],
    ['p99', (arm) => figureText(arm.latencyNs.p99, time)],
    ['CPUs busy', (arm) => figureText(arm.cpuUtilisation, share)],
    ['page-seconds', (arm) => figureText(arm.exposure.pageSeconds)],
    ['longest window', (arm) => figureText(arm.exposure.longestWindowNs, time)],
    ['stale accesses', (arm) => figureText(arm.exposure.staleAccesses, count)],
    ['to another tenant', (arm) => figureText(arm.exposure.crossTenantAccesses, count)],
    ['place', (arm) => m(Object.values(placeOf(arm, results)).join(' ').trim())],
  ];
}

function armsPart(results: ExperimentResults): string {
  const shown = results.arms.slice(0, ARMS);
  const columns = columnsOf(shown, results);
  const cut = results.arms.length - shown.length;
  const rows = shown.map((arm) => columns.map(([, cell]) => cell(arm)));
  return `${table(
    columns.map(([title]) => title),
    rows,
  )}${cut > 0 ? `\n\n${cut} more arms are in the report.` : ''}`;
}

function verdictsPart(results: ExperimentResults): string {
  const lines = pairsByWeight(results).flatMap(({ verdicts, alikeText }) => [
    ...verdicts.map(({ text }) => text),
    ...(alikeText === null ? [] : [alikeText]),
  ]);
  const cut = lines.length - SENTENCES;
  const shown = lines.slice(0, SENTENCES).map((text) => `- ${m(text)}`);
  return [...shown, ...(cut > 0 ? [`- ${cut} more are in the report`] : [])].join('\n');
}

function frontierPart({ frontiers, knobs, arms }: ExperimentResults): string {
  const label = (id: string) => m(arms.find((arm) => arm.id === id)!.label);
  const lines = frontiers.map(({ scene, frontier, dominated, loadLimited }) => {
    const where = sceneText(scene);
    const of = where === '' ? '' : ` (${m(where)})`;
    const speed = loadLimited ? '; all carry the same load, so cycles count as speed' : '';
    const beaten =
      dominated.length === 0 ? 'none is dominated' : `dominated: ${dominated.map(({ arm }) => label(arm)).join(', ')}`;
    return `- On the frontier${of}: **${frontier.map(label).join(', ')}**; ${beaten}${speed}`;
  });
  const single = knobs
    .slice(0, SENTENCES)
    .map(
      ({ a, b, path, from, to }) =>
        `- ${label(a)} and ${label(b)} differ in ${m(path)} alone: ${m(valueText(from))}, ${m(valueText(to))}`,
    );
  return [...lines, ...single].join('\n');
}

function answerPart({ answer }: ExperimentResults): string {
  if (answer === undefined) return '';
  return `${m(answer.question)}\n\n${m(answer.sentences.join(' '))}\n\n${table(
    answer.head,
    answer.rows.map((row) => row.map(m)),
  )}`;
}

function reproductionPart({ reproduction }: ExperimentResults): string {
  if (reproduction === undefined) return '';
  const { title, citation, rows } = reproduction;
  const lines = rows
    .slice(0, ROWS)
    .map((row) => [
      m(row.target),
      m(row.what),
      m(`${row.published} (${row.tag}: ${row.where})`),
      m(row.simulated),
      row.relativeError === null ? '–' : percent(row.relativeError, 3),
      row.calibrated ? 'calibrated' : 'predicted',
      m(row.remark === '' ? row.status : `${row.status}: ${row.remark}`),
    ]);
  const head = ['target', 'what', 'published', 'simulated', 'relative error', 'constants', 'status'];
  const cut = rows.length - lines.length;
  return `## Published and simulated\n\n${m(title)}. ${m(citation)}\n\n${table(head, lines)}${cut > 0 ? `\n\n${cut} more rows are in the report.` : ''}`;
}

/** A fence that the text inside does not end. */
function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}sh\n${text}\n${fence}`;
}

export async function toMarkdown(data: ExperimentData, results: ExperimentResults): Promise<string> {
  const { document } = data;
  const { request, coreVersion, id } = document;
  const partial = partialText(document, results);
  const measured = results.arms.some(({ seeds }) => seeds.length > 0);
  const names = [...new Set(results.arms.flatMap(({ profile }) => (profile === null ? [] : profile)))].sort();
  const assumptions = [...new Set(results.arms.flatMap((arm) => arm.assumptions))].sort();
  const profileText = names.length === 0 ? '' : ` Costs: ${names.map(m).join(', ')}.`;
  const assumed = assumptions.length === 0 ? '' : ` Assumptions that were used: ${assumptions.map(m).join(', ')}.`;
  const failed = results.failures.map(
    ({ arm, seed, code, detail }) => `- ${m(arm)}, seed ${seed}: ${m(code)}: ${m(detail)}`,
  );
  const parts = [
    `# ${m(headline(document))}`,
    partial === null ? '' : `**${m(partial)}**`,
    answerPart(results),
    measured ? armsPart(results) : '',
    measured
      ? 'Medians over the seeds, in brackets how far they spread. Exposure is that of potential windows. Arms without protection are on no frontier: no window opens where nothing is ever closed.'
      : '',
    results.comparisons.length > 0 ? `## What can be said\n\n${verdictsPart(results)}` : '',
    results.frontiers.length > 0 ? `## Frontier\n\n${frontierPart(results)}` : '',
    reproductionPart(results),
    failed.length > 0 ? `## What failed\n\n${failed.slice(0, SENTENCES).join('\n')}` : '',
    `## Where this comes from\n\nExperiment ${m(id)}, core version ${m(coreVersion)}, ${untilText(request.until)} each, seeds ${request.seeds.join(', ')}.${profileText}${assumed}`,
    fenced(curlOf(inputOf({ document }))),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

/**
 * A session's metrics as text: OpenMetrics 1.0, or the Prometheus text format 0.0.4, which names counters and ends differently.
 *
 * Names, labels and where the values are found stand in `metric-names.ts`. Times are simulated. What the simulated model does not have
 * is absent, never 0.
 */
import {
  FAMILIES,
  type Family,
  type Listed,
  type Sample,
  VENDOR_NAMES,
  type Vendor,
  vendorMetric,
} from './metric-names.ts';

export const OPENMETRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
export const PROMETHEUS_TEXT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Document = Record<string, unknown>;
type Labels = Readonly<Record<string, string>>;

/** A value and its labels, those of the whole family left out. */
interface Measured {
  labels: Labels;
  value: unknown;
}

/** The PMU whose names the model follows; a session has one IOMMU. */
const UNIT = 'dmar0';

/**
 * The text of what was measured.
 *
 * @param meters as the core reads it; members may be absent
 * @param session the `session` label of every sample
 * @param openMetrics OpenMetrics 1.0, else Prometheus text 0.0.4
 */
export function exposition(meters: Document, session: string, openMetrics: boolean): string {
  const lines: string[] = [];
  for (const family of FAMILIES) {
    const measured = measuredOf(family, meters);
    if (measured.length > 0) lines.push(...familyLines(family, { session, ...unitOf(family) }, measured, openMetrics));
  }
  return ended(lines, openMetrics);
}

/** As `exposition`, under the names that one vendor's tools have for it; what they do not count is absent. */
export function vendorExposition(meters: Document, session: string, vendor: Vendor, openMetrics: boolean): string {
  const names = VENDOR_NAMES[vendor];
  const lines: string[] = [];
  for (const counter of names.counters) {
    if (counter.needs !== undefined && !has(meters, counter.needs)) continue;
    const value = sumOf(counter.terms, meters);
    if (value === null) continue;
    const { event, terms } = counter;
    const family: Family = { name: vendorMetric(names, counter), type: 'counter', help: helpOf(terms), samples: [] };
    lines.push(...familyLines(family, { session, unit: names.unit, event }, [{ labels: {}, value }], openMetrics));
  }
  return ended(lines, openMetrics);
}

function ended(lines: string[], openMetrics: boolean): string {
  return [...lines, ...(openMetrics ? ['# EOF'] : [])].map((line) => `${line}\n`).join('');
}

const helpOf = (terms: readonly string[]): string =>
  `Made of ${terms.map((term) => term.replace(/^@/, '')).join(', ')}.`;

const unitOf = ({ chip }: Family): Labels => (chip === true ? { unit: UNIT } : {});

// ---------------------------------------------------------------------------------------------------------- values

/** What a family has to show; empty when the model lacks it. */
function measuredOf(family: Family, meters: Document): Measured[] {
  return family.samples.flatMap((sample) => {
    if (sample.needs !== undefined && !has(meters, sample.needs)) return [];
    return 'each' in sample ? listed(sample, meters) : single(sample, meters);
  });
}

/** Documents that do not say what they have are taken to have it all. */
function has(meters: Document, part: string): boolean {
  return meters.has === undefined || at(meters, `has.${part}`) === true;
}

function single({ from, labels = {}, divisor = 1 }: Sample, meters: Document): Measured[] {
  const value = at(meters, from);
  if (typeof value === 'number') return [{ labels, value: value / divisor }];
  return typeof value === 'object' && value !== null ? [{ labels, value }] : [];
}

function listed({ each, labels, from }: Listed, meters: Document): Measured[] {
  const elements = at(meters, each);
  if (!Array.isArray(elements)) return [];
  return elements.flatMap((element: Document) => {
    const value = at(element, from);
    if (typeof value !== 'number') return [];
    const shown = labels.filter((label) => element[label] !== undefined && element[label] !== '');
    return [{ labels: Object.fromEntries(shown.map((label) => [label, String(element[label])])), value }];
  });
}

const byName = new Map(FAMILIES.map((family) => [family.name, family]));
const SELECTOR = /^(\w+)(?:\{(.*)\})?$/;

/** The sum of terms; null when one of them is not there: a counter that would leave out a part is none. */
function sumOf(terms: readonly string[], meters: Document): number | null {
  let sum = 0;
  for (const term of terms) {
    const minus = term.startsWith('-');
    const value = termOf(minus ? term.slice(1) : term, meters);
    if (value === null) return null;
    sum += minus ? -value : value;
  }
  return sum;
}

function termOf(term: string, meters: Document): number | null {
  if (term.startsWith('@')) {
    const value = at(meters, term.slice(1));
    return typeof value === 'number' ? value : null;
  }
  const [, name, matchers = ''] = SELECTOR.exec(term)!;
  const wanted = [...matchers.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, value]) => [label!, value!] as const);
  const found = measuredOf(byName.get(name!)!, meters).filter(({ labels }) =>
    wanted.every(([label, value]) => labels[label] === value),
  );
  return found.length === 0 ? null : found.reduce((sum, { value }) => sum + (value as number), 0);
}

function at(document: unknown, path: string): unknown {
  let here = document;
  for (const step of path.split('.')) here = (here as Document | null | undefined)?.[step];
  return here;
}

// ------------------------------------------------------------------------------------------------------------ text

/** Of what kind a family is, and how the names of its samples end. */
const SUFFIX = { counter: '_total', gauge: '', info: '_info', histogram: '', summary: '' } as const;

function familyLines(family: Family, common: Labels, measured: Measured[], openMetrics: boolean): string[] {
  const { name, type, unit, help } = family;
  const sample = name + SUFFIX[type];
  // The older form has no infos, and names a family as its samples.
  const shown = openMetrics ? name : sample;
  const kind = !openMetrics && type === 'info' ? 'gauge' : type;
  return [
    `# HELP ${shown} ${escaped(help)}`,
    `# TYPE ${shown} ${kind}`,
    ...(openMetrics && unit !== undefined ? [`# UNIT ${shown} ${unit}`] : []),
    ...measured.flatMap(({ labels, value }) => sampleLines(type, sample, { ...common, ...labels }, value)),
  ];
}

interface Distribution {
  bounds?: number[];
  cumulated?: number[];
  count: number;
  sum: number;
}

function sampleLines(type: Family['type'], name: string, labels: Labels, value: unknown): string[] {
  if (type === 'info') return [`${name}${labelText(labels)} 1`];
  if (type !== 'histogram' && type !== 'summary') return [`${name}${labelText(labels)} ${value}`];
  const { bounds = [], cumulated = [], count, sum } = value as Distribution;
  const lines = bounds.map(
    (bound, i) => `${name}_bucket${labelText({ ...labels, le: canonical(bound) })} ${cumulated[i]}`,
  );
  if (type === 'histogram') lines.push(`${name}_bucket${labelText({ ...labels, le: '+Inf' })} ${count}`);
  return [...lines, `${name}_sum${labelText(labels)} ${sum}`, `${name}_count${labelText(labels)} ${count}`];
}

/** A bound as all exposers should write it, since it is compared as text: `1e-07`, `0.0001`, `10.0`. */
function canonical(bound: number): string {
  if (Number.isInteger(bound)) return `${bound}.0`;
  return bound >= 1e-4 ? String(bound) : bound.toExponential().replace(/e-(\d)$/, 'e-0$1');
}

/** Backslash and the end of a line, in help; the quote too, in labels. */
function escaped(text: string, what: RegExp = /[\\\n]/g): string {
  return text.replace(what, (c) => `\\${c === '\n' ? 'n' : c}`);
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value, /["\\\n]/g)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

/**
 * A reader of OpenMetrics 1.0 text that takes nothing else, written from the specification alone: the grammar line by line, what a family
 * of each type may have, and what must hold among its samples.
 */

export interface ReadSample {
  name: string;
  labels: ReadonlyMap<string, string>;
  value: number;
}

export interface ReadFamily {
  name: string;
  type: string;
  unit: string;
  help: string | null;
  samples: ReadSample[];
}

const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ['_total', '_created'],
  gauge: [''],
  histogram: ['_bucket', '_count', '_sum', '_created'],
  summary: ['_count', '_sum', '_created', ''],
  info: ['_info'],
  unknown: [''],
};
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$|^[+-]?Inf$|^NaN$/;

class Bad extends Error {}

function numberOf(text: string): number {
  if (!NUMBER.test(text)) throw new Bad(`"${text}" is no number`);
  if (/Inf$/.test(text)) return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return Number(text);
}

/** A name, its labels and a value; no timestamp and no exemplar, of which there are none here. */
function sampleOf(line: string): ReadSample {
  const head = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line);
  if (head === null) throw new Bad('no name');
  const [name] = head;
  const labels = new Map<string, string>();
  let at = name.length;
  if (line[at] === '{') {
    at++;
    while (line[at] !== '}') {
      const label = /^[a-zA-Z_][a-zA-Z0-9_]*/.exec(line.slice(at))?.[0];
      if (label === undefined) throw new Bad(`no label at ${at}`);
      at += label.length;
      if (line.slice(at, at + 2) !== '="') throw new Bad(`no value of ${label}`);
      at += 2;
      let value = '';
      for (; line[at] !== '"'; at++) {
        if (at >= line.length) throw new Bad(`the value of ${label} does not end`);
        if (line[at] !== '\\') {
          value += line[at];
          continue;
        }
        const meant = { n: '\n', '"': '"', '\\': '\\' }[line[++at] ?? ''];
        if (meant === undefined) throw new Bad(`an escape that there is not in ${label}`);
        value += meant;
      }
      at++;
      if (labels.has(label)) throw new Bad(`${label} twice`);
      labels.set(label, value);
      if (line[at] === ',') at++;
      else if (line[at] !== '}') throw new Bad(`neither , nor } at ${at}`);
    }
    at++;
  }
  if (line[at] !== ' ') throw new Bad(`no blank before the value, at ${at}`);
  return { name, labels, value: numberOf(line.slice(at + 1)) };
}

const keyOf = (labels: ReadonlyMap<string, string>, without = '') =>
  JSON.stringify([...labels].filter(([name]) => name !== without).sort(([a], [b]) => (a < b ? -1 : 1)));

/** @throws Error with the line that is not as it must be */
export function readOpenMetrics(text: string): Map<string, ReadFamily> {
  if (!text.endsWith('# EOF\n')) throw new Error('the text does not end with # EOF and the end of a line');
  const lines = text.slice(0, -1).split('\n');
  const families = new Map<string, ReadFamily>();
  let family: ReadFamily | null = null;
  lines.forEach((line, i) => {
    try {
      if (line === '# EOF') {
        if (i !== lines.length - 1) throw new Bad('# EOF before the end');
        return;
      }
      if (line.startsWith('#')) {
        const found = /^# (HELP|TYPE|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
        if (found === null) throw new Bad('neither metadata nor sample');
        const [, what, name, rest] = found as unknown as [string, string, string, string];
        if (family?.name !== name) {
          if (families.has(name)) throw new Bad(`${name} is not in one piece`);
          family = { name, type: 'unknown', unit: '', help: null, samples: [] };
          families.set(name, family);
        }
        if (family.samples.length > 0) throw new Bad('metadata after a sample');
        if (what === 'TYPE') {
          if (!(rest in SUFFIXES)) throw new Bad(`no type ${rest}`);
          family.type = rest;
        } else if (what === 'UNIT') {
          if (!name.endsWith(`_${rest}`)) throw new Bad(`the name does not end with its unit ${rest}`);
          family.unit = rest;
        } else {
          if (/\\[^\\n"]/.test(rest)) throw new Bad('an escape that there is not');
          family.help = rest;
        }
        return;
      }
      const sample = sampleOf(line);
      const suffixes = SUFFIXES[family?.type ?? 'unknown']!;
      if (family === null || !suffixes.some((suffix) => sample.name === family!.name + suffix))
        throw new Bad(`${sample.name} is no sample of ${family?.name} (${family?.type})`);
      family.samples.push(sample);
    } catch (error) {
      throw new Error(`line ${i + 1}: ${(error as Error).message}\n${line}`);
    }
  });
  checkNames(families);
  for (const each of families.values()) check(each);
  return families;
}

/** No family may have the name of a sample of another. */
function checkNames(families: ReadonlyMap<string, ReadFamily>): void {
  for (const { name, type } of families.values())
    for (const suffix of SUFFIXES[type]!)
      if (suffix !== '' && families.has(name + suffix)) throw new Error(`${name}${suffix} is two things`);
}

function check({ name, type, samples }: ReadFamily): void {
  const fail = (why: string): never => {
    throw new Error(`${name}: ${why}`);
  };
  const seen = new Set<string>();
  for (const sample of samples) {
    const key = sample.name + keyOf(sample.labels);
    if (seen.has(key)) fail(`${key} twice`);
    seen.add(key);
    if (type === 'counter' && !(sample.value >= 0)) fail('a counter below 0');
    if (type === 'info' && sample.value !== 1) fail('an info that is not 1');
  }
  if (type !== 'histogram') return;
  const metrics = new Map<string, ReadSample[]>();
  let last: string | null = null;
  for (const sample of samples) {
    const key = keyOf(sample.labels, 'le');
    if (key !== last && metrics.has(key)) fail('samples of one metric are not together');
    metrics.set(key, [...(metrics.get(key) ?? []), sample]);
    last = key;
  }
  for (const parts of metrics.values()) {
    const buckets = parts.filter((part) => part.name.endsWith('_bucket'));
    const value = (suffix: string) => parts.find((part) => part.name === name + suffix)?.value;
    let bound = Number.NEGATIVE_INFINITY;
    let count = 0;
    for (const { labels, value: cumulated } of buckets) {
      const le = labels.get('le') ?? fail('a bucket without le');
      const next = numberOf(le as string);
      if (next <= bound) fail('bounds do not rise');
      if (cumulated < count || !Number.isInteger(cumulated)) fail('buckets fall');
      bound = next;
      count = cumulated;
    }
    if (bound !== Number.POSITIVE_INFINITY) fail('no bucket +Inf');
    if (value('_count') !== count) fail('the count is not that of +Inf');
    if (value('_sum') === undefined) fail('no sum');
  }
}

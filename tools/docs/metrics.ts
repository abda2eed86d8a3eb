/** Tables of docs/metrics.md, from the one list of names. */
import {
  ABSENT,
  FAMILIES,
  type Family,
  VENDOR_NAMES,
  VENDORS,
  type VendorCounter,
  vendorMetric,
} from '../../src/api/metric-names.ts';
import { type Cell, table } from './table.ts';

const code = (text: string): string => `\`${text}\``;

function full({ name, type }: Family): string {
  return name + (type === 'counter' ? '_total' : type === 'info' ? '_info' : '');
}

/** Labels beside `session`, those that all samples have in common and what else one may have. */
function labelsOf({ chip, samples }: Family): string {
  const values = new Map<string, Set<string>>();
  const open = samples.flatMap((sample) => ('each' in sample ? sample.labels : []));
  for (const sample of samples)
    if (!('each' in sample))
      for (const [label, value] of Object.entries(sample.labels ?? {}))
        values.set(label, (values.get(label) ?? new Set()).add(value));
  for (const label of [...open, ...(chip ? ['unit'] : [])]) values.set(label, new Set());
  return [...values]
    .map(([label, some]) => (some.size === 0 ? code(label) : `${code(label)} (${[...some].join(', ')})`))
    .join('; ');
}

/** A term of a vendor's counter names a family, or by a path what no family has by itself. */
function usedBy({ terms }: VendorCounter, { name }: Family): boolean {
  return terms.some((term) => {
    const bare = term.replace(/^-/, '');
    return bare.startsWith('@') ? PATHS[bare.slice(1)]!.includes(`${name}_total`) : bare.split('{', 1)[0] === name;
  });
}

function vendorsOf(family: Family): string {
  const found = VENDORS.flatMap((vendor) =>
    VENDOR_NAMES[vendor].counters.filter((counter) => usedBy(counter, family)).map(({ event }) => code(bare(event))),
  );
  return [...found, ...(family.kernel === undefined ? [] : [family.kernel])].join(', ');
}

/** `dmar0/iotlb_hit/` as people say it: with its PMU. */
const bare = (event: string): string => event.replace(/_?0\/(\w+)\/$/, '/$1/');

export function metricTable(): string {
  const rows = FAMILIES.map((family): Cell[] => [
    code(full(family)),
    family.type,
    labelsOf(family),
    family.help,
    vendorsOf(family),
  ]);
  return table(['name', 'type', 'labels', 'what it is', 'what others call it'], rows);
}

export function vendorTables(): string {
  return VENDORS.map((vendor) => {
    const names = VENDOR_NAMES[vendor];
    const rows = names.counters.map((counter): Cell[] => [
      code(counter.event),
      code(`${vendorMetric(names, counter)}_total`),
      counter.terms.map(termText).join(' '),
      counter.note ?? '',
    ]);
    return `### \`names=${vendor}\`\n\n${names.tool}\n\n${table(['counter', 'metric', 'made of', 'remark'], rows)}`;
  }).join('\n\n');
}

const PATHS: Readonly<Record<string, string>> = {
  'requests.all': 'all of `iommu_requests_total`, asking for a translation included',
  'requests.passed': '`iommu_requests_total{type="untranslated"}` under passthrough',
  'requests.remapped': '`iommu_requests_total{type="untranslated"}` in all other modes',
  secondStageLookups: '`iommu_walk_cache_lookups_total`, all levels',
  secondStageHits: '`iommu_walk_cache_hits_total`, all levels',
  firstStageLookups: '`iommu_walk_cache_lookups_total{stage="1"}`, all levels',
  firstStageHits: '`iommu_walk_cache_hits_total{stage="1"}`, all levels',
};

function termText(term: string, i: number): string {
  const minus = term.startsWith('-');
  const positive = minus ? term.slice(1) : term;
  const sign = minus ? '- ' : i > 0 ? '+ ' : '';
  if (positive.startsWith('@')) return sign + PATHS[positive.slice(1)]!;
  return sign + code(positive.replace(/^(\w+)/, '$1_total'));
}

export function absentTable(): string {
  return table(
    ['name', 'why'],
    Object.entries(ABSENT).map(([name, why]) => [code(name), why]),
  );
}

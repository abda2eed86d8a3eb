/** Tables that say in the docs what the registries, profiles and catalogues of the program say. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { ERRORS } from '../../src/api/errors.ts';
import { LIMITS } from '../../src/api/limits.ts';
import { workloads } from '../../src/core/devices/index.ts';
import { profiles, stepNames } from '../../src/core/meter/cost-profile.ts';
import { policies } from '../../src/core/os/invalidation/index.ts';
import { type Reuse, withDefaults } from '../../src/core/os/invalidation/policy.ts';
import { allocators } from '../../src/core/os/iova/index.ts';
import { presets } from '../../src/core/presets.ts';
import { figure, table } from './table.ts';

const code = (text: string): string => `\`${text}\``;

export function errorTable(): string {
  const rows = Object.entries(ERRORS).map(([name, { status, title, retryable }]) => [
    code(name),
    status,
    title,
    retryable ? 'yes' : 'no',
  ]);
  return table(['code', 'status', 'title', 'retryable'], rows);
}

export function limitTable(): string {
  const rows = Object.entries(LIMITS).map(([name, value]) => [code(name), figure(value)]);
  return table(['limit', 'value'], rows);
}

/** Profiles side by side, a step a row. */
export function stepTable(): string {
  const all = Object.values(profiles);
  const rows = stepNames.map((name) => {
    const steps = all.map((profile) => profile.steps[name]);
    const [first] = steps;
    const sources = new Set(
      steps.map(({ source, why }) => (source === 'assumption' ? `**assumption**: ${why}` : source)),
    );
    const range = first!.range === undefined ? '' : `${first!.range[0]} to ${first!.range[1]}`;
    return [code(name), ...steps.map(({ cycles }) => cycles), range, [...sources].join('; ')];
  });
  return table(['step', ...all.map(({ kind }) => code(kind)), 'range', 'source'], rows);
}

export function profileTable(): string {
  const rows = Object.values(profiles).map(
    ({ kind, title, clockGhz, linkGbps, mappingsPerPacket, source, notMeasuredFor }) => [
      code(kind),
      title,
      clockGhz,
      linkGbps,
      mappingsPerPacket,
      source,
      notMeasuredFor,
    ],
  );
  return table(['profile', 'machine', 'GHz', 'link Gb/s', 'mappings a packet', 'source', 'not measured for'], rows);
}

/** When does what become reusable: the policies' own declarations. */
export function reuseTable(): string {
  const row = (name: string, reuse: Reuse) => [
    name,
    reuse.pteCleared,
    reuse.cachedTranslation,
    reuse.iova,
    reuse.tablePages,
    reuse.window,
  ];
  const rows = Object.values(policies).flatMap(({ kind, reuse, forms = [] }) => [
    row(code(kind), reuse),
    ...forms.map((form) => row(`${code(kind)}, ${parametersOf(form.parameters)}`, form.reuse)),
  ]);
  return table(
    [
      'policy',
      'PTE cleared',
      'cached translation',
      'IOVA reusable',
      'table pages go back',
      'page reachable after unmap returns',
    ],
    rows,
  );
}

export function policyTable(): string {
  const rows = Object.values(policies).map((entry) => [
    code(entry.kind),
    parametersOf(withDefaults(entry)),
    entry.needsCircular ? 'one with a cursor that wraps' : 'any',
    entry.source,
  ]);
  return table(['policy', 'parameters', 'allocator', 'source'], rows);
}

export function allocatorTable(): string {
  const rows = Object.values(allocators).map(({ kind, defaults, searches, circular, always32BitFirst, source }) => [
    code(kind),
    parametersOf(defaults),
    searches === 'tree'
      ? 'top-down'
      : circular
        ? 'next-fit, with a cursor that wraps'
        : 'next-fit, no flush when it wraps',
    always32BitFirst ? 'on every map' : 'per device, until it fails once',
    source,
  ]);
  return table(['allocator', 'parameters', 'search', 'tries 32-bit addresses first', 'source'], rows);
}

export function workloadTable(): string {
  const rows = Object.values(workloads).map(({ kind, defaults, source }) => [
    code(kind),
    parametersOf(defaults),
    source,
  ]);
  return table(['workload', 'parameters and defaults', 'source'], rows);
}

export function presetTable(): string {
  return table(
    ['preset', 'title', 'source'],
    Object.values(presets).map(({ kind, title, source }) => [code(kind), title, source]),
  );
}

function parametersOf(defaults: Record<string, unknown>): string {
  const own = Object.entries(defaults).filter(([name]) => name !== 'kind');
  return own.length === 0 ? 'none' : own.map(([name, value]) => code(`${name}: ${JSON.stringify(value)}`)).join(', ');
}

interface Contract {
  paths: Record<string, Record<string, { summary?: string }>>;
}
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

export function routeTable(): string {
  const { paths } = parse(readFileSync('openapi.yaml', 'utf8')) as Contract;
  const rows = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(([method]) => METHODS.includes(method))
      .map(([method, { summary }]) => [code(`${method.toUpperCase()} ${path}`), summary ?? '']),
  );
  return table(['request', 'what it does'], rows);
}

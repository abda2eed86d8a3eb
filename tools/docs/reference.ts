/** Tables that say in the docs what the registries, profiles and catalogues of the program say. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { ERRORS } from '../../src/api/errors.ts';
import { LIMITS } from '../../src/api/limits.ts';
import { settingRows } from '../../src/config.ts';
import { workloads } from '../../src/core/devices/index.ts';
import {
  type CostProfile,
  type Figure,
  type FigureGroup,
  isFigure,
  profiles,
  stepNames,
} from '../../src/core/meter/cost-profile.ts';
import { policies } from '../../src/core/os/invalidation/index.ts';
import { type Reuse, withDefaults } from '../../src/core/os/invalidation/policy.ts';
import { allocators } from '../../src/core/os/iova/index.ts';
import { presets } from '../../src/core/presets.ts';
import { type Cell, figure, table } from './table.ts';

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

export function settingTable(): string {
  const rows = settingRows().map(({ flag, variable, member, help }) => [
    code(flag),
    code(variable),
    code(member),
    help,
  ]);
  return table(['flag', 'variable', 'in the file', 'what it is'], rows);
}

/** Every step, as the profile has it that all others inherit from. */
export function stepTable(): string {
  const { steps } = profiles['riommu15-mlx']!;
  const rows = stepNames.map((name) => {
    const { cycles, range, source, why } = steps[name]!;
    return [code(name), cycles, rangeText(range), sourceText({ source, ...(why !== undefined && { why }) })];
  });
  return table(['step', 'cycles', 'range', 'source'], rows);
}

export function profileTable(): string {
  const rows = Object.values(profiles).map((profile) => {
    const { kind, title, clockGhz, linkGbps, mappingsPerPacket, notMeasuredFor } = profile;
    return [
      code(kind),
      title,
      clockGhz,
      linkGbps,
      mappingsPerPacket,
      ownSteps(profile).length,
      stepNames.filter((step) => profile.steps[step]!.source === 'assumption').length,
      notMeasuredFor,
    ];
  });
  return table(
    [
      'profile',
      'machine',
      'GHz',
      'link Gb/s',
      'mappings a packet',
      'steps of its own',
      'assumptions',
      'not measured for',
    ],
    rows,
  );
}

/** A part for each profile that inherits: its own numbers, and what becomes of the others. */
export function profileParts(): string {
  return Object.values(profiles)
    .filter(({ inherits }) => inherits !== undefined)
    .map((profile) => {
      const { kind, title, source, inherits, machine, steps, device, hardware, guest } = profile;
      const own = ownSteps(profile);
      const rows = [
        ...figureRows('', Object.fromEntries(Object.entries(machine).filter(([, figure]) => !figure.inherited))),
        ...own.map((name) => {
          const { cycles, range, source, why } = steps[name]!;
          const text = sourceText({ source, ...(why !== undefined && { why }) });
          return [`step ${code(name)}`, `${cycles} cycles`, rangeText(range), text];
        }),
        ...figureRows('device', device),
        ...figureRows('hardware', hardware),
        ...figureRows('guest', guest),
      ];
      const others = inherits!.usedByPublication
        ? `All other steps are those of ${code(inherits!.profile)} as they are cited there: ${inherits!.why}.`
        : `All other steps are **assumptions**, from half to twice those of ${code(inherits!.profile)}: ${inherits!.why}.`;
      const head = `### ${code(kind)}\n\n${title}. ${source}.\n\n${others}`;
      return `${head}\n\n${table(['number', 'value', 'range', 'source'], rows)}`;
    })
    .join('\n\n');
}

const ownSteps = ({ steps }: CostProfile) => stepNames.filter((step) => steps[step]!.inherited === undefined);

const rangeText = (range?: readonly number[]): string => (range === undefined ? '' : `${range[0]} to ${range[1]}`);

const sourceText = ({ source, why }: { source: string; why?: string }): string =>
  source === 'assumption' ? `**assumption**: ${why}` : source;

const UNITS = {
  cycles: ' cycles',
  ns: ' ns',
  ghz: ' GHz',
  gbps: ' Gb/s',
  bytes: ' bytes',
  percent: ' %',
  count: '',
} as const;

function valueText(figure: Figure): string {
  for (const [unit, text] of Object.entries(UNITS)) {
    const value = figure[unit as keyof typeof UNITS];
    if (value !== undefined) return `${value}${text}`;
  }
  return JSON.stringify(figure.is ?? figure.list ?? figure.counts);
}

function figureRows(path: string, group: FigureGroup | Record<string, Figure>): Cell[][] {
  return Object.entries(group).flatMap(([name, value]) => {
    const full = path === '' ? name : `${path}.${name}`;
    if (!isFigure(value)) return figureRows(full, value);
    return [[code(full), valueText(value), rangeText(value.range), sourceText(value)]];
  });
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
    { tree: 'top-down', gaps: 'the highest gap, in a descent', cache: 'what was freed last, then a tree' }[
      searches as string
    ] ?? (circular ? 'next-fit, with a cursor that wraps' : 'next-fit, no flush when it wraps'),
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

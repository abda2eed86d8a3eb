/** The tables of `docs/hazards.md`: what the golden scenarios of each hazard have written down. */
import { readFileSync } from 'node:fs';
import { expectedFile, linesOf, readScenario, scenarioNames } from '../../test/scenarios/scenarios.ts';
import type { Part } from '../thread-2008/parts.ts';
import { table } from './table.ts';

interface Spec {
  policy: { mode?: string; allocator: { kind: string }; invalidation: { kind: string; form?: string } };
  iommu?: { invalidation?: { cachingMode?: boolean } };
  devices: { untrusted?: boolean }[];
}

interface Piece {
  verdict: string;
  cause?: string;
}

const code = (text: string): string => `\`${text}\``;

/** What sets a scenario apart beside allocator and policy. */
function circumstances({ policy, iommu, devices }: Spec): string {
  const all = [
    policy.mode === undefined ? '' : `mode ${code(policy.mode)}`,
    iommu?.invalidation?.cachingMode ? 'caching mode' : '',
    devices.some(({ untrusted }) => untrusted) ? 'the device is untrusted' : '',
  ];
  return all.filter((each) => each !== '').join(', ') || 'nothing';
}

/** In the order of the device's accesses. */
function met(name: string): string {
  return linesOf(readFileSync(expectedFile(name), 'utf8'))
    .filter(({ op }) => op === 'dma')
    .flatMap(({ result }) => (result as { pages: Piece[] }).pages)
    .map(({ verdict, cause }) => (cause === undefined ? code(verdict) : `${code(verdict)} (${code(cause)})`))
    .join(', ');
}

function scenarioTable(hazard: number): string {
  const names = scenarioNames().filter((name) => name.startsWith(`hazard-${hazard}-`));
  if (names.length === 0) throw new Error(`no scenario shows hazard ${hazard}`);
  return table(
    ['scenario', 'allocator', 'policy', 'besides', 'what the device met'],
    names.map((name) => {
      const spec = readScenario(name).spec as unknown as Spec;
      const { kind, form } = spec.policy.invalidation;
      return [
        code(name),
        code(spec.policy.allocator.kind),
        form === undefined ? code(kind) : `${code(kind)}, ${code(form)}`,
        circumstances(spec),
        met(name),
      ];
    }),
  );
}

export const hazardParts: Record<string, Part> = Object.fromEntries(
  [1, 2, 3, 4, 6, 10].map((hazard) => [`hazard ${hazard}`, () => scenarioTable(hazard)]),
);

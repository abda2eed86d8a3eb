/** What two sessions may differ in when both are made from one spec, and the specs of the two. Pure. */
import type { Catalog } from '../../api/contract-types.ts';

export interface Knob {
  /** Dotted path into the spec. */
  path: string;
  name: string;
  /** Empty: a number. */
  values: readonly string[];
  /** As the form begins. */
  usual: readonly [string, string];
}

export function knobsOf(catalog: Catalog): Knob[] {
  const kinds = (entries: readonly { kind: string }[] | undefined) => (entries ?? []).map(({ kind }) => kind);
  return [
    {
      path: 'policy.invalidation.kind',
      name: 'invalidation policy',
      values: kinds(catalog.policies),
      usual: ['strict', 'deferred-2008'],
    },
    {
      path: 'policy.allocator.kind',
      name: 'IOVA allocator',
      values: kinds(catalog.allocators),
      usual: ['rbtree-2008', 'bitmap'],
    },
    { path: 'policy.mode', name: 'protection mode', values: kinds(catalog.modes), usual: ['translate', 'passthrough'] },
    { path: 'iommu.iotlb.entries', name: 'IOTLB entries', values: [], usual: ['64', '512'] },
    { path: 'machine.cpus', name: 'CPUs', values: [], usual: ['2', '8'] },
    { path: 'iommu.coherent', name: 'coherent page walks', values: ['false', 'true'], usual: ['false', 'true'] },
    {
      path: 'costs.profile',
      name: 'cost profile',
      values: kinds(catalog.profiles),
      usual: ['riommu15-mlx', 'riommu15-brcm'],
    },
  ];
}

/** A spec of the preset with one member set. @param value as the form has it */
export function specWith(preset: string, { path, values }: Knob, value: string, name: string): Record<string, unknown> {
  const parts = path.split('.');
  const last = parts.pop() as string;
  const spec: Record<string, unknown> = { name, preset };
  let at = spec;
  for (const part of parts) at = at[part] = {} as Record<string, unknown>;
  at[last] = values.length === 0 ? Number(value) : value === 'true' ? true : value === 'false' ? false : value;
  return spec;
}

/** `strict-x3f9`: a name says what sets the session apart. */
export function nameOf(knob: Knob, value: string, stamp: string): string {
  const word = values(knob) ? value : `${knob.path.split('.').at(-1)}-${value}`;
  return `${word.replace(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z]+/, '')}-${stamp}`.slice(0, 64);
}

const values = (knob: Knob): boolean => knob.values.length > 0 && !['true', 'false'].includes(knob.values[0] as string);

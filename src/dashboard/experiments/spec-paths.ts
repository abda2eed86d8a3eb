/**
 * What of a spec can be varied, as dotted paths with what is there now and, where the catalog knows it, what else could be: the members of
 * the resolved spec, and those that the kinds in it have besides. Pure.
 */
import type { Catalog, CatalogEntry } from '../../api/contract-types.ts';
import { fieldsOf, type Json, type JsonObject, type Schema } from '../form/schema.ts';
import { INVALIDATION, IOMMU, IOTLB, MACHINE } from '../sessions/machine-schema.ts';

export interface SpecPath {
  path: string;
  /** Undefined: nothing is given, and the kind's own default holds. */
  value: Json | undefined;
  /** Empty: not of a list. */
  choices: readonly Json[];
}

type Lists = Pick<Catalog, 'allocators' | 'policies' | 'modes' | 'devices' | 'workloads' | 'profiles'>;

/** @param spec resolved, as a check of it answers */
export function specPaths(spec: JsonObject, catalog: Lists): SpecPath[] {
  const found = new Map<string, SpecPath>();
  const add = (path: string, value: Json | undefined, choices: readonly Json[] = []) => {
    const known = found.get(path);
    if (known === undefined || known.choices.length === 0)
      found.set(path, { path, value: value ?? known?.value, choices });
  };
  const members = (at: string, value: Json | undefined, schema: Schema) => {
    const object = objectOf(value);
    for (const { name, kind, choices } of fieldsOf(schema, ['kind', 'name']))
      if (kind !== 'group') add(`${at}.${name}`, object[name], kind === 'yes-no' ? [true, false] : choices);
  };
  const kinds = (at: string, value: Json | undefined, entries: readonly CatalogEntry[]) => {
    const { kind } = objectOf(value);
    add(
      `${at}.kind`,
      kind,
      entries.map((each) => each.kind),
    );
    const entry = entries.find((each) => each.kind === kind);
    if (entry !== undefined) members(at, value, entry.schema as Schema);
  };

  const policy = objectOf(spec.policy);
  const requested = objectOf(policy.requested ?? policy);
  add(
    'policy.mode',
    requested.mode,
    catalog.modes.map(({ kind }) => kind),
  );
  kinds('policy.allocator', requested.allocator, catalog.allocators);
  kinds('policy.invalidation', requested.invalidation, catalog.policies);
  add('policy.force', requested.force, [false, true]);
  const iommu = objectOf(spec.iommu);
  members('machine', spec.machine, MACHINE);
  members('iommu', iommu, IOMMU);
  members('iommu.iotlb', iommu.iotlb, IOTLB);
  members('iommu.invalidation', iommu.invalidation, INVALIDATION);
  for (const [list, entries] of [
    ['workloads', catalog.workloads],
    ['devices', catalog.devices],
  ] as const)
    for (const [i, element] of listOf(spec[list]).entries()) {
      const at = `${list}.${typeof element.name === 'string' ? element.name : i}`;
      leaves(element, at, add);
      kinds(at, element, entries);
    }
  add(
    'costs.profile',
    objectOf(spec.costs).profile,
    catalog.profiles.map(({ kind }) => kind),
  );
  for (const part of ['machine', 'iommu']) leaves(objectOf(spec[part]), part, add);
  add('kernelCommandLine', spec.kernelCommandLine);
  return [...found.values()];
}

function leaves(object: JsonObject, at: string, add: (path: string, value: Json) => void): void {
  for (const [name, value] of Object.entries(object)) {
    if (name === 'name' || name === 'kind') continue;
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) leaves(value, `${at}.${name}`, add);
    else add(`${at}.${name}`, value);
  }
}

function objectOf(value: Json | undefined): JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? value : {};
}

function listOf(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.map(objectOf) : [];
}

/**
 * From what people send to a spec without gaps: defaults, then the preset, then the kernel command line, then their own members; then
 * the checks that need sense.
 */
import { requestsOf } from './boot/members.ts';
import { withoutAliases } from './boot/sysfs-words.ts';
import { profiles, stepNames } from './meter/cost-profile.ts';
import { policies } from './os/invalidation/index.ts';
import { withDefaults } from './os/invalidation/policy.ts';
import { allocators } from './os/iova/index.ts';
import { checkMode, fillParameters } from './os/mode/index.ts';
import { presets } from './presets.ts';
import { PHYSICAL_PAGES, parseAddress, parsed } from './sim/address.ts';
import type { InvalidationSpec, PolicySpec, ResolvedSpec } from './spec.ts';
import { SpecError, type SpecProblem } from './spec-error.ts';

export { SpecError };

type Plain = Record<string, unknown>;

const defaults: Plain = {
  seed: 1,
  machine: { cpus: 4, memoryBytes: 17_179_869_184, frameReuse: 'lifo' },
  iommu: {
    levels: 4,
    superpages: ['2MiB', '1GiB'],
    coherent: false,
    faultLogEntries: 256,
    reservedRegions: [{ start: '0xfee00000', end: '0xfeefffff', type: 'msi' }],
    iotlb: { entries: 64, ways: 4, replacement: 'lru' },
    walkCache: {},
    invalidation: {
      interface: 'queued',
      pageSelective: true,
      maxAddressMask: 18,
      cachingMode: false,
      batchDescriptors: 1,
    },
    pageTableLock: false,
    deferredFlush: true,
  },
  policy: {
    mode: 'translate',
    allocator: { kind: 'rbtree-2008' },
    invalidation: { kind: 'deferred-2008', highWater: 250, timeoutMs: 10 },
    force: false,
    forcedac: false,
  },
  tenants: [],
  domains: [],
  devices: [],
  workloads: [],
  kernelCommandLine: '',
  costs: { profile: 'riommu15-mlx', overrides: {} },
};

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Defaults of a kind, wherever in the spec the object stands. */
function defaultsOfKind(path: string, kind: unknown): Plain {
  const entry = path === '/policy/allocator' ? allocators[String(kind)] : policies[String(kind)];
  return (entry?.defaults as Plain | undefined) ?? { kind };
}

/** Objects merge, arrays replace; an object of another kind starts from that kind's own defaults. */
function merge(base: Plain, over: Plain, path: string): Plain {
  const out: Plain = structuredCloneOf(base);
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const below = `${path}/${key}`;
    const old = out[key];
    if (isPlain(value) && isPlain(old)) {
      const start = 'kind' in value && value.kind !== old.kind ? defaultsOfKind(below, value.kind) : old;
      out[key] = merge(start, value, below);
    } else out[key] = copy(value);
  }
  return out;
}

/** The core has no `structuredClone`: specs are plain JSON. */
function copy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copy);
  return isPlain(value) ? structuredCloneOf(value) : value;
}
function structuredCloneOf(value: Plain): Plain {
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, copy(member)]));
}

const policyOf = (spec: Plain): PolicySpec => spec.policy as PolicySpec;

/** Own members over what the command line asks for over what is there before. */
function underLine(base: Plain, own: Plain, line: string, policy: PolicySpec): Plain {
  const { wishes } = requestsOf(line, policy);
  let asked = base;
  for (const wish of wishes) {
    const members = wish.merge(asked as unknown as ResolvedSpec);
    if (members !== null) asked = merge(asked, members, '');
  }
  return merge(asked, withoutAliases(own, asked as unknown as ResolvedSpec, wishes), '');
}

/**
 * All that a spec says or leaves to others to say, without any check, and without what follows from another member's value.
 *
 * @param input as for `resolveSpec`
 * @throws SpecError when its preset is not known
 */
export function mergedSpec(input: Record<string, unknown>): Record<string, unknown> {
  const { preset, ...own } = input;
  let base = defaults;
  if (preset !== undefined) {
    const known = presets[String(preset)];
    if (!known)
      throw new SpecError([{ path: '/preset', message: `no preset is named "${preset}", the catalog lists them` }]);
    base = merge(base, known.spec, '');
  }
  const line = String(own.kernelCommandLine ?? base.kernelCommandLine);
  // What some options ask for depends on mode and allocator, and the mode on other options: so the first time is only for the mode.
  let policy = policyOf(merge(base, own, ''));
  policy = { ...policy, mode: policyOf(underLine(base, own, line, policy)).mode };
  return underLine(base, own, line, policy);
}

/**
 * @param input a partial spec, `preset` allowed; its shape was checked against the contract
 * @throws SpecError naming every member that is wrong
 */
export function resolveSpec(input: Record<string, unknown>): ResolvedSpec {
  const merged = mergedSpec(input);
  const spec = merged as unknown as ResolvedSpec;
  const profile = profiles[spec.costs.profile];
  const machine = merged.machine as Plain;
  machine.cpuGhz ??= profile?.clockGhz ?? 3.1;
  const walkCache = (merged.iommu as Plain).walkCache as Plain;
  walkCache.entriesPerLevel ??= new Array(spec.iommu.levels - 1).fill(16);
  const entry = policies[spec.policy.invalidation.kind];
  if (entry) spec.policy.invalidation = withDefaults(entry, spec.policy.invalidation) as InvalidationSpec;
  fillParameters(merged.policy as Plain);
  const problems = [...check(spec)];
  if (problems.length > 0) throw new SpecError(problems);
  return spec;
}

function* check(spec: ResolvedSpec): Generator<SpecProblem> {
  const { machine, iommu, policy, costs } = spec;
  const profile = profiles[costs.profile];
  if (!profile)
    yield {
      path: '/costs/profile',
      message: `unknown profile "${costs.profile}"; known: ${Object.keys(profiles).join(', ')}`,
    };
  for (const step of Object.keys(costs.overrides))
    if (!(stepNames as string[]).includes(step))
      yield { path: `/costs/overrides/${step}`, message: `no step of that name; known: ${stepNames.join(', ')}` };
  if (Math.abs(machine.cpuGhz * 1000 - Math.round(machine.cpuGhz * 1000)) > 1e-9)
    yield { path: '/machine/cpuGhz', message: 'must be a multiple of 0.001' };
  if (machine.memoryBytes % 4096 !== 0) yield { path: '/machine/memoryBytes', message: 'must be a multiple of 4096' };
  const { iotlb } = iommu;
  if (iotlb.ways > 0 && iotlb.entries % iotlb.ways !== 0)
    yield { path: '/iommu/iotlb/ways', message: `${iotlb.entries} entries are no multiple of ${iotlb.ways} ways` };
  const ways = iotlb.ways === 0 ? iotlb.entries : iotlb.ways;
  if (iotlb.replacement === 'plru' && (ways & (ways - 1)) !== 0)
    yield { path: '/iommu/iotlb/replacement', message: 'plru is a binary tree: ways must be a power of two' };
  if (iommu.walkCache.entriesPerLevel.length !== iommu.levels - 1)
    yield {
      path: '/iommu/walkCache/entriesPerLevel',
      message: `${iommu.levels} levels have ${iommu.levels - 1} walk caches, root first`,
    };
  for (const [i, region] of iommu.reservedRegions.entries()) {
    const path = `/iommu/reservedRegions/${i}`;
    if (!parseAddress(region.start)) {
      yield { path: `${path}/start`, message: 'is no address' };
      continue;
    }
    const first = parsed.page;
    if (parsed.offset !== 0) yield { path: `${path}/start`, message: 'must start on a 4 KiB page' };
    if (!parseAddress(region.end)) {
      yield { path: `${path}/end`, message: 'is no address' };
      continue;
    }
    if (parsed.offset !== 4095)
      yield { path: `${path}/end`, message: 'is inclusive and must end a 4 KiB page, as 0xfeefffff does' };
    if (parsed.page < first) yield { path: `${path}/end`, message: 'lies below start' };
    if (parsed.page >= PHYSICAL_PAGES * 32) yield { path: `${path}/end`, message: 'lies beyond 57 bits' };
  }
  yield* checkMode(spec);
  const allocator = allocators[policy.allocator.kind];
  if (!allocator)
    yield {
      path: '/policy/allocator/kind',
      message: `unknown allocator; known: ${Object.keys(allocators).join(', ')}`,
    };
  const invalidation = policies[policy.invalidation.kind];
  if (!invalidation)
    yield { path: '/policy/invalidation/kind', message: `unknown policy; known: ${Object.keys(policies).join(', ')}` };
  for (const [path, entry, given] of [
    ['/policy/allocator', allocator, policy.allocator],
    ['/policy/invalidation', invalidation, policy.invalidation],
  ] as const)
    for (const name of Object.keys(given))
      if (entry && !Object.hasOwn(entry.schema.properties as Plain, name))
        yield { path: `${path}/${name}`, message: `is no parameter of the kind ${entry.kind}` };
  if (allocator && invalidation?.needsCircular && !allocator.circular)
    yield {
      path: '/policy/invalidation/kind',
      message: `${policy.invalidation.kind} flushes when the allocator's cursor wraps; ${policy.allocator.kind} has none: use a bitmap`,
    };
}

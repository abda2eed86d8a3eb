/** The registry of protection modes: one line per mode. Listed in the catalog in this order. */
import type { ModeParameters, PolicySpec, ResolvedSpec } from '../../spec.ts';
import { bounce } from './bounce.ts';
import { direct } from './direct.ts';
import { emulated } from './emulated.ts';
import type { ModeEntry, Unused } from './mode.ts';
import { nested } from './nested.ts';
import { paravirtual } from './paravirtual.ts';
import { passthrough } from './passthrough.ts';
import { shadow } from './shadow.ts';
import { translate } from './translate.ts';

export const modes: Record<string, ModeEntry> = {
  translate,
  passthrough,
  bounce,
  shadow,
  direct,
  emulated,
  paravirtual,
  nested,
};

/** Members of the policy that have no effect under a mode, with the reason. */
export function unusedIn(mode: string): readonly Unused[] {
  return modes[mode]?.unused ?? [];
}

/** The parameters of the mode that is chosen, as the resolved spec has them. */
export function parametersOf({ policy }: { policy: PolicySpec }): Record<string, unknown> {
  return { ...policy[policy.mode as keyof ModeParameters] };
}

/** Fills in the parameters of the mode that is chosen, and of the pool for untrusted devices if any of it is given. */
export function fillParameters(policy: Record<string, unknown>): void {
  const entry = modes[String(policy.mode)];
  if (entry === undefined) return;
  const fill = (kind: string, defaults: Record<string, unknown>) => {
    policy[kind] = { ...defaults, ...(policy[kind] as object | undefined) };
  };
  if (Object.keys(entry.defaults).length > 0) fill(entry.kind, entry.defaults);
  if (entry.translates && policy.bounce !== undefined) fill('bounce', bounce.defaults);
}

/** What does not go together with a mode. */
export function* checkMode(spec: ResolvedSpec): Generator<{ path: string; message: string }> {
  const { policy, machine, iommu } = spec;
  const entry = modes[policy.mode];
  if (entry === undefined) {
    yield { path: '/policy/mode', message: `unknown mode; known: ${Object.keys(modes).join(', ')}` };
    return;
  }
  for (const { kind, defaults } of Object.values(modes)) {
    if (Object.keys(defaults).length === 0 || policy[kind as keyof ModeParameters] === undefined) continue;
    if (kind === entry.kind || (kind === 'bounce' && entry.translates)) continue;
    yield { path: `/policy/${kind}`, message: `parameters of the mode "${kind}"; the mode is "${entry.kind}"` };
  }
  if (policy.bounce !== undefined && policy.bounce.poolBytes + POOL_BASE_BYTES > machine.memoryBytes)
    yield {
      path: '/policy/bounce/poolBytes',
      message: `the machine has ${machine.memoryBytes} bytes of memory, of which a pool cannot have the first ${POOL_BASE_BYTES}`,
    };
  if (entry.kind === 'shadow' && policy.shadow !== undefined) {
    const { classBytes, poolBytes } = policy.shadow;
    if (classBytes.some((bytes, i) => i > 0 && bytes <= classBytes[i - 1]!))
      yield { path: '/policy/shadow/classBytes', message: 'must rise' };
    if (poolBytes < classBytes.at(-1)!)
      yield { path: '/policy/shadow/poolBytes', message: 'holds no buffer of the largest class' };
  }
  if (entry.kind === 'paravirtual' && iommu.invalidation.cachingMode)
    yield {
      path: '/iommu/invalidation/cachingMode',
      message: 'is of an emulated IOMMU: a paravirtual guest asks its host for each mapping',
    };
  if (entry.kind === 'nested') yield* checkNested(spec);
  if (entry.virtual && entry.translates && policy.invalidation.kind === 'delayed')
    yield {
      path: '/policy/invalidation/kind',
      message: `delayed posts its purges to the chip's registers, which a guest in the mode "${entry.kind}" does not have`,
    };
}

/** What the hardware of two stages does not have. */
function* checkNested({ iommu }: ResolvedSpec): Generator<{ path: string; message: string }> {
  if (iommu.levels === 3) yield { path: '/iommu/levels', message: FEW_LEVELS };
  if (iommu.invalidation.cachingMode)
    yield {
      path: '/iommu/invalidation/cachingMode',
      message: 'is of an emulated IOMMU: first-stage tables need no flush when something is mapped',
    };
  if (iommu.invalidation.interface === 'register')
    yield {
      path: '/iommu/invalidation/interface',
      message: 'an IOMMU with nested tables, in scalable mode, is invalidated through its queue alone',
    };
}

export const FEW_LEVELS = 'first-stage tables have 4 or 5 levels';

const POOL_BASE_BYTES = 2_097_152;

/**
 * What a session asks for and what is in force. Real systems put another policy in the place of the one that was asked for and say so,
 * if at all, in one line at boot: half of all questions "why is the network slow since the upgrade" end here. Which policy is replaced
 * when is declared by each policy (`downgrades` of its entry); this file applies the declarations, and gives reasons.
 *
 * Source: Linux `drivers/iommu/iommu.c` and `drivers/iommu/dma-iommu.c` (domain types, the untrusted rule, `IOMMU_CAP_DEFERRED_FLUSH`),
 * `drivers/iommu/intel/iommu.c` (no batching under caching mode).
 */
import { policies } from '../os/invalidation/index.ts';
import type { DowngradeCause, PolicyEntry } from '../os/invalidation/policy.ts';
import { modes } from '../os/mode/index.ts';
import type { InvalidationSpec, PolicySpec, ResolvedSpec } from '../spec.ts';
import type { Warning } from './command-line.ts';
import { requestsOf } from './members.ts';

/** What `/sys/kernel/iommu_groups/N/type` says. */
export type DomainType = 'DMA' | 'DMA-FQ' | 'identity';

export type WhyCode =
  | 'command-line'
  | 'caching-mode'
  | 'no-deferred-flush'
  | 'untrusted'
  | 'forced'
  | 'single-queue'
  | 'not-translated';

export interface Why {
  code: WhyCode;
  /** JSON Pointer of the spec's member that it explains. */
  member: string;
  detail: string;
}

export interface Effective {
  policy: PolicySpec;
  /** In force in a domain with an untrusted device. */
  untrusted: InvalidationSpec;
  why: Why[];
  /** Why a domain with an untrusted device has what it has; null when it is like the others. */
  whyUntrusted: Why | null;
}

const MEMBER = '/policy/invalidation/kind';

/** What holds when a cause does, as the reasons say it. */
const circumstances: Record<DowngradeCause, string> = {
  'caching-mode': 'the IOMMU is in caching mode',
  'no-deferred-flush': 'the IOMMU driver lacks the capability of deferred flushes',
  untrusted: 'a device of the domain is untrusted',
};

export function domainTypeOf(mode: string, invalidation: InvalidationSpec): DomainType {
  if (modes[mode]!.direct) return 'identity';
  return policies[invalidation.kind]!.lazy ? 'DMA-FQ' : 'DMA';
}

/** Whether new mappings are cached as absent: so the spec says, or the IOMMU is one that a hypervisor emulates. */
export function inCachingMode({ iommu, policy }: ResolvedSpec): boolean {
  return iommu.invalidation.cachingMode || modes[policy.mode]!.cachingMode;
}

export function effectivePolicy(spec: ResolvedSpec): Effective {
  const { iommu, policy } = spec;
  const why: Why[] = [];
  const { translates, direct, unused } = modes[policy.mode]!;
  if (!translates) {
    for (const { path, why: reason } of unused)
      why.push({ code: 'not-translated', member: path, detail: `lies idle in ${policy.mode}: ${reason}` });
    const detail = `a device is untrusted, which Linux translates whatever else is asked for; here ${policy.mode} is the mode of all, and nothing holds that device back`;
    const whyUntrusted: Why | null = direct ? { code: 'not-translated', member: '/policy/mode', detail } : null;
    return { policy, untrusted: policy.invalidation, why, whyUntrusted };
  }
  const causes: DowngradeCause[] = [];
  if (inCachingMode(spec)) causes.push('caching-mode');
  if (!iommu.deferredFlush) causes.push('no-deferred-flush');

  let { invalidation } = policy;
  for (const cause of causes) {
    const settled = settle(invalidation, cause, policy.force);
    if (settled === null) continue;
    why.push(settled.why);
    invalidation = settled.invalidation;
  }
  const settled = settle(invalidation, 'untrusted', policy.force);
  if (invalidation.kind === 'flush-queue' && invalidation.single === true)
    why.push({
      code: 'single-queue',
      member: '/policy/invalidation/single',
      detail: 'one queue for all CPUs and one second: what Linux gives to guests whose every flush is an exit',
    });
  return {
    policy: { ...policy, invalidation },
    untrusted: settled?.invalidation ?? invalidation,
    why,
    whyUntrusted: settled?.why ?? null,
  };
}

/** What a cause makes of a policy, and the words for it; null when the policy does not mind. */
function settle(
  invalidation: InvalidationSpec,
  cause: DowngradeCause,
  force: boolean,
): { invalidation: InvalidationSpec; why: Why } | null {
  const entry: PolicyEntry = policies[invalidation.kind]!;
  const downgrade = entry.downgrades[cause];
  const circumstance = circumstances[cause];
  if (downgrade.to === null) {
    // What a policy does instead is worth a word only where it does something.
    if (downgrade.instead === undefined) return null;
    const detail = `${circumstance}: ${entry.kind} stays, and ${downgrade.instead}`;
    return { invalidation, why: { code: cause, member: MEMBER, detail } };
  }
  if (force) {
    const detail = `${circumstance}, and ${entry.kind} is kept all the same because policy.force is true`;
    return { invalidation, why: { code: 'forced', member: MEMBER, detail } };
  }
  const detail = `${circumstance}: ${downgrade.to} instead of ${entry.kind}, ${downgrade.why}`;
  return {
    invalidation: policies[downgrade.to]!.defaults as InvalidationSpec,
    why: { code: cause, member: MEMBER, detail },
  };
}

/** What of the policy acts, as the digest has it: how it was asked for does not. */
export function actingPolicy({ policy, untrusted }: Effective): Record<string, unknown> {
  const { force: _force, forcedac, ...acting } = policy;
  return {
    ...acting,
    ...(forcedac && { forcedac }),
    // With `force` a domain of an untrusted device keeps a policy that it would lose otherwise.
    ...(untrusted.kind === policy.invalidation.kind &&
      policies[untrusted.kind]!.downgrades.untrusted.to !== null && { untrusted: untrusted.kind }),
  };
}

export interface PolicyReport {
  requested: PolicySpec & { domainType: DomainType };
  effective: PolicySpec & { domainType: DomainType };
  why: Why[];
  warnings: Warning[];
}

export function policyReport(spec: ResolvedSpec, effective: Effective): PolicyReport {
  const { wishes, warnings } = requestsOf(spec.kernelCommandLine, spec.policy);
  const asked: Why[] = [];
  for (const wish of wishes) {
    const { member, option, detail } = wish;
    if (wish.fulfilled(spec)) asked.push({ code: 'command-line', member, detail: `${option}: ${detail}` });
    else
      warnings.push({
        code: 'member-wins',
        option,
        member,
        detail: 'the spec says otherwise, and a member of the spec wins over the command line',
      });
  }
  const withType = (policy: PolicySpec) => ({ ...policy, domainType: domainTypeOf(policy.mode, policy.invalidation) });
  return {
    requested: withType(spec.policy),
    effective: withType(effective.policy),
    why: [...asked, ...effective.why],
    warnings,
  };
}

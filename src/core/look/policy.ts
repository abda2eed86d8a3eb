/** The policy in force, as replies have it: of the session, and of a domain where that differs. */
import { domainTypeOf, policyReport, type Why } from '../boot/effective-policy.ts';
import type { Domain } from '../os/domain.ts';
import type { Simulator } from '../simulator.ts';

/** Domains that are named at most; each domain says it of itself too. */
const DOMAINS_SHOWN = 100;

export interface DomainPolicy extends Record<string, unknown> {
  why: Why[];
}

export function domainPolicy(simulator: Simulator, domain: Domain): DomainPolicy {
  const { policy, untrusted, whyUntrusted } = simulator.effective;
  const differs = domain.policyEntry !== simulator.policyEntry;
  const invalidation = differs ? untrusted : policy.invalidation;
  return {
    domainType: domainTypeOf(policy.mode, invalidation),
    mode: policy.mode,
    invalidation,
    why: whyUntrusted !== null && (differs || hasUntrusted(simulator, domain)) ? [whyUntrusted] : [],
  };
}

function hasUntrusted(simulator: Simulator, domain: Domain): boolean {
  for (const device of simulator.devices.all()) if (device.untrusted && device.domain === domain) return true;
  return false;
}

export function sessionPolicy(simulator: Simulator): Record<string, unknown> {
  const { effective, spec } = simulator;
  const { why, ...report } = policyReport(spec, effective);
  const domains: Record<string, unknown>[] = [];
  let untrusted = false;
  for (const device of simulator.devices.all()) untrusted ||= device.untrusted;
  for (const domain of simulator.domainNames.all()) {
    if (domain.policyEntry === simulator.policyEntry) continue;
    untrusted = true;
    if (domains.length < DOMAINS_SHOWN) domains.push({ domain: domain.id, ...domainPolicy(simulator, domain) });
  }
  const { whyUntrusted } = effective;
  return { ...report, why: untrusted && whyUntrusted !== null ? [...why, whyUntrusted] : why, domains };
}

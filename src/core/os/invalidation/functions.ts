/** What every unmap asks of a policy, as a function of this one, in a field of one shape: see `AllocatorFunctions`. */
import type { InvalidationPolicy } from './policy.ts';

export class PolicyFunctions {
  /** Whose. */
  declare readonly policy: InvalidationPolicy;
  declare readonly unmapped: InvalidationPolicy['unmapped'];

  constructor(policy: InvalidationPolicy) {
    this.policy = policy;
    this.unmapped = policy.unmapped.bind(policy);
  }
}

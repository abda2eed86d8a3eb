/** What the sessions and traces of each owner may take: the most that any of its tokens says which is good. */
import type { OwnerQuotas } from '../host/quotas.ts';
import type { OwnerBounds } from '../trace/archive/room.ts';
import { type AccessLimits, limitsOver, moreGenerous, QUOTA_NAMES } from './limits.ts';
import type { AccessStore, TokenRecord } from './store.ts';

/** A token that expires is noticed after so long. */
const KEPT_MS = 1000;

export interface OwnerQuotaParts {
  store: Pick<AccessStore, 'tokens' | 'revision'>;
  /** Where no token says otherwise. */
  base: Readonly<AccessLimits>;
  isGood(token: TokenRecord): boolean;
}

export class QuotasOfOwners {
  private readonly parts: OwnerQuotaParts;
  private known = new Map<string, OwnerQuotas & OwnerBounds>();
  private revision = -1;
  private readMs = 0;

  constructor(parts: OwnerQuotaParts) {
    this.parts = parts;
  }

  /** Asked often, and for many: the tokens are gone through once a second. */
  of(owner: string): OwnerQuotas & OwnerBounds {
    const { store, base } = this.parts;
    const now = performance.now();
    if (this.revision !== store.revision || now - this.readMs >= KEPT_MS) {
      this.known = this.read();
      this.revision = store.revision;
      this.readMs = now;
    }
    return this.known.get(owner) ?? base;
  }

  private read(): Map<string, OwnerQuotas & OwnerBounds> {
    const { store, base, isGood } = this.parts;
    const quotas = new Map<string, OwnerQuotas & OwnerBounds>();
    for (const token of store.tokens()) {
      if (!isGood(token)) continue;
      const own = limitsOver(base, token.limits);
      const known = quotas.get(token.principal);
      if (known === undefined) quotas.set(token.principal, own);
      else for (const name of QUOTA_NAMES) known[name] = moreGenerous(known[name], own[name]);
    }
    return quotas;
  }
}

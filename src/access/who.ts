/** Who a request comes from, once that is known. */
import type { AccessLimits } from './limits.ts';
import type { Scope } from './scopes.ts';

export interface Who {
  /** `local`: anybody, on a server without tokens. */
  readonly kind: 'local' | 'token' | 'link';
  /** Empty for a link, which acts for nobody. */
  readonly principal: string;
  /** What is counted together: the principal, or the one link. */
  readonly subject: string;
  readonly scope: Scope;
  /** Id of the token or link. */
  readonly credential: string | null;
  /** What people call the token. */
  readonly name: string | null;
  /** Id of the only session that it opens; null: those of the principal, and what is shared with it. */
  readonly session: string | null;
  readonly expiresMs: number | null;
  readonly limits: Readonly<AccessLimits>;
  /** The rate at which it may ask is its own and not the principal's. */
  readonly rateSubject: string;
}

/** What a credential is good for: each scope includes the one before. */
export const SCOPES = ['read', 'write', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

export function includes(held: Scope, needed: Scope): boolean {
  return SCOPES.indexOf(held) >= SCOPES.indexOf(needed);
}

/** Who tokens act for: a person, a team, a job. */
export const PRINCIPAL_FORM = /^[A-Za-z][A-Za-z0-9._@-]{0,63}$/;
/** What people call a token. */
export const TOKEN_NAME_FORM = /^[A-Za-z0-9][A-Za-z0-9 ._@:/-]{0,63}$/;

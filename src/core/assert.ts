/** A broken invariant is a bug of ours: the host sets that one session aside. Never used for anything a user can cause. */
export class InvariantError extends Error {
  override name = 'InvariantError';
}

export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new InvariantError(what);
}

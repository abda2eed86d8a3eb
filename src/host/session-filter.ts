/** What a list of sessions may be narrowed to. Cursors are places in the whole list, so that they stay right under any filter. */
import { type Entry, stateOf } from './entry.ts';
import type { SessionState } from './host.ts';

export interface SessionFilter {
  /** A name, or the beginning of one and `*`. */
  name?: string;
  state?: SessionState;
  /** Of the policy as it was asked for. */
  mode?: string;
  allocator?: string;
  invalidation?: string;
  /** Instants, themselves left out. */
  createdAfter?: string;
  createdBefore?: string;
}

type Matcher = (entry: Entry) => boolean;

interface Policy {
  mode?: string;
  allocator?: { kind?: string };
  invalidation?: { kind?: string };
}

const policyOf = ({ spec }: Entry): Policy => (spec.policy ?? {}) as Policy;

/** How each member narrows the list. */
const MATCHERS: { [Name in keyof SessionFilter]-?: (value: NonNullable<SessionFilter[Name]>) => Matcher } = {
  name: (pattern) => {
    if (!pattern.endsWith('*')) return ({ name }) => name === pattern;
    const beginning = pattern.slice(0, -1);
    return ({ name }) => name?.startsWith(beginning) === true;
  },
  state: (state) => (entry) => stateOf(entry) === state,
  mode: (mode) => (entry) => policyOf(entry).mode === mode,
  allocator: (kind) => (entry) => policyOf(entry).allocator?.kind === kind,
  invalidation: (kind) => (entry) => policyOf(entry).invalidation?.kind === kind,
  createdAfter: (instant) => {
    const ms = Date.parse(instant);
    return ({ createdAt }) => Date.parse(createdAt) > ms;
  },
  createdBefore: (instant) => {
    const ms = Date.parse(instant);
    return ({ createdAt }) => Date.parse(createdAt) < ms;
  },
};

export const FILTER_NAMES = Object.keys(MATCHERS) as (keyof SessionFilter)[];

/** Whether a session is on the list that is asked for. */
export function matcherOf(filter: SessionFilter): Matcher {
  const matchers: Matcher[] = [];
  for (const name of FILTER_NAMES) {
    const value = filter[name];
    if (value !== undefined) matchers.push((MATCHERS[name] as (given: string) => Matcher)(value));
  }
  return (entry) => matchers.every((matches) => matches(entry));
}

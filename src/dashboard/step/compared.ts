/** What differs between two looks. Pure. */

export type Change = 'new' | 'gone' | 'changed' | 'same';

export interface Compared<Thing> {
  thing: Thing;
  change: Change;
}

/** By key: what is there now, in its order, then what is gone. */
export function compared<Thing>(
  before: readonly Thing[] | undefined,
  now: readonly Thing[],
  keyOf: (thing: Thing) => string,
): Compared<Thing>[] {
  const known = new Map((before ?? []).map((thing) => [keyOf(thing), thing]));
  const out: Compared<Thing>[] = now.map((thing) => {
    const key = keyOf(thing);
    const was = known.get(key);
    known.delete(key);
    if (before === undefined) return { thing, change: 'same' };
    if (was === undefined) return { thing, change: 'new' };
    return { thing, change: JSON.stringify(was) === JSON.stringify(thing) ? 'same' : 'changed' };
  });
  for (const thing of known.values()) out.push({ thing, change: 'gone' });
  return out;
}

export interface Member {
  name: string;
  before: string;
  now: string;
  change: Change;
}

/** Members that are text, numbers or truth, at whatever depth: `flush.entries`. */
export function membersOf(
  before: object | null | undefined,
  now: object | null,
  skip: readonly string[] = [],
): Member[] {
  const [was, is] = [flat(before ?? {}, skip), flat(now ?? {}, skip)];
  return [...new Set([...is.keys(), ...was.keys()])].map((name) => {
    const [old, fresh] = [was.get(name), is.get(name)];
    const change: Change =
      before === null || before === undefined
        ? 'same'
        : old === undefined
          ? 'new'
          : fresh === undefined
            ? 'gone'
            : old === fresh
              ? 'same'
              : 'changed';
    return { name, before: old ?? '', now: fresh ?? '', change };
  });
}

function flat(document: object, skip: readonly string[], prefix = ''): Map<string, string> {
  const out = new Map<string, string>();
  for (const [name, value] of Object.entries(document)) {
    if (skip.includes(name)) continue;
    if (Array.isArray(value)) continue;
    if (typeof value === 'object' && value !== null)
      for (const [inner, text] of flat(value, skip, `${prefix}${name}.`)) out.set(inner, text);
    else out.set(prefix + name, value === null ? 'none' : String(value));
  }
  return out;
}

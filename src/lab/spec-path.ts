/**
 * Members of a spec by dotted path: `policy.invalidation.kind`, `workloads.rx.frameBytes`. What is put there merges into a spec as people
 * send it, by the rule of specs: objects merge, lists replace, an object of another `kind` keeps nothing of the one that it replaces.
 *
 * What an object's kind is may stand in the preset, in the defaults, or follow from the kernel command line; so a member is put beside
 * all that is said (`mergedSpec`), and into what was sent.
 */
import { mergedSpec } from '../core/index.ts';
import type { Plain } from './experiment.ts';

/** Lists whose elements have names. */
const NAMED_LISTS: ReadonlySet<string> = new Set(['workloads', 'devices', 'domains', 'tenants']);
/** What an element of such a list is beside its kind, and stays when it becomes another. */
const KEPT_WITH_KIND = ['name', 'device', 'domain', 'tenant', 'cpus'];

/** A path that leads nowhere. */
export class PathError extends Error {
  override name = 'PathError';
}

export function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @throws PathError */
export function partsOf(path: string): string[] {
  const parts = path.split('.');
  if (parts.some((part) => part === '')) throw new PathError(`"${path}" has an empty part`);
  if (parts.includes('__proto__')) throw new PathError('no member has that name');
  return parts;
}

/** As a JSON Pointer into the spec; an element of a named list by its number, as validators say it. */
export function pointerOf(path: string, spec: Plain): string {
  const parts = partsOf(path);
  const [list, element] = parts;
  if (element !== undefined && NAMED_LISTS.has(list!)) {
    const elements = spec[list!];
    const index = Array.isArray(elements) ? indexOf(elements, element) : -1;
    if (index >= 0) parts[1] = String(index);
  }
  return `/${parts.map(escapeStep).join('/')}`;
}

export function escapeStep(step: string): string {
  return step.replaceAll('~', '~0').replaceAll('/', '~1');
}

function indexOf(elements: unknown[], element: string): number {
  const named = elements.findIndex((each) => isPlain(each) && each.name === element);
  if (named >= 0) return named;
  return /^\d{1,4}$/.test(element) && Number(element) < elements.length ? Number(element) : -1;
}

/**
 * @param spec as people send it; stays as it is
 * @param members dotted path -> value; no path leads into another
 * @param failed told of each path that leads nowhere
 */
export function withMembers(spec: Plain, members: Plain, failed: (path: string, message: string) => void): Plain {
  const out = structuredClone(spec);
  const paths = Object.keys(members).filter((path) => !path.includes('.'));
  // A list or a preset that is put there whole is what the paths into it lead into; then from the top down, kinds before what is theirs.
  for (const path of paths) put(path);
  const deeper = Object.keys(members).filter((path) => path.includes('.'));
  const rank = (path: string) => partCount(path) * 2 - (path.endsWith('.kind') ? 1 : 0);
  const merged = deeper.length === 0 ? out : allOf(out);
  for (const path of deeper.sort((a, b) => rank(a) - rank(b))) put(path, merged);
  return out;

  function put(path: string, known: Plain = allOf(out)): void {
    try {
      putOne(out, known, partsOf(path), members[path]);
    } catch (error) {
      if (!(error instanceof PathError)) throw error;
      failed(path, error.message);
    }
  }
}

/** All that it amounts to; nothing, where it is so wrong that this cannot be told, as whoever checks it will say. */
function allOf(spec: Plain): Plain {
  try {
    return mergedSpec(spec);
  } catch {
    return {};
  }
}

function partCount(path: string): number {
  return path.split('.').length;
}

/** Merges `over` into a spec as people send it. */
export function overlaid(spec: Plain, over: Plain): Plain {
  const { preset, ...members } = over;
  const out = structuredClone(spec);
  // Of another preset nothing stays but what was said beside it.
  if (preset !== undefined) out.preset = preset;
  mergeInto(out, members, allOf(out));
  return out;
}

function putOne(spec: Plain, merged: Plain, parts: readonly string[], value: unknown): void {
  let here = spec;
  let known: unknown = merged;
  let element = false;
  for (const [i, part] of parts.slice(0, -1).entries()) {
    element = false;
    const below: unknown = isPlain(known) ? known[part] : undefined;
    if (i === 0 && NAMED_LISTS.has(part)) {
      if (!Array.isArray(here[part])) here[part] = structuredClone(below ?? []);
      continue;
    }
    if (i === 1 && NAMED_LISTS.has(parts[0]!)) {
      here = elementOf(spec, parts[0]!, part);
      known = here;
      element = true;
      continue;
    }
    if (Array.isArray(below)) throw new PathError(`${parts.slice(0, i + 1).join('.')} is a list, which is set whole`);
    if (!isPlain(here[part])) {
      if (here[part] !== undefined || (below !== undefined && !isPlain(below)))
        throw new PathError(`${parts.slice(0, i + 1).join('.')} has no members`);
      here[part] = {};
    }
    here = here[part] as Plain;
    known = below;
  }
  const last = parts.at(-1)!;
  if (parts.length === 2 && NAMED_LISTS.has(parts[0]!)) {
    const whole = elementOf(spec, parts[0]!, last);
    if (!isPlain(value)) throw new PathError('takes an object');
    if (value.kind !== undefined && value.kind !== whole.kind) clearKind(whole, true);
    mergeInto(whole, value, whole);
    return;
  }
  if (last === 'kind' && isPlain(known) && known.kind !== value) clearKind(here, element);
  mergeInto(here, { [last]: value }, isPlain(known) ? known : {});
}

function elementOf(spec: Plain, list: string, element: string): Plain {
  const elements = spec[list] ?? [];
  if (!Array.isArray(elements)) throw new PathError(`${list} is no list`);
  const found: unknown = elements[indexOf(elements, element)];
  if (isPlain(found)) return found;
  const names = elements.map((each, i) => (isPlain(each) && typeof each.name === 'string' ? each.name : String(i)));
  const known = names.length === 0 ? 'there is none' : `there are ${names.join(', ')}`;
  throw new PathError(`none of the ${list} is called or counted "${element}"; ${known}`);
}

function clearKind(object: Plain, element: boolean): void {
  for (const member of Object.keys(object)) if (!(element && KEPT_WITH_KIND.includes(member))) delete object[member];
}

/** @param known what `into` amounts to, with all that it leaves to others to say */
function mergeInto(into: Plain, over: Plain, known: Plain): void {
  for (const [member, value] of Object.entries(over)) {
    const old = known[member];
    if (!isPlain(value) || !isPlain(old)) {
      into[member] = structuredClone(value);
      continue;
    }
    const own = into[member];
    const otherKind = 'kind' in value && value.kind !== old.kind;
    const below: Plain = isPlain(own) && !otherKind ? own : {};
    into[member] = below;
    mergeInto(below, value, otherKind ? {} : old);
  }
}

/** Which sessions there are, in the order of their creation, and under which names. */
import type { Entry } from './entry.ts';
import type { HostProblem } from './host.ts';
import { hasIdForm, LOCAL_OWNER, nameKey } from './ids.ts';
import { nameHasIdForm, nameTaken } from './problems.ts';

const KEPT_MS = 86_400_000;

export class Registry {
  /** By id, in the order of their numbers. */
  readonly entries = new Map<string, Entry>();
  /** Built, and not yet kept: they have frames, and nobody may find them. */
  private readonly unborn = new Map<string, Entry>();
  /** `nameKey` of owner and name -> id; null while the session is under construction. */
  private readonly names = new Map<string, string | null>();
  /** `Idempotency-Key` -> the session that was created under it. */
  private readonly made = new Map<string, Entry>();
  /** Owner -> sessions. */
  private readonly counts = new Map<string, number>();
  private lastNumber = 0;
  private lastAdded = 0;

  nextNumber(): number {
    return ++this.lastNumber;
  }

  get size(): number {
    return this.entries.size;
  }

  values(): IterableIterator<Entry> {
    return this.entries.values();
  }

  /** @param session id, or name of one of `owner`'s */
  find(session: string, owner: string = LOCAL_OWNER): Entry | undefined {
    return this.entries.get(session) ?? this.entries.get(this.names.get(nameKey(owner, session)) ?? '');
  }

  /** How many sessions someone owns. */
  countOf(owner: string): number {
    return this.counts.get(owner) ?? 0;
  }

  /** The session that was created under this `Idempotency-Key`, if it is not too long ago. */
  madeUnder(key: string): Entry | undefined {
    const entry = this.made.get(key);
    return entry !== undefined && Date.now() - Date.parse(entry.createdAt) <= KEPT_MS ? entry : undefined;
  }

  /** By id; sessions that are about to be count. */
  entryOf(id: string): Entry | undefined {
    return this.entries.get(id) ?? this.unborn.get(id);
  }

  /** Why `name` cannot be the name of session `own` of `owner`, or of a new one, or null. */
  refuseName(name: string | undefined, own: string | null, owner: string): HostProblem | null {
    if (name === undefined) return null;
    if (hasIdForm(name)) return nameHasIdForm(name);
    const holder = this.names.get(nameKey(owner, name));
    return holder === undefined || (own !== null && holder === own) ? null : nameTaken(name);
  }

  /** Nobody else may have it from now on. @param id of its session, or null while that is under construction */
  takeName(owner: string, name: string | undefined, id: string | null): void {
    if (name !== undefined) this.names.set(nameKey(owner, name), id);
  }

  releaseName(owner: string, name: string | undefined): void {
    if (name !== undefined) this.names.delete(nameKey(owner, name));
  }

  conceive(entry: Entry): void {
    this.unborn.set(entry.id, entry);
  }

  /** From now on it can be found. */
  add(entry: Entry): void {
    this.unborn.delete(entry.id);
    this.lastNumber = Math.max(this.lastNumber, entry.number);
    this.entries.set(entry.id, entry);
    this.takeName(entry.owner, entry.name, entry.id);
    this.count(entry.owner, 1);
    if (entry.made !== null) this.made.set(entry.made.key, entry);
    // Of two that were kept at the same time, the later may be the first.
    if (entry.number < this.lastAdded) this.sort();
    this.lastAdded = Math.max(this.lastAdded, entry.number);
  }

  /** Its name stays taken until it is released. */
  remove(id: string): void {
    this.unborn.delete(id);
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    if (entry.made !== null) this.made.delete(entry.made.key);
    this.count(entry.owner, -1);
    this.entries.delete(id);
  }

  private count(owner: string, by: number): void {
    const count = this.countOf(owner) + by;
    if (count === 0) this.counts.delete(owner);
    else this.counts.set(owner, count);
  }

  private sort(): void {
    const entries = [...this.entries.values()].sort((one, other) => one.number - other.number);
    this.entries.clear();
    for (const entry of entries) this.entries.set(entry.id, entry);
  }

  /** Up to `limit` sessions with numbers above `after` that are shown, and whether there are more. */
  page(after: number, limit: number, shows: (entry: Entry) => boolean): { entries: Entry[]; more: boolean } {
    const entries: Entry[] = [];
    for (const entry of this.entries.values()) {
      if (entry.number <= after || !shows(entry)) continue;
      if (entries.length === limit) return { entries, more: true };
      entries.push(entry);
    }
    return { entries, more: false };
  }
}

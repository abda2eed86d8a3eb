/** The traces of a server: found by id, by name and by the key that made them, written down in the store, counted for each owner. */
import { nameKey } from '../../host/ids.ts';
import type { KeyMark } from '../../host/retry.ts';
import type { TraceFacts, TraceOutcome, TraceStore } from '../store.ts';
import type { TraceProblem } from '../trace.ts';
import { type Entry, entryOf, storedBytesOf } from './entry.ts';

export class Register {
  private readonly store: TraceStore;
  /** By id, in the order of their numbers. */
  private readonly known = new Map<string, Entry>();
  private readonly names = new Map<string, string>();
  private readonly madeUnder = new Map<string, string>();
  private lastNumber = 0;

  /** @param store closed with it */
  constructor(store: TraceStore) {
    this.store = store;
    for (const facts of store.facts()) {
      this.lastNumber = facts.number;
      this.remember(facts);
    }
  }

  private remember(facts: TraceFacts): Entry {
    const entry = entryOf(facts);
    this.known.set(facts.id, entry);
    const { name } = facts.input;
    if (name !== undefined) this.names.set(nameKey(facts.owner, name), facts.id);
    if (facts.made !== null) this.madeUnder.set(facts.made.key, facts.id);
    return entry;
  }

  /** @throws what the store says; it is not known then */
  add(facts: Omit<TraceFacts, 'number'>): Entry {
    const numbered = { number: this.lastNumber + 1, ...facts };
    this.store.add(numbered);
    this.lastNumber = numbered.number;
    return this.remember(numbered);
  }

  /** @throws what the store says */
  update(facts: TraceFacts): void {
    this.store.update(facts);
  }

  /** @param facts of the entry, as they are to be. @throws what the store says; nothing has changed then */
  end(entry: Entry, facts: TraceFacts, problem: TraceProblem | null): void {
    const { reading, devices } = entry;
    this.store.end(facts, { reading, devices, problem });
    Object.assign(entry.facts, facts);
  }

  /** What came of reading it, or has come so far. */
  outcomeOf(entry: Entry): TraceOutcome {
    const { facts, reading, devices } = entry;
    const ended = facts.state === 'ready' || facts.state === 'failed';
    return (ended ? this.store.outcome(facts.number) : null) ?? { reading, devices, problem: entry.problem };
  }

  /** @throws what the store says; it is known still then */
  remove(entry: Entry): void {
    const { facts } = entry;
    this.store.remove(facts.number);
    entry.gone = true;
    this.known.delete(facts.id);
    if (facts.input.name !== undefined) this.names.delete(nameKey(facts.owner, facts.input.name));
    if (facts.made !== null) this.madeUnder.delete(facts.made.key);
  }

  close(): void {
    this.store.close();
  }

  /** All, in the order in which they were made. */
  entries(): Iterable<Entry> {
    return this.known.values();
  }

  get size(): number {
    return this.known.size;
  }

  byId(id: string): Entry | undefined {
    return this.known.get(id);
  }

  /** That an earlier request with this key made. */
  madeBy({ key }: KeyMark): Entry | undefined {
    return this.known.get(this.madeUnder.get(key) ?? '');
  }

  isNameTaken(owner: string, name: string): boolean {
    return this.names.has(nameKey(owner, name));
  }

  /** @param trace id, or the owner's name for it. @returns its id */
  resolve(trace: string, owner: string): string | null {
    if (this.known.has(trace)) return trace;
    return this.names.get(nameKey(owner, trace)) ?? null;
  }

  countOf(owner: string): number {
    let count = 0;
    for (const { facts } of this.known.values()) if (facts.owner === owner) count++;
    return count;
  }

  /** On the disk. A tape that two share counts for each: each would have it alone. */
  storedOf(owner: string): number {
    let bytes = 0;
    for (const entry of this.known.values()) if (entry.facts.owner === owner) bytes += storedBytesOf(entry);
    return bytes;
  }

  get storedBytes(): number {
    let bytes = 0;
    for (const entry of this.known.values()) bytes += storedBytesOf(entry);
    return bytes;
  }
}

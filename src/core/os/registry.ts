/** Things with an id of the form `dev_3` and perhaps a name, kept in the order in which they were made. */

export interface Registered {
  readonly index: number;
  readonly name: string | null;
}

export class Registry<Thing extends Registered> {
  private readonly prefix: string;
  private readonly live = new Map<number, Thing>();
  private readonly names = new Map<string, number>();
  next = 0;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  get size(): number {
    return this.live.size;
  }

  add(thing: Thing): void {
    this.live.set(thing.index, thing);
    this.next = Math.max(this.next, thing.index + 1);
    if (thing.name !== null) this.names.set(thing.name, thing.index);
  }

  remove(thing: Thing): void {
    this.live.delete(thing.index);
    if (thing.name !== null) this.names.delete(thing.name);
  }

  hasName(name: string): boolean {
    return this.names.has(name);
  }

  idOf(thing: Thing): string {
    return `${this.prefix}${thing.index}`;
  }

  at(index: number): Thing | undefined {
    return this.live.get(index);
  }

  /** By id or name. */
  find(reference: string): Thing | undefined {
    const named = this.names.get(reference);
    if (named !== undefined) return this.live.get(named);
    if (!reference.startsWith(this.prefix)) return undefined;
    const index = Number(reference.slice(this.prefix.length));
    return `${this.prefix}${index}` === reference ? this.live.get(index) : undefined;
  }

  all(): IterableIterator<Thing> {
    return this.live.values();
  }
}

/** One level of a paging-structure cache as a list, least recently used first. */

export interface CachedTable<Table> {
  domain: number;
  first: number;
  table: Table;
}

export class NaiveWalkCache<Table> {
  private order: CachedTable<Table>[] = [];
  readonly capacity: number;
  readonly span: number;

  /** @param span pages that one entry stands for */
  constructor(capacity: number, span: number) {
    this.capacity = capacity;
    this.span = span;
  }

  get entries(): readonly CachedTable<Table>[] {
    return this.order;
  }

  lookup(domain: number, page: number): CachedTable<Table> | null {
    const found = this.order.find(
      (each) => each.domain === domain && each.first <= page && page < each.first + this.span,
    );
    if (!found) return null;
    this.order = [...this.order.filter((each) => each !== found), found];
    return found;
  }

  fill(domain: number, page: number, table: Table): void {
    if (this.capacity === 0) return;
    const first = Math.floor(page / this.span) * this.span;
    this.order = this.order.filter((each) => each.domain !== domain || each.first !== first);
    if (this.order.length === this.capacity) this.order.shift();
    this.order.push({ domain, first, table });
  }

  invalidate(domain: number, first: number, last: number): void {
    this.order = this.order.filter(
      (each) => (domain >= 0 && each.domain !== domain) || each.first > last || each.first + this.span - 1 < first,
    );
  }
}

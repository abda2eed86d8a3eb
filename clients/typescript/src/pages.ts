/** A list of the API: one page when awaited, every item of all pages when iterated over. Nothing is asked for before that. */

export class Pages<Page, Item> implements PromiseLike<Page>, AsyncIterable<Item> {
  private readonly items: string;
  private readonly ask: (cursor: string | undefined) => Promise<Page>;

  /** @param ask for the page that begins at a cursor; undefined is where the caller's own options begin */
  constructor(items: string, ask: (cursor: string | undefined) => Promise<Page>) {
    this.items = items;
    this.ask = ask;
  }

  // biome-ignore lint/suspicious/noThenProperty: this is what makes a list one that can be awaited.
  then<A = Page, B = never>(
    fulfilled?: ((page: Page) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.ask(undefined).then(fulfilled, rejected);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    let cursor: string | undefined;
    do {
      const page = (await this.ask(cursor)) as Record<string, unknown>;
      yield* (page[this.items] ?? []) as Item[];
      cursor = page.nextCursor as string | undefined;
    } while (cursor !== undefined);
  }

  /** All items of all pages. */
  async all(): Promise<Item[]> {
    const items: Item[] = [];
    for await (const item of this) items.push(item);
    return items;
  }
}

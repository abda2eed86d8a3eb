/** Charts of single counters, as many as somebody wants: what only grows as a rate, all else as it is. */
import type { Metrics } from '../../api/contract-types.ts';
import { Feed } from '../parts/feed.ts';

type Numbers = Record<string, number>;

export class CounterFeeds {
  private readonly feeds = new Map<string, Feed>();
  private before: { timeNs: number; counters: Numbers } | null = null;

  of(name: string): Feed {
    let feed = this.feeds.get(name);
    if (feed === undefined) {
      feed = new Feed(1);
      this.feeds.set(name, feed);
    }
    return feed;
  }

  take({ timeNs = 0, counters = {}, counts = {} }: Metrics): void {
    const { before } = this;
    const now = counters as Numbers;
    if (this.feeds.size === 0) {
      this.before = { timeNs, counters: now };
      return;
    }
    const lengthNs = before === null ? 0 : timeNs - before.timeNs;
    for (const [name, feed] of this.feeds) {
      const value = now[name] ?? Number.NaN;
      if (!(name in counts)) feed.add(timeNs / 1e9, [value]);
      else if (before !== null && lengthNs > 0)
        feed.add(timeNs / 1e9, [((value - (before.counters[name] ?? 0)) / lengthNs) * 1e9]);
    }
    if (lengthNs !== 0 || before === null) this.before = { timeNs, counters: now };
  }

  clear(): void {
    this.before = null;
    for (const feed of this.feeds.values()) feed.clear();
  }
}

/** Whether a counter only grows, so that its rate is what is worth drawing. */
export function onlyGrows(name: string, { counts = {} }: Metrics): boolean {
  return name in counts;
}

/** Of the address: `?charts=nodesVisited,liveMappings`. */
export function chartsOf(query: Readonly<Record<string, string>>): string[] {
  return [...new Set((query.charts ?? '').split(',').filter((name) => /^[A-Za-z][A-Za-z0-9]*$/.test(name)))];
}

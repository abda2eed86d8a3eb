/**
 * Two stages of tables as sets of what exists, and the walk over both as one recursion. Where the pages of the first stage's tables
 * lie is told to it, as memory is; what a walk finds, reads and caches it works out by itself.
 */
import { NaiveWalkCache } from './walk-cache.ts';

const SPAN = [0, 1, 512, 512 ** 2, 512 ** 3];
const LEVELS = 4;

export interface Found {
  /** Machine frame, or the fault reason. */
  frame: number | null;
  reason: number | null;
  references: number;
  from: 'walk' | 'walk-cache';
}

interface NaiveLeaf {
  frame: number;
  level: number;
  permission: string;
}

/** A tree: which tables there are, by level and number of their span, and the leaves by first page. */
class Tree {
  readonly tables = new Set<string>();
  readonly leaves = new Map<number, NaiveLeaf>();

  private name(level: number, page: number): string {
    return `${level} ${Math.floor(page / SPAN[level + 1]!)}`;
  }

  has(level: number, page: number): boolean {
    return level === LEVELS || this.tables.has(this.name(level, page));
  }

  add(page: number, leaf: NaiveLeaf): void {
    for (let level = LEVELS - 1; level >= leaf.level; level--) this.tables.add(this.name(level, page));
    this.leaves.set(page, leaf);
  }

  leafAt(level: number, page: number): NaiveLeaf | undefined {
    const leaf = this.leaves.get(page - (page % SPAN[level]!));
    return leaf?.level === level ? leaf : undefined;
  }
}

export class NaiveTwoStages {
  private readonly first = new Map<number, Tree>();
  private readonly second = new Map<number, Tree>();
  /** domain, level and span: frame of a first-stage table. */
  private readonly frames = new Map<string, number>();
  private readonly firstCaches: NaiveWalkCache<number>[];
  private readonly secondCaches: NaiveWalkCache<number>[];

  /** @param capacities of the walk caches of each stage, root first */
  constructor(capacities: readonly number[]) {
    const make = () => [...capacities].reverse().map((entries, i) => new NaiveWalkCache<number>(entries, SPAN[i + 2]!));
    this.firstCaches = make();
    this.secondCaches = make();
  }

  private tree(of: Map<number, Tree>, key: number): Tree {
    let tree = of.get(key);
    if (!tree) of.set(key, (tree = new Tree()));
    return tree;
  }

  /** A table of the first stage lies in a frame. */
  placed(domain: number, level: number, page: number, frame: number): void {
    this.frames.set(`${domain} ${level} ${Math.floor(page / SPAN[level + 1]!)}`, frame);
  }

  private frameOf(domain: number, level: number, page: number): number {
    return this.frames.get(`${domain} ${level} ${Math.floor(page / SPAN[level + 1]!)}`)!;
  }

  map(domain: number, page: number, frame: number, permission: string, level = 1): void {
    this.tree(this.first, domain).add(page, { frame, level, permission });
  }

  unmap(domain: number, page: number): void {
    this.tree(this.first, domain).leaves.delete(page);
  }

  /** A guest is given frames. */
  give(guest: number, frame: number, level = 1): void {
    this.tree(this.second, guest).add(frame, { frame, level, permission: 'rw' });
  }

  holds(guest: number, frame: number): boolean {
    const { leaves } = this.tree(this.second, guest);
    return leaves.has(frame) || leaves.get(frame - (frame % 512))?.level === 2;
  }

  /** A guest loses a frame: nobody knows what led there. */
  take(guest: number, frame: number, domains: readonly number[]): void {
    this.tree(this.second, guest).leaves.delete(frame);
    for (const domain of domains)
      for (const cache of this.firstCaches) cache.invalidate(domain, 0, Number.POSITIVE_INFINITY);
    for (const cache of this.secondCaches) cache.invalidate(guest, 0, Number.POSITIVE_INFINITY);
  }

  walk(domain: number, guest: number, page: number, access: 'r' | 'w'): Found {
    let references = 0;
    let reason: number | null = null;

    const inSecond = (frame: number): { frame: number; pages: number } | null => {
      if (frame >= 2 ** 36) {
        reason = 0x74;
        return null;
      }
      const tree = this.tree(this.second, guest);
      const down = (level: number): NaiveLeaf | null => {
        references++;
        const leaf = tree.leafAt(level, frame);
        if (leaf) return leaf;
        if (level === 1 || !tree.has(level - 1, frame)) return null;
        const found = down(level - 1);
        this.secondCaches[level - 2]!.fill(guest, frame, 0);
        return found;
      };
      const known = this.secondCaches.findIndex((cache) => cache.lookup(guest, frame) !== null);
      const leaf = down(known < 0 ? LEVELS : known + 1);
      if (leaf === null) {
        reason = 0x79;
        return null;
      }
      const pages = SPAN[leaf.level]!;
      return { frame: leaf.frame + (frame % pages), pages };
    };

    const tree = this.tree(this.first, domain);
    const known = this.firstCaches.findIndex((cache) => cache.lookup(domain, page) !== null);
    const start = known < 0 ? LEVELS : known + 1;
    const down = (level: number): number | null => {
      // Where the table lies: a cache has said so, or the second stage does.
      if ((level < start || known < 0) && inSecond(this.frameOf(domain, level, page)) === null) return null;
      references++;
      if (level < start) this.firstCaches[level - 1]!.fill(domain, page, 0);
      const leaf = tree.leafAt(level, page);
      if (leaf) {
        if (!leaf.permission.includes(access)) {
          reason = access === 'w' ? 0x85 : 0x86;
          return null;
        }
        return inSecond(leaf.frame + (page % SPAN[level]!))?.frame ?? null;
      }
      if (level === 1 || !tree.has(level - 1, page)) {
        reason = 0x71;
        return null;
      }
      return down(level - 1);
    };
    const frame = down(start);
    return { frame, reason, references, from: known < 0 ? 'walk' : 'walk-cache' };
  }
}

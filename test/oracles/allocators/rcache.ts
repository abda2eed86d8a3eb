/**
 * Slow model of Linux's IOVA magazines: arrays of arrays, nothing shared with what it is compared with but the models of the trees.
 *
 * Source: Linux `drivers/iommu/iova.c`, the depot in its forms of 2016 (an array of 32 magazines) and of September 2023 (a list that a
 * worker trims every 100 ms while it is longer than there are CPUs).
 */
import { MapleModel } from './maple.ts';
import { RbtreeModel } from './rbtree.ts';
import { type AllocatorModel, nextPowerOfTwo, type Range } from './sorted-ranges.ts';

export interface RcacheShape {
  cpus: number;
  tree: 'rbtree' | 'maple';
  maxOrder: number;
  magazineEntries: number;
  depot: 'trimmed' | 'fixed';
  depotMax: number;
}

interface CpuCache {
  loaded: number[];
  prev: number[];
}

interface SizeClass {
  cpus: CpuCache[];
  /** The newest last. */
  depot: number[][];
  workerArmed: boolean;
}

export class RcacheModel implements AllocatorModel {
  private readonly shape: RcacheShape;
  private readonly tree: RbtreeModel | MapleModel;
  private readonly classes: SizeClass[];
  /** Told whenever the worker of a class is armed. */
  private readonly arm: (order: number) => void;
  cpu = 0;
  lastAttempt = true;
  lastSteps = 0;

  constructor(shape: RcacheShape, arm: (order: number) => void) {
    this.shape = shape;
    this.arm = arm;
    this.tree = shape.tree === 'rbtree' ? new RbtreeModel() : new MapleModel();
    this.classes = Array.from({ length: shape.maxOrder }, () => ({
      cpus: Array.from({ length: shape.cpus }, () => ({ loaded: [], prev: [] })),
      depot: [],
      workerArmed: false,
    }));
  }

  /** What the tree is asked for. */
  rounded(pages: number): number {
    const largest = 2 ** (this.shape.maxOrder - 1);
    return pages < largest ? nextPowerOfTwo(pages) : pages;
  }

  allocate(pages: number, limitPfn: number): number {
    this.lastSteps = 0;
    const size = this.rounded(pages);
    const found = this.get(pages, limitPfn + 1 - size);
    if (found !== 0) return found;
    let pfn = this.search(size, limitPfn);
    if (pfn === 0 && this.lastAttempt) {
      this.flush();
      pfn = this.search(size, limitPfn);
    }
    return pfn;
  }

  free(pfn: number, pages: number): void {
    const sizeClass = this.classOf(pages);
    if (sizeClass === undefined) {
      this.tree.free(pfn, pages);
      return;
    }
    const cache = sizeClass.cpus[this.cpu]!;
    const isFull = (magazine: number[]) => magazine.length === this.shape.magazineEntries;
    if (isFull(cache.loaded)) {
      if (!isFull(cache.prev)) {
        [cache.loaded, cache.prev] = [cache.prev, cache.loaded];
      } else {
        const full = cache.loaded;
        cache.loaded = [];
        if (this.shape.depot === 'trimmed') {
          sizeClass.depot.push(full);
          this.armWorker(sizeClass);
        } else if (sizeClass.depot.length < this.shape.depotMax) {
          sizeClass.depot.push(full);
        } else {
          this.toTree(full);
        }
      }
    }
    cache.loaded.push(pfn);
  }

  /** The worker of a class runs. */
  timer(order: number): void {
    const sizeClass = this.classes[order]!;
    sizeClass.workerArmed = false;
    if (sizeClass.depot.length > this.shape.cpus) {
      this.toTree(sizeClass.depot.pop()!);
      this.armWorker(sizeClass);
    }
  }

  reserve(firstPfn: number, lastPfn: number): void {
    this.tree.reserve(firstPfn, lastPfn);
  }

  unreserve(firstPfn: number, lastPfn: number): void {
    this.tree.unreserve(firstPfn, lastPfn);
  }

  ranges(): Range[] {
    const cached = new Set(
      this.classes.flatMap(({ cpus, depot }) => [
        ...cpus.flatMap(({ loaded, prev }) => [...loaded, ...prev]),
        ...depot.flat(),
      ]),
    );
    return this.tree.ranges().map((range) => ({ ...range, cached: !range.reserved && cached.has(range.lo) }));
  }

  /** Magazines in depots. */
  get depotMagazines(): number {
    return this.classes.reduce((sum, { depot }) => sum + depot.length, 0);
  }

  private classOf(pages: number): SizeClass | undefined {
    return this.classes[Math.round(Math.log2(nextPowerOfTwo(pages)))];
  }

  private get(pages: number, highest: number): number {
    const sizeClass = this.classOf(pages);
    if (sizeClass === undefined) return 0;
    const cache = sizeClass.cpus[this.cpu]!;
    if (cache.loaded.length === 0) {
      if (cache.prev.length > 0) [cache.loaded, cache.prev] = [cache.prev, cache.loaded];
      else if (sizeClass.depot.length > 0) cache.loaded = sizeClass.depot.pop()!;
    }
    const { loaded } = cache;
    const place = loaded.findLastIndex((pfn) => pfn <= highest);
    if (place === -1) return 0;
    const pfn = loaded[place]!;
    const last = loaded.pop()!;
    if (place < loaded.length) loaded[place] = last;
    return pfn;
  }

  private search(size: number, limitPfn: number): number {
    const pfn = this.tree.allocate(size, limitPfn);
    this.lastSteps += this.tree.lastSteps;
    return pfn;
  }

  private flush(): void {
    for (let cpu = 0; cpu < this.shape.cpus; cpu++)
      for (const { cpus } of this.classes) {
        const cache = cpus[cpu]!;
        this.toTree(cache.loaded);
        this.toTree(cache.prev);
        cpus[cpu] = { loaded: [], prev: [] };
      }
    for (const sizeClass of this.classes) while (sizeClass.depot.length > 0) this.toTree(sizeClass.depot.pop()!);
  }

  private toTree(magazine: number[]): void {
    for (const pfn of magazine) this.tree.free(pfn, 0);
  }

  private armWorker(sizeClass: SizeClass): void {
    if (sizeClass.workerArmed) return;
    sizeClass.workerArmed = true;
    this.arm(this.classes.indexOf(sizeClass));
  }
}

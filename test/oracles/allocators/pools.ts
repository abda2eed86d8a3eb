/**
 * Slow models of the pools of SPARC and PowerPC, a state a page, each with its own list of what to try in turn.
 *
 * Sources: Linux 6.1 `arch/sparc/kernel/iommu-common.c` and `arch/powerpc/kernel/iommu.c`.
 */
import { PagesModel } from './bitmap.ts';

interface Pool {
  start: number;
  end: number;
  hint: number;
}

/** The number of a CPU times the golden ratio of 2^32, its highest bits, as many as the platform has pools at most. */
function hash(cpu: number, bits: bigint): number {
  return Number(((BigInt(cpu) * 0x61c88647n) % 2n ** 32n) / 2n ** (32n - bits));
}

abstract class PoolsModel extends PagesModel {
  cpu = 0;
  protected readonly small: Pool[] = [];
  protected readonly large: Pool;

  private readonly hashBits: bigint;

  constructor(size: number, pools: number, hashBits: bigint, lastUsed: (end: number) => number) {
    super(size);
    this.hashBits = hashBits;
    const length = Math.floor(Math.floor((size * 3) / 4) / pools);
    for (let nth = 0; nth < pools; nth++)
      this.small.push({ start: nth * length, end: lastUsed((nth + 1) * length), hint: nth * length });
    this.large = { start: pools * length, end: size, hint: pools * length };
  }

  /** Pools in the order in which they are tried; the first one twice. */
  protected abstract turns(pages: number): Pool[];
  protected abstract moved(pool: Pool, lo: number, pages: number): void;
  protected abstract restarted(): void;

  protected own(): number {
    return hash(this.cpu, this.hashBits) % this.small.length;
  }

  allocate(pages: number, limitPfn: number): number {
    const turns = this.turns(pages);
    for (const [turn, named] of turns.entries()) {
      let pool = named;
      if (turn > 0) {
        const previous = turns[turn - 1]!;
        // The second turn is for where the first one really searched.
        pool = turn === 1 ? previous : named;
        pool.hint = pool.start;
        this.restarted();
      }
      const short = pool.end > limitPfn;
      if (short && turn > 0) pool = this.small[0]!;
      let from = pool.hint < pool.end ? pool.hint : pool.start;
      let end = pool.end;
      if (short) {
        end = limitPfn + 1;
        from = turn > 0 ? 0 : from % (limitPfn + 1);
      }
      const lo = this.search(pages, from, end - 1, 1);
      if (lo === 0) {
        if (turn > 0) turns[turn] = pool;
        continue;
      }
      this.moved(pool, lo, pages);
      return this.take(lo, pages);
    }
    return 0;
  }
}

export class SparcPoolsModel extends PoolsModel {
  private owesFlush = false;
  private readonly flush: () => void;

  constructor(size: number, pools: number, flush: () => void) {
    super(size, pools, 4n, (end) => end - 1);
    this.flush = flush;
  }

  protected turns(pages: number): Pool[] {
    if (pages > 15) return [this.large, this.large];
    const own = this.own();
    const others = this.small.map((_, nth) => this.small[(own + 1 + nth) % this.small.length]!);
    return [this.small[own]!, this.small[own]!, ...others];
  }

  protected restarted(): void {
    this.owesFlush = true;
  }

  protected moved(pool: Pool, lo: number, pages: number): void {
    if (lo < pool.hint || this.owesFlush) this.flush();
    this.owesFlush = false;
    pool.hint = lo + pages;
  }
}

export class PowerpcPoolsModel extends PoolsModel {
  constructor(size: number) {
    super(size, size >= 2 ** 18 ? 4 : 1, 2n, (end) => end);
  }

  protected turns(pages: number): Pool[] {
    const { small, large } = this;
    const first = pages > 15 ? large : small[this.own()]!;
    const others = small.map((_, nth) => small[(this.own() + 1 + nth) % small.length]!);
    return [first, first, ...others, large];
  }

  protected restarted(): void {}

  protected moved(pool: Pool, lo: number, pages: number): void {
    const end = lo + pages;
    pool.hint = pages > 15 ? end : Math.ceil(end / 16) * 16;
  }
}

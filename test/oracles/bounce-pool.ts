/**
 * The bounce pool as its description reads: an array of slots that are free or not, and a search that looks at stretches of them one
 * by one. No list of run lengths, no arithmetic beyond positions.
 */
export class BouncePoolModel {
  private readonly inUse: boolean[];
  private readonly next: number[];
  private readonly requests = new Map<number, number>();
  private readonly areaSlots: number;

  constructor(slots: number, areas: number) {
    this.inUse = new Array<boolean>(slots).fill(false);
    this.next = new Array<number>(areas).fill(0);
    this.areaSlots = slots / areas;
  }

  /** Slots looked at by the last `take`, in all areas. */
  looked = 0;

  private fits(slot: number, wanted: number): boolean {
    for (let at = slot; at < slot + wanted; at++) {
      if (Math.floor(at / 128) !== Math.floor(slot / 128)) return false;
      if (this.inUse[at]) return false;
    }
    return true;
  }

  take(cpu: number, lengthBytes: number, aligned: boolean): number {
    this.looked = 0;
    const wanted = Math.ceil(lengthBytes / 2048);
    const wholePages = aligned || lengthBytes >= 4096;
    for (let i = 0; i < this.next.length; i++) {
      const area = (cpu + i) % this.next.length;
      const base = area * this.areaSlots;
      const free = this.inUse.slice(base, base + this.areaSlots).filter((used) => !used).length;
      if (free < wanted) continue;
      let at = this.next[area]!;
      for (let passed = 0; passed < this.areaSlots; ) {
        this.looked++;
        let step = 1;
        if (!wholePages || at % 2 === 0) {
          if (this.fits(base + at, wanted)) {
            for (let slot = base + at; slot < base + at + wanted; slot++) this.inUse[slot] = true;
            this.requests.set(base + at, wanted);
            this.next[area] = (at + wanted) % this.areaSlots;
            return base + at;
          }
          if (wholePages) step = 2;
        }
        passed += step;
        at += step;
        if (at >= this.areaSlots) at = 0;
      }
    }
    return -1;
  }

  give(slot: number): void {
    const count = this.requests.get(slot)!;
    for (let at = slot; at < slot + count; at++) this.inUse[at] = false;
    this.requests.delete(slot);
  }

  get used(): number {
    return this.inUse.filter((used) => used).length;
  }
  get taken(): number[] {
    return [...this.requests.keys()];
  }
}

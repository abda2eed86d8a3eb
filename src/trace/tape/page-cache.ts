/** Pages of a tape in memory, each held against its sum when it is read; the one that was wanted longest ago gives way. */
import type { TapeFile } from './file.ts';
import { HEADER_BYTES, PAGE_BYTES, PAGE_NUMBER_AT, PAGE_SUM_AT, PAGE_USED_AT, sumOf, TapeError } from './layout.ts';

const ELSEWHERE = 'the page there belongs elsewhere.';

export class PageCache {
  private readonly file: TapeFile;
  private readonly slots: Buffer[] = [];
  private readonly views: DataView[] = [];
  private readonly pages: number[] = [];
  private readonly wanted: number[] = [];
  private readonly slotOf = new Map<number, number>();
  private readonly width: number;
  private now = 0;
  private lastPage = -1;
  private lastSlot = -1;

  constructor(file: TapeFile, width: number) {
    this.file = file;
    this.width = Math.max(1, width);
  }

  /** @param used how many entries it should have. @throws TapeError */
  view(page: number, used: number): DataView {
    if (page !== this.lastPage) {
      this.lastSlot = this.have(page);
      this.lastPage = page;
      if ((this.slots[this.lastSlot] as Buffer).readUInt32LE(PAGE_USED_AT) !== used) this.refuse(page, ELSEWHERE);
    }
    return this.views[this.lastSlot] as DataView;
  }

  /** @throws TapeError */
  bytes(page: number): Buffer {
    return this.slots[this.have(page)] as Buffer;
  }

  private have(page: number): number {
    let slot = this.slotOf.get(page);
    if (slot === undefined) slot = this.fill(page);
    this.wanted[slot] = ++this.now;
    return slot;
  }

  private fill(page: number): number {
    const slot = this.freeSlot();
    const bytes = this.slots[slot] as Buffer;
    // What is in the slot is gone now, even if what is read in its place is damaged.
    this.slotOf.delete(this.pages[slot] as number);
    this.pages[slot] = -1;
    this.lastPage = -1;
    this.file.read(bytes, HEADER_BYTES + page * PAGE_BYTES);
    const stated = bytes.readUInt32LE(PAGE_SUM_AT);
    const sum = sumOf(bytes.subarray(0, PAGE_SUM_AT));
    if (sum !== stated) this.refuse(page, `the page there has the sum ${hex(sum)}, and it was ${hex(stated)}.`);
    if (bytes.readUInt32LE(PAGE_NUMBER_AT) !== page) this.refuse(page, ELSEWHERE);
    this.slotOf.set(page, slot);
    this.pages[slot] = page;
    return slot;
  }

  private refuse(page: number, message: string): never {
    throw new TapeError('damaged', this.file.path, message, HEADER_BYTES + page * PAGE_BYTES);
  }

  private freeSlot(): number {
    if (this.slots.length < this.width) {
      const bytes = Buffer.alloc(PAGE_BYTES);
      this.slots.push(bytes);
      this.views.push(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      this.pages.push(-1);
      this.wanted.push(0);
      return this.slots.length - 1;
    }
    let oldest = 0;
    for (let slot = 1; slot < this.wanted.length; slot++)
      if ((this.wanted[slot] as number) < (this.wanted[oldest] as number)) oldest = slot;
    return oldest;
  }
}

function hex(sum: number): string {
  return sum.toString(16).padStart(8, '0');
}

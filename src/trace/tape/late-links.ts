/** Links of a tape under way whose record is on the disk already: gathered, sorted, and in a file of their own until the tape ends. */
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { closePage, fileError, LATE_BYTES, LATE_ENTRIES, type LateRun, PAGE_BYTES, RUN_ENTRIES } from './layout.ts';

export class LateLinks {
  private readonly path: string;
  private file: number | null = null;
  private keys = new Float64Array(1024);
  private targets = new Float64Array(1024);
  private count = 0;
  private readonly runs: { entries: number }[] = [];

  /** @param path of the file, which is made when it is needed */
  constructor(path: string) {
    this.path = path;
  }

  /** @throws TapeError */
  add(key: number, target: number): void {
    if (this.count === this.keys.length) this.grow();
    this.keys[this.count] = key;
    this.targets[this.count] = target;
    if (++this.count === RUN_ENTRIES) this.write();
  }

  private grow(): void {
    const size = this.keys.length * 2;
    const keys = new Float64Array(size);
    const targets = new Float64Array(size);
    keys.set(this.keys);
    targets.set(this.targets);
    this.keys = keys;
    this.targets = targets;
  }

  private write(): void {
    if (this.count === 0) return;
    const { keys, targets, count } = this;
    const order = Uint32Array.from({ length: count }, (_, index) => index);
    order.sort((a, b) => (keys[a] as number) - (keys[b] as number));
    const page = Buffer.alloc(PAGE_BYTES);
    try {
      this.file ??= openSync(this.path, 'w+', 0o600);
      for (let start = 0; start < count; start += LATE_ENTRIES) {
        const used = Math.min(LATE_ENTRIES, count - start);
        page.fill(0);
        for (let entry = 0; entry < used; entry++) {
          const from = order[start + entry] as number;
          page.writeDoubleLE(keys[from] as number, entry * LATE_BYTES);
          page.writeDoubleLE(targets[from] as number, entry * LATE_BYTES + 8);
        }
        page.writeUInt32LE(used, PAGE_BYTES - 12);
        for (let at = 0; at < PAGE_BYTES; ) at += writeSync(this.file, page, at);
      }
    } catch (error) {
      throw fileError(this.path, error, 'written');
    }
    this.runs.push({ entries: count });
    this.count = 0;
  }

  /**
   * All that were added, page by page.
   *
   * @param firstPage number of the first of them
   * @throws TapeError
   */
  end(firstPage: number, take: (page: Buffer) => void): LateRun[] {
    this.write();
    const { file } = this;
    const runs: LateRun[] = [];
    const page = Buffer.alloc(PAGE_BYTES);
    let number = firstPage;
    for (const { entries } of this.runs) {
      runs.push({ firstPage: number, entries });
      for (let left = entries; left > 0; left -= LATE_ENTRIES) {
        try {
          for (let at = 0; at < PAGE_BYTES; ) {
            const bytes = readSync(file as number, page, at, PAGE_BYTES - at, (number - firstPage) * PAGE_BYTES + at);
            if (bytes === 0) throw new Error('it ends too early');
            at += bytes;
          }
        } catch (error) {
          throw fileError(this.path, error, 'read');
        }
        closePage(page, Math.min(left, LATE_ENTRIES), number++);
        take(page);
      }
    }
    this.close();
    return runs;
  }

  close(): void {
    if (this.file === null) return;
    closeSync(this.file);
    this.file = null;
    rmSync(this.path, { force: true });
  }
}

/** Table entries and frames of a watched simulation: what is written into tables and taken out, and which blocks of memory change hands. */
import type { Tree } from '../../../core/os/page-mapper.ts';
import type { Simulator } from '../../../core/simulator.ts';
import { EVENT_KINDS } from '../../event.ts';
import type { ObservedLines } from './lines.ts';

export class ObservedMemory {
  private readonly lines: ObservedLines;
  /** A table page is made: its frame is no buffer. */
  private makesTable = false;
  private readonly tableFrames = new Set<number>();
  /** [first frame]: number of a block that was handed out. */
  private readonly buffers = new Map<number, number>();
  private nextBuffer = 0;

  constructor(simulator: Simulator, lines: ObservedLines) {
    this.lines = lines;
    this.watchTables(simulator);
    this.watchFrames(simulator);
  }

  private watchTables({ tables, mapper }: Simulator): void {
    const { lines } = this;
    const create = tables.create.bind(tables);
    tables.create = (level, domain, base) => {
      this.makesTable = true;
      const table = create(level, domain, base);
      this.makesTable = false;
      return table;
    };
    const write = mapper.write.bind(mapper);
    mapper.write = (tree, page, frame, pages, permission, largest) => {
      const done = write(tree, page, frame, pages, permission, largest);
      if (done === pages) this.mapped(page, frame, pages);
      return done;
    };
    const writeOne = mapper.writeOne.bind(mapper);
    mapper.writeOne = (domain, page, frame, permission) => {
      const done = writeOne(domain, page, frame, permission);
      if (done) this.mapped(page, frame, 1);
      return done;
    };
    const clear = mapper.clear.bind(mapper);
    mapper.clear = (tree: Tree, page, pages) => {
      const cleared = clear(tree, page, pages);
      const line = lines.fresh(EVENT_KINDS.iommuUnmap);
      line.iovaPage = page;
      line.iovaOffset = 0;
      line.lengthBytes = pages * 4096;
      line.detail = cleared * 4096;
      lines.tell(line);
      return cleared;
    };
  }

  private mapped(page: number, frame: number, pages: number): void {
    const line = this.lines.fresh(EVENT_KINDS.iommuMap);
    line.iovaPage = page;
    line.iovaOffset = 0;
    line.lengthBytes = pages * 4096;
    line.physicalPage = frame;
    line.physicalOffset = 0;
    this.lines.tell(line);
  }

  private watchFrames({ memory }: Simulator): void {
    const { lines } = this;
    const allocate = memory.allocate.bind(memory);
    memory.allocate = (count, tenant) => this.handedOut(allocate(count, tenant), count, tenant);
    const claim = memory.claim.bind(memory);
    memory.claim = (first, count, tenant) => {
      const done = claim(first, count, tenant);
      if (done) this.handedOut(first, count, tenant);
      return done;
    };
    const giveBack = memory.giveBack.bind(memory);
    memory.giveBack = (first, count) => {
      giveBack(first, count);
      if (this.tableFrames.delete(first)) return;
      const buffer = this.buffers.get(first);
      if (buffer === undefined) return;
      this.buffers.delete(first);
      const line = lines.fresh(EVENT_KINDS.bufferFree);
      line.detail = buffer;
      lines.tell(line);
    };
  }

  private handedOut(first: number, count: number, tenant: number): number {
    if (first < 0) return first;
    if (this.makesTable) {
      this.tableFrames.add(first);
      return first;
    }
    const buffer = this.nextBuffer;
    // Numbers fit 31 bits; one that far back is long free again.
    this.nextBuffer = buffer === 2 ** 31 - 1 ? 0 : buffer + 1;
    this.buffers.set(first, buffer);
    const line = this.lines.fresh(EVENT_KINDS.buffer);
    line.detail = buffer;
    line.domain = tenant;
    line.physicalPage = first;
    line.physicalOffset = 0;
    line.lengthBytes = count * 4096;
    this.lines.tell(line);
    return first;
  }
}

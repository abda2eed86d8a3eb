/**
 * A plausible recording of any size, the same for the same seed: the ftrace text of a machine with a busy NIC and a disk, whose driver
 * keeps some thousand buffers mapped. It is made as it is read, and knows beforehand what an importer has to find in it.
 */
import { type Dice, diceOf } from '../dice.ts';

const DEVICES = ['0000:17:00.0', '0000:c2:00.0', '0000:00:1f.2'];
const DIRECTIONS = ['FROM_DEVICE', 'TO_DEVICE', 'BIDIRECTIONAL'];
const MOST_LIVE = 4_096;
const BLOCK_LINES = 2_048;
const HEADER = `# tracer: nop
#
# entries-in-buffer/entries-written: 0/0   #P:8
#
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |         |   |||||     |         |
`;

export interface RecordingFigures {
  bytes: number;
  lines: number;
  comments: number;
  maps: number;
  unmaps: number;
  /** Not understood: what a driver of the user's printed in between. */
  foreign: number;
}

interface Live {
  device: string;
  direction: string;
  iova: string;
  size: number;
}

export class Recording {
  private readonly dice: Dice;
  private readonly targetBytes: number;
  private readonly live: Live[] = [];
  private timeUs = 12_000_000;
  private nextPage = 0xfffff;
  private begun = false;
  private readonly figuresSoFar: RecordingFigures = { bytes: 0, lines: 0, comments: 0, maps: 0, unmaps: 0, foreign: 0 };

  /** @param bytes at least so many, and less than a block more */
  constructor(seed: number, bytes: number) {
    this.dice = diceOf(seed);
    this.targetBytes = bytes;
  }

  /** Of what has been made so far. */
  get figures(): Readonly<RecordingFigures> {
    return this.figuresSoFar;
  }

  get openMaps(): number {
    return this.live.length;
  }

  /** The next block; null when there is no more. */
  next(): Buffer | null {
    const { figuresSoFar: figures } = this;
    if (figures.bytes >= this.targetBytes) return null;
    let text = this.begun ? '' : HEADER;
    if (!this.begun) {
      figures.comments += 6;
      figures.lines += 6;
    }
    this.begun = true;
    for (let line = 0; line < BLOCK_LINES; line++) text += this.line();
    figures.lines += BLOCK_LINES;
    const block = Buffer.from(text, 'latin1');
    figures.bytes += block.length;
    return block;
  }

  *blocks(): Generator<Buffer> {
    for (let block = this.next(); block !== null; block = this.next()) yield block;
  }

  private line(): string {
    const { dice, live, figuresSoFar: figures } = this;
    this.timeUs += dice(4);
    const stamp = `${Math.floor(this.timeUs / 1e6)}.${String(this.timeUs % 1e6).padStart(6, '0')}`;
    const turn = dice(1_000);
    if (turn === 0) {
      figures.foreign++;
      return `  kworker/u16:${dice(8)}-${100 + dice(900)}     [00${dice(8)}] .....  ${stamp}: my_driver_poke: ring=${dice(64)} head=${dice(512)}\n`;
    }
    const prefix = `          <idle>-0       [00${dice(8)}] ..s1.  ${stamp}: `;
    if (live.length > 0 && (live.length >= MOST_LIVE || turn < 480)) {
      // Mostly in the order in which they came, as a ring is served.
      const at = dice(16) === 0 ? dice(live.length) : 0;
      const { device, direction, iova, size } = live[at] as Live;
      if (at === 0) live.shift();
      else live.splice(at, 1);
      figures.unmaps++;
      return `${prefix}dma_unmap_phys: ${device} dir=${direction} dma_addr=${iova} size=${size} attrs=\n`;
    }
    const device = DEVICES[dice(DEVICES.length)] as string;
    const direction = DIRECTIONS[dice(DIRECTIONS.length)] as string;
    this.nextPage = this.nextPage <= 0x1000 ? 0xfffff : this.nextPage - 1;
    const offset = dice(2) * 0x40;
    const iova = (this.nextPage * 4096 + offset).toString(16);
    const size = [64, 1_500, 2_048, 4_032][dice(4)] as number;
    live.push({ device, direction, iova, size });
    figures.maps++;
    const physical = ((0x100000 + dice(0x800000)) * 4096 + offset).toString(16);
    return `${prefix}dma_map_phys: ${device} dir=${direction} dma_addr=${iova} size=${size} phys_addr=${physical} attrs=\n`;
  }
}

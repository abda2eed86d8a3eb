/** Block traces in a table whose columns the user names, instead of one more dialect. */
import { ABSENT } from '../event.ts';
import { ImportError } from '../import-error.ts';
import type { Intake } from '../intake.ts';
import type { ReadTime } from '../lines/cells.ts';
import { textOf } from '../names.ts';
import { SECTOR_BYTES } from '../payloads/block.ts';
import { BlockRows } from './block-rows.ts';
import type { FormatEntry, OptionSchema } from './format.ts';
import { scsiMemoryIsWritten } from './scsi.ts';
import { TableLines } from './table-lines.ts';

/** Unit -> digits of its whole numbers that are below a second. */
const TIME_UNITS: Readonly<Record<string, number>> = { s: 0, ms: 3, us: 6, '100ns': 7, ns: 9 };
const LENGTH_UNITS: Readonly<Record<string, number>> = { bytes: 1, sectors: SECTOR_BYTES, KiB: 1024, pages: 4096 };
const DELIMITERS: Readonly<Record<string, number>> = { comma: 0x2c, semicolon: 0x3b, tab: 0x09, space: 0x20 };
const LARGEST_BYTES = 2 ** 40;
const R = 0x72;
const W = 0x77;

const column = (description: string): OptionSchema => ({
  type: 'string',
  description: `${description}; its name in the header, or its number from 1`,
  minLength: 1,
  maxLength: 128,
});
const unit = (of: string, units: Readonly<Record<string, number>>, byDefault: string): OptionSchema => ({
  type: 'string',
  description: `unit of ${of}`,
  enum: Object.keys(units),
  default: byDefault,
});

const OPTIONS: Readonly<Record<string, OptionSchema>> = {
  columns: {
    type: 'object',
    description: 'which column says what',
    properties: {
      time: column('when the I/O began'),
      op: column('what begins with R or W, or a SCSI command in hexadecimal'),
      offset: column('where on the disk'),
      size: column('how much'),
      response: column('how long it took; without it no ends are told'),
      device: column('which disk'),
    },
    required: ['time', 'op', 'offset', 'size'],
  },
  header: { type: 'boolean', description: 'whether the first row has the names of the columns', default: true },
  delimiter: { type: 'string', description: 'what is between cells', enum: Object.keys(DELIMITERS), default: 'comma' },
  timeUnit: unit('`time`; with a fraction or without', TIME_UNITS, 's'),
  responseUnit: unit('`response`', TIME_UNITS, 's'),
  offsetUnit: unit('`offset`', LENGTH_UNITS, 'bytes'),
  sizeUnit: unit('`size`', LENGTH_UNITS, 'bytes'),
  tickNs: {
    type: 'integer',
    description: 'rows with the same time are spread over so many nanoseconds; 0: not at all',
    default: 0,
    minimum: 0,
    maximum: 3_600_000_000_000,
  },
};

interface CsvOptions {
  columns: Readonly<Record<string, string>>;
  header: boolean;
  delimiter: string;
  timeUnit: string;
  responseUnit: string;
  offsetUnit: string;
  sizeUnit: string;
  tickNs: number;
}

const NAMES = ['time', 'op', 'offset', 'size', 'response', 'device'] as const;
type Column = (typeof NAMES)[number];

class CsvReader extends TableLines {
  private readonly options: CsvOptions;
  /** Column -> its place, from 0; ABSENT where it is not named. */
  private readonly places: Record<Column, number>;
  private lastPlace = 0;
  private readonly begun: ReadTime = { seconds: 0, nanoseconds: 0 };
  private readonly took: ReadTime = { seconds: 0, nanoseconds: 0 };

  constructor(intake: Intake, options: CsvOptions) {
    super(intake, new BlockRows(intake, options.tickNs), DELIMITERS[options.delimiter]!);
    this.options = options;
    this.places = { time: ABSENT, op: ABSENT, offset: ABSENT, size: ABSENT, response: ABSENT, device: ABSENT };
    if (!options.header) this.place([]);
  }

  protected header(): boolean {
    if (!this.options.header) return false;
    const { cells } = this;
    this.place(Array.from({ length: cells.count }, (_, i) => textOf(cells.bytes, cells.start[i]!, cells.end[i]!)));
    return true;
  }

  /** Throws an ImportError when a column is not there. */
  private place(names: readonly string[]): void {
    for (const name of NAMES) {
      const wanted = this.options.columns[name];
      if (wanted === undefined) continue;
      const found = names.indexOf(wanted);
      const numbered = /^[1-9]\d{0,2}$/.test(wanted) ? Number(wanted) - 1 : ABSENT;
      const place = found >= 0 ? found : numbered;
      if (place < 0 || place > 255) {
        const there =
          names.length === 0
            ? 'without a header columns have numbers, 1 to 256'
            : `there are ${names.slice(0, 32).join(', ').slice(0, 400)}`;
        throw new ImportError('invalid-options', `/columns/${name}: there is no column ${wanted}; ${there}`, {
          pointer: `/columns/${name}`,
        });
      }
      this.places[name] = place;
      this.lastPlace = Math.max(this.lastPlace, place);
    }
  }

  protected row(): string {
    const { cells, places, options, begun, took, intake } = this;
    if (cells.count <= this.lastPlace) return `not ${this.lastPlace + 1} cells`;
    if (!cells.time(places.time, TIME_UNITS[options.timeUnit]!, begun)) return 'a time that is no number';
    const written = memoryIsWritten(cells.bytes, cells.start[places.op]!, cells.end[places.op]!);
    if (written < 0) return 'an op that is no read or write';
    const offset = cells.whole(places.offset);
    const size = cells.whole(places.size);
    if (offset < 0 || size < 0) return 'an offset or a size that is no number';
    const sector = Math.floor((offset * LENGTH_UNITS[options.offsetUnit]!) / SECTOR_BYTES);
    const lengthBytes = size * LENGTH_UNITS[options.sizeUnit]!;
    if (!Number.isSafeInteger(sector)) return 'an offset that is no number below 2^53 sectors';
    if (lengthBytes > LARGEST_BYTES) return 'a size beyond 1 TiB';
    let durationNs = ABSENT;
    if (places.response !== ABSENT) {
      if (!cells.time(places.response, TIME_UNITS[options.responseUnit]!, took) || took.seconds > 8_000_000)
        return 'a response that is no time';
      durationNs = took.seconds * 1e9 + took.nanoseconds;
    }
    if (places.device !== ABSENT) {
      const unnamed = intake.device(cells.bytes, cells.start[places.device]!, cells.end[places.device]!);
      if (unnamed !== '') return unnamed;
    }
    this.rows.add(begun.seconds, begun.nanoseconds, durationNs, written, sector, lengthBytes);
    return '';
  }
}

function memoryIsWritten(bytes: Uint8Array, start: number, end: number): number {
  if (start === end) return -1;
  const letter = bytes[start]! | 0x20;
  if (letter === R) return 1;
  if (letter === W) return 0;
  return scsiMemoryIsWritten(bytes, start, end);
}

export const csv: FormatEntry = {
  kind: 'csv',
  title: 'block traces in a table whose columns are named',
  recognisedBy: null,
  options: OPTIONS,
  requiredOptions: ['columns'],
  source: 'the user, who says what the columns are',
  becomes: '`ioStart`, and `ioEnd` where there is a column `response`',
  recognise: () => null,
  open: (intake, options) => new CsvReader(intake, options as unknown as CsvOptions),
};

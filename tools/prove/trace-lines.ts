/**
 * The importers stand whatever a recording holds. Random lines around the grammar of every format: no crash, every line accounted for,
 * every event sound, memory bounded. And well-formed lines of ftrace against a slow, obvious reader.
 */
import { mkdirSync } from 'node:fs';
import { ABSENT, EVENT_KINDS, type RecordedEvent } from '../../src/trace/event.ts';
import { createImporter, type Importer } from '../../src/trace/importer.ts';
import { hexOf, isBalanced, seen } from '../../test/trace/events.ts';
import { FIXTURES } from '../../test/trace/fixtures.ts';
import { type Dice, diceOf } from './dice.ts';
import { writeReport } from './report.ts';
import { growthOf, LARGEST_GROWTH, mebibytes } from './resident.ts';
import type { ProofSettings } from './settings.ts';
import { captures } from './trace-lines/captures.ts';
import { mutated } from './trace-lines/mutations.ts';
import { readByRegex, type ToldByRegex } from './trace-lines/oracle.ts';
import { wellFormed } from './trace-lines/well-formed.ts';

export interface TraceLinesProof {
  lines: number;
  understood: number;
  events: number;
  captures: number;
  compared: number;
  reasons: number;
  /** MiB resident, over time. */
  residentMiB: number[];
  growth: number;
  seconds: number;
  complaints: string[];
}

/** One importer reads so many lines, in chunks; then it has to balance. */
const CHAPTER = 10_000;
/** Below so many lines memory has not come to rest. */
const JUDGED_FROM = 200_000;
const MOST_COMPLAINTS = 25;
const LARGEST_CHUNK = 70_000;
const MOST_REASONS = 65;
const MOST_DEVICES = 4096;

const TEXT_FORMATS = ['ftrace', 'trace-cmd', 'perf-script', 'blkparse', 'msr', 'cloudphysics', 'csv'];
const CSV_OPTIONS = { columns: { time: '2', op: '3', offset: '5', size: '4' }, header: false, tickNs: 1_000_000_000 };

export async function proveTraceLines({
  count,
  from,
  seed,
  folder,
  progress,
}: ProofSettings<TraceLinesProof>): Promise<TraceLinesProof> {
  const started = performance.now();
  mkdirSync(folder, { recursive: true });
  const proof: TraceLinesProof = {
    lines: 0,
    understood: 0,
    events: 0,
    captures: 0,
    compared: 0,
    reasons: 0,
    residentMiB: [],
    growth: 0,
    seconds: 0,
    complaints: [],
  };
  const resident: number[] = [];
  for (let done = from; done < count && proof.complaints.length < MOST_COMPLAINTS; ) {
    const lines = Math.min(CHAPTER, count - done);
    const chapter = Math.floor(done / CHAPTER);
    const dice = diceOf(seed * 1_000_003 + chapter);
    const format = TEXT_FORMATS[chapter % TEXT_FORMATS.length]!;
    around(proof, dice, format, lines, `lines ${done} to ${done + lines - 1}, ${format}`);
    compare(proof, dice, Math.ceil(lines / 10), `chapter ${chapter}`);
    damaged(proof, dice, Math.ceil(lines / 100), `chapter ${chapter}`);
    done += lines;
    resident.push(process.memoryUsage.rss());
    progress?.(done, proof);
  }
  proof.residentMiB = resident.filter((_, i) => i % Math.ceil(resident.length / 20) === 0).map(mebibytes);
  proof.growth = resident.length < 8 ? 1 : Math.round(growthOf(resident) * 1000) / 1000;
  if (count - from >= JUDGED_FROM && proof.growth > LARGEST_GROWTH)
    proof.complaints.push(`resident memory of the last quarter is ${proof.growth} times that of the second`);
  proof.seconds = Math.round((performance.now() - started) / 1000);
  writeReport(folder, 'trace-lines', {
    title: 'Lines around the grammar of recordings',
    command: `npm run prove -- trace-lines --count ${count} --seed ${seed}`,
    rows: [
      ['lines around the grammar', proof.lines],
      ['understood all the same', proof.understood],
      ['events', proof.events],
      ['captures cut and flipped', proof.captures],
      ['well-formed lines compared with a regular expression', proof.compared],
      ['most reasons in one summary', proof.reasons],
      ['resident memory: last quarter against the second', proof.growth],
      ['seconds', proof.seconds],
      ['complaints', proof.complaints.length],
    ],
    text: [`Resident memory, MiB: ${proof.residentMiB.join(' ')}`, ''],
  });
  return proof;
}

const FIXTURE_BYTES = FIXTURES.map(({ line }) => Buffer.from(line));
const OF_FORMAT = Object.fromEntries(
  TEXT_FORMATS.map((format) => [
    format,
    FIXTURES.filter((each) => each.format === format).map(({ line }) => Buffer.from(line)),
  ]),
);

/** A chapter of lines around the grammar of one format. */
function around(proof: TraceLinesProof, dice: Dice, format: string, lines: number, where: string): void {
  const own = OF_FORMAT[format]!.length > 0 ? OF_FORMAT[format]! : OF_FORMAT.cloudphysics!;
  const pieces: Uint8Array[] = [];
  for (let i = 0; i < lines; i++) {
    let line: Uint8Array = own[dice(own.length)]!;
    if (dice(20) > 0) line = mutated(dice, dice(4) === 0 ? FIXTURE_BYTES : own);
    // A mutation may have made an end of a line: what is counted are lines as they come out.
    pieces.push(line, Buffer.from(dice(30) === 0 ? '\r\n' : '\n'));
  }
  const bytes = Buffer.concat(pieces);
  let expected = 0;
  for (const byte of bytes) if (byte === 10) expected++;
  const watch = new Watch();
  try {
    const order = dice(3) === 0 ? { order: 'merged', mergeWindow: 1 + dice(300) } : {};
    const importer = createImporter({
      format,
      options: { ...(format === 'csv' && CSV_OPTIONS), ...order },
      sink: watch,
    });
    feed(importer, bytes, dice);
    const summary = importer.summary();
    proof.lines += expected;
    proof.understood += summary.lines.understood;
    proof.events += watch.events;
    proof.reasons = Math.max(proof.reasons, summary.lines.skipped.length);
    if (summary.lines.total !== expected)
      proof.complaints.push(`${where}: ${summary.lines.total} lines of ${expected}`);
    if (!isBalanced(summary)) proof.complaints.push(`${where}: not every line is accounted for`);
    if (summary.lines.skipped.length > MOST_REASONS || summary.devices.length > MOST_DEVICES)
      proof.complaints.push(`${where}: ${summary.lines.skipped.length} reasons, ${summary.devices.length} devices`);
    if (watch.lines.size > summary.lines.understood)
      proof.complaints.push(`${where}: events of ${watch.lines.size} lines, ${summary.lines.understood} understood`);
    if (watch.complaint !== '') proof.complaints.push(`${where}: ${watch.complaint}`);
  } catch (error) {
    proof.complaints.push(`${where}: ${(error as Error).stack}`);
  }
}

/** Captures of packets, cut and flipped. */
function damaged(proof: TraceLinesProof, dice: Dice, count: number, where: string): void {
  for (let i = 0; i < count; i++) {
    const { format, bytes } = captures[dice(captures.length)]!;
    const broken = mutated(dice, [bytes]);
    proof.captures++;
    const watch = new Watch();
    try {
      const importer = createImporter({ format, sink: watch });
      feed(importer, broken, dice);
      if (!isBalanced(importer.summary()))
        proof.complaints.push(`${where}, ${format} ${i}: not every packet is accounted for`);
      if (watch.complaint !== '') proof.complaints.push(`${where}, ${format} ${i}: ${watch.complaint}`);
    } catch (error) {
      proof.complaints.push(`${where}, ${format} ${i}: ${(error as Error).stack}`);
    }
  }
}

function feed(importer: Importer, bytes: Uint8Array, dice: Dice): void {
  for (let at = 0; at < bytes.length; ) {
    const size = dice(3) === 0 ? 1 + dice(64) : 1 + dice(LARGEST_CHUNK);
    importer.write(bytes.subarray(at, at + size));
    at += size;
  }
  importer.end();
}

/** Every event is sound, whatever the lines. */
class Watch {
  events = 0;
  complaint = '';
  /** Those that became events. */
  readonly lines = new Set<number>();
  private devices = 0;

  device(): number {
    return this.devices++;
  }

  event(event: RecordedEvent): void {
    const { iovaPage, iovaOffset, physicalPage, physicalOffset, partner, call, device, line, timePs } = event;
    const isSound =
      Object.values(event).every((value) => Number.isFinite(value) && Math.floor(value as number) === value) &&
      isAddress(iovaPage, iovaOffset) &&
      isAddress(physicalPage, physicalOffset) &&
      partner >= ABSENT &&
      partner < this.events &&
      call >= ABSENT &&
      call < this.events &&
      device >= ABSENT &&
      device < this.devices &&
      line > 0 &&
      timePs >= 0 &&
      timePs < 1000 &&
      (event.lengthBytes >= 0 || event.lengthBytes === ABSENT);
    if (!isSound && this.complaint === '')
      this.complaint = `event ${this.events} is not sound: ${JSON.stringify(event)}`;
    this.lines.add(line);
    this.events++;
  }
}

function isAddress(page: number, offset: number): boolean {
  if (page === ABSENT) return offset === ABSENT;
  return page >= 0 && page < 2 ** 52 && offset >= 0 && offset < 4096;
}

/** Well-formed lines, by the importer and by a regular expression. */
function compare(proof: TraceLinesProof, dice: Dice, count: number, where: string): void {
  const lines = Array.from({ length: count }, (_, i) => wellFormed(dice, 100 + i));
  const events: RecordedEvent[] = [];
  const devices: string[] = [];
  const importer = createImporter({
    format: 'ftrace',
    sink: { event: (event) => void events.push({ ...event }), device: (name) => devices.push(name) - 1 },
  });
  feed(importer, Buffer.from(lines.join('\n')), dice);
  const origin = importer.summary().origin!;
  const originNs = BigInt(origin.seconds) * 1_000_000_000n + BigInt(origin.nanoseconds);
  let next = 0;
  lines.forEach((line, i) => {
    proof.compared++;
    const told = readByRegex(line);
    const mine: RecordedEvent[] = [];
    while (next < events.length && events[next]!.line === i + 1) mine.push(events[next++]!);
    const difference = told === null ? 'no line for the expression' : differenceOf(told, mine, devices, originNs);
    if (difference !== '' && proof.complaints.length < MOST_COMPLAINTS)
      proof.complaints.push(`${where}: ${difference}: ${JSON.stringify(line)}`);
  });
}

/** '' when both say the same. */
export function differenceOf(
  told: ToldByRegex,
  events: readonly RecordedEvent[],
  devices: readonly string[],
  originNs: bigint,
): string {
  const [event, ...segments] = events;
  if (event === undefined) return 'not understood';
  const mine = seen(event, devices);
  const { at, iova, physical, lengthBytes, iovas, sizes, physicals, ...rest } = told;
  if (BigInt(event.timeNs) !== at - originNs) return `time ${event.timeNs}`;
  for (const [name, value] of Object.entries(rest))
    if (mine[name] !== value) return `${name} is ${mine[name]}, not ${value}`;
  if (iovas === undefined || sizes === undefined || physicals === undefined) {
    const address = (value: bigint | undefined) => (value === undefined ? undefined : `0x${value.toString(16)}`);
    if (mine.iova !== address(iova)) return `iova is ${mine.iova}`;
    if (mine.physical !== address(physical)) return `physical is ${mine.physical}`;
    return mine.lengthBytes === (lengthBytes === undefined ? undefined : Number(lengthBytes)) ? '' : 'the size differs';
  }
  if (segments.some(({ kind }) => kind !== EVENT_KINDS.segment)) return 'a segment is none';
  const column = (page: 'iovaPage' | 'physicalPage', offset: 'iovaOffset' | 'physicalOffset') =>
    segments.filter((each) => each[page] !== ABSENT).map((each) => hexOf(each[page], each[offset]));
  const hexes = (values: bigint[]) => values.map((value) => `0x${value.toString(16)}`).join();
  if (column('iovaPage', 'iovaOffset').join() !== hexes(iovas)) return 'IOVAs differ';
  if (column('physicalPage', 'physicalOffset').join() !== hexes(physicals)) return 'physical addresses differ';
  const lengths = segments.filter(({ iovaPage }) => iovaPage !== ABSENT).map((each) => each.lengthBytes);
  return lengths.join() === sizes.join() ? '' : 'sizes differ';
}

/**
 * From the bytes of an upload to a trace that is ready or has failed: whose turn it is (`reader.ts`), what the reader tells, and what is
 * kept of it. Reading may begin while bytes still arrive, and begins anew after the server ended meanwhile.
 */
import type { HostLogger } from '../../host/logger.ts';
import { messageOf } from '../../host/problems.ts';
import type { TraceFacts } from '../store.ts';
import type { TapeSeal } from '../tape.ts';
import { blankReading, type TraceProblem, type TraceReading } from '../trace.ts';
import type { Entry } from './entry.ts';
import type { TraceFolder } from './folder.ts';
import type { ArchiveLimits } from './limits.ts';
import { type FromReader, Readers } from './reader.ts';
import type { Register } from './register.ts';
import type { Room } from './room.ts';

export interface ReadingParts {
  folder: TraceFolder;
  register: Register;
  room: Room;
  limits: Readonly<ArchiveLimits>;
  logger: HostLogger;
  nowMs(): number;
  /** Module in the place of the importer; null: the importer. */
  importer: string | null;
}

export class Reading {
  private readonly parts: ReadingParts;
  private readonly readers: Readers;
  /** Since the start. */
  readonly counted = { readLines: 0, readEvents: 0, failures: 0 };

  constructor(parts: ReadingParts) {
    this.parts = parts;
    this.readers = new Readers(parts.limits, () => performance.now());
  }

  /** Threads that read. */
  get busy(): number {
    return this.readers.busy;
  }

  get queued(): number {
    return this.readers.queued;
  }

  /** Nothing is told of any trace after it. */
  close(): Promise<void> {
    return this.readers.close();
  }

  start(entry: Entry): void {
    const { folder, room, limits, importer } = this.parts;
    const { facts } = entry;
    const task = () => ({
      upload: folder.uploadPath(facts.id),
      tape: folder.writtenTapePath(facts.id),
      encoding: facts.input.encoding,
      format: facts.input.format,
      strict: facts.input.strict,
      options: facts.input.options,
      largestTapeBytes: room.forTape(facts.owner),
      unpackedBytes: limits.unpackedBytes,
      ratio: limits.ratio,
      freeUnpackedBytes: limits.freeUnpackedBytes,
      importer,
    });
    entry.reader = this.readers.read(
      task,
      (message) => {
        // Its turn has come, perhaps not for the first time; or it has given its place away.
        if (message.kind === 'begun' || message.kind === 'left') this.begin(entry, message.kind === 'begun');
        else this.hear(entry, message);
        for (const go of entry.caughtUp.splice(0)) go();
      },
      facts.bytes,
      facts.state === 'reading',
    );
  }

  /** More bytes are there, or all. */
  more(entry: Entry): void {
    const { bytes, state } = entry.facts;
    // It may have failed, or be deleted, while the bytes were written.
    if (entry.gone || state === 'failed') return;
    if (entry.reader === null) this.start(entry);
    else entry.reader.more(bytes, state === 'reading');
  }

  private begin(entry: Entry, isRead: boolean): void {
    const { folder } = this.parts;
    const { id, input } = entry.facts;
    if (isRead) folder.countBeginning(id);
    else folder.forgetBeginnings(id);
    entry.read = 0;
    entry.readsTapeBytes = 0;
    entry.reading = blankReading(input.format);
    entry.devices = [];
    entry.lines = 0;
    entry.events = 0;
  }

  private hear(entry: Entry, message: FromReader): void {
    entry.read = message.read;
    entry.devices.push(...message.devices);
    if (message.reading !== null) this.count(entry, message.reading);
    if (message.kind === 'progress') {
      entry.readsTapeBytes = message.tapeBytes;
      entry.facts.records = message.records;
    } else if (message.kind === 'ended') this.ready(entry, message.seal);
    else this.fail(entry, message.problem);
  }

  private count(entry: Entry, reading: TraceReading): void {
    const events = Object.values(reading.events).reduce((sum, count) => sum + count, 0);
    this.counted.readLines += Math.max(0, reading.lines.total - entry.lines);
    this.counted.readEvents += Math.max(0, events - entry.events);
    entry.lines = reading.lines.total;
    entry.events = events;
    entry.reading = reading;
  }

  private ready(entry: Entry, { digest, records, bytes }: TapeSeal): void {
    const { facts } = entry;
    try {
      this.parts.folder.keepTape(facts.id, digest);
      this.end(entry, { ...facts, state: 'ready', ended: this.now(), digest, records, tapeBytes: bytes }, null);
    } catch (error) {
      this.parts.logger.error({ err: error }, 'a trace that was read cannot be written down');
      this.fail(entry, { code: 'storage-unavailable', detail: `What was read cannot be kept: ${messageOf(error)}.` });
    }
  }

  /** It cannot be read, and will not be. */
  fail(entry: Entry, problem: TraceProblem): void {
    const { facts } = entry;
    this.counted.failures++;
    const ended = this.now();
    entry.problem = problem;
    try {
      this.end(entry, { ...facts, state: 'failed', ended, digest: null, records: 0, tapeBytes: 0 }, problem);
    } catch (error) {
      // At the next start it is read again.
      this.parts.logger.error({ err: error }, 'that a trace failed cannot be written down');
      facts.state = 'failed';
      facts.ended = ended;
    }
  }

  private end(entry: Entry, facts: TraceFacts, problem: TraceProblem | null): void {
    this.parts.register.end(entry, facts, problem);
    entry.reader = null;
    entry.readsTapeBytes = 0;
    entry.reading = blankReading(facts.input.format);
    entry.devices = [];
    entry.active?.stop.abort();
    this.parts.folder.removeUpload(facts.id);
  }

  private now(): string {
    return new Date(this.parts.nowMs()).toISOString();
  }
}

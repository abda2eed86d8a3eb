/**
 * Bytes of a recording -> events, in one pass, in bounded memory, without I/O: whoever has the bytes writes them here in chunks of any
 * size, `sink` gets the events meanwhile, `summary` tells at any time what was understood so far.
 */

import type { EventSink, SkippedLines } from './event.ts';
import type { FormatReader } from './formats/format.ts';
import { formats } from './formats/index.ts';
import { checkOptions } from './formats/options.ts';
import { Recogniser } from './formats/recogniser.ts';
import { ImportError } from './import-error.ts';
import { Intake } from './intake.ts';

export interface ImporterSettings {
  /** One of `formats`, or `auto`: told by the first 64 KiB. */
  format: string;
  /** Of the format, as its schema has them, and those of COMMON_OPTIONS. */
  options?: Readonly<Record<string, unknown>>;
  /** The first line that is not understood ends the import. */
  strict?: boolean;
  sink: EventSink;
}

export interface ImportSummary {
  /** null: `auto`, and not told yet. */
  format: string | null;
  /** Why `auto` took it for this format; null when the format was named. */
  recognisedBy: string | null;
  bytes: number;
  /** `total` is the sum of all others. Of pcap, packets and blocks. */
  lines: { total: number; understood: number; comments: number; blank: number; skipped: SkippedLines[] };
  /** By the name of their kind in EVENT_KINDS. */
  events: Record<string, number>;
  /** As recorded, in the order in which they are first named. */
  devices: string[];
  openMaps: number;
  unmatchedUnmaps: number;
  /** As far as the kernel said how many. */
  lostEvents: number;
  /** Events whose time is before that of the event above, and of the event above on the same CPU. */
  clockSteps: number;
  clockStepsOnCpu: number;
  /** What the times count from, as printed; null before the first event. */
  origin: { seconds: number; nanoseconds: number } | null;
  warnings: string[];
}

export interface Importer {
  /** Throws an ImportError, or what the sink throws; the import has ended then. The bytes may be used again when it returns. */
  write(chunk: Uint8Array): void;
  /** There is no more. */
  end(): void;
  summary(): ImportSummary;
}

/** Throws an ImportError for a format or options that there are not. */
export function createImporter({ format, options = {}, strict = false, sink }: ImporterSettings): Importer {
  return new FormatImporter({ format, options, strict, sink });
}

class FormatImporter implements Importer {
  private readonly intake: Intake;
  private readonly recogniser: Recogniser | null;
  private readonly options: Readonly<Record<string, unknown>>;
  private reader: FormatReader | null = null;
  private format: string | null = null;
  private recognisedBy: string | null = null;
  private bytes = 0;
  private ended = false;

  constructor({ format, options, strict, sink }: Required<ImporterSettings>) {
    const entry = formats[format];
    if (format !== 'auto' && (entry === undefined || !Object.hasOwn(formats, format)))
      throw new ImportError(
        'invalid-options',
        `there is no format ${format}; there are auto, ${Object.keys(formats).join(', ')}`,
      );
    this.options = checkOptions(entry ?? null, options);
    const mergeWindow = this.options.order === 'merged' ? (this.options.mergeWindow as number) : 0;
    this.intake = new Intake({ sink, strict, mergeWindow });
    this.recogniser = entry === undefined ? new Recogniser() : null;
    if (entry !== undefined) this.open(format);
  }

  write(chunk: Uint8Array): void {
    this.assertOpen();
    this.bytes += chunk.length;
    this.guarded(() => {
      if (this.reader !== null) this.reader.write(chunk);
      else if (this.recogniser!.take(chunk)) this.recognise();
    });
  }

  end(): void {
    this.assertOpen();
    this.guarded(() => {
      if (this.reader === null) this.recognise();
      this.reader!.end();
      this.intake.end();
    });
    this.ended = true;
  }

  summary(): ImportSummary {
    const { intake } = this;
    const { account, clock, joiner } = intake;
    return {
      format: this.format,
      recognisedBy: this.recognisedBy,
      bytes: this.bytes,
      lines: account.lines(),
      events: intake.eventCounts(),
      devices: [...intake.deviceNames],
      openMaps: joiner.openMaps,
      unmatchedUnmaps: joiner.unmatchedUnmaps,
      lostEvents: intake.lostEvents,
      clockSteps: clock.steps,
      clockStepsOnCpu: clock.stepsOnCpu,
      origin: clock.isBegun ? { seconds: clock.originSeconds, nanoseconds: clock.originNanoseconds } : null,
      warnings: [...account.warnings(), ...this.countedWarnings()],
    };
  }

  /** What is counted elsewhere and matters only when it happened. */
  private countedWarnings(): string[] {
    const { mergedLate, joiner } = this.intake;
    const warnings: string[] = [];
    const many = (count: number, one: string) => `${count} ${one}${count === 1 ? '' : 's'}`;
    if (mergedLate > 0)
      warnings.push(`${many(mergedLate, 'event')} came later than the window in which CPUs are merged`);
    if (joiner.ambiguous > 0)
      warnings.push(
        `${many(joiner.ambiguous, 'iommu:unmap line')} may have ended the map of another domain at the same address`,
      );
    if (joiner.forgotten > 0)
      warnings.push(`${many(joiner.forgotten, 'map')} not followed: too many are open at a time`);
    return warnings;
  }

  private recognise(): void {
    const { format, why } = this.recogniser!.decide();
    this.recognisedBy = why;
    this.open(format);
    for (const chunk of this.recogniser!.held()) this.reader!.write(chunk);
  }

  private open(format: string): void {
    this.format = format;
    this.reader = formats[format]!.open(this.intake, this.options);
  }

  /** What has thrown in the middle of a line is not gone on with. */
  private guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.ended = true;
      throw error;
    }
  }

  private assertOpen(): void {
    if (this.ended) throw new Error('the import has ended');
  }
}

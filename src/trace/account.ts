/**
 * The account of an import: every line of the recording is understood, skipped for a reason, a comment or blank, and is counted as that
 * once. What a recording can make grow is bounded: reasons that are not among the first MOST_REASONS are counted as one.
 */
import type { SkippedLines } from './event.ts';
import { ImportError } from './import-error.ts';

export const MOST_REASONS = 64;
export const OTHER_REASONS = 'other reasons';
const MOST_WARNINGS = 64;

export class Account {
  private readonly strict: boolean;
  private readonly reasons = new Map<string, SkippedLines>();
  private readonly warned = new Map<string, number>();
  /** Lines that have begun; the number of the one in progress. */
  line = 0;
  understood = 0;
  comments = 0;
  blank = 0;

  constructor(strict: boolean) {
    this.strict = strict;
  }

  /** The line in progress is not understood. Throws when that ends the import. */
  skip(reason: string): void {
    if (this.strict) throw new ImportError('not-understood', `line ${this.line}: ${reason}`, { line: this.line });
    let known = this.reasons.get(reason);
    if (known === undefined) {
      const name = this.reasons.size < MOST_REASONS ? reason : OTHER_REASONS;
      known = this.reasons.get(name);
      if (known === undefined) {
        known = { reason: name, count: 0, firstLine: this.line };
        this.reasons.set(name, known);
      }
    }
    known.count++;
  }

  /** What a reader of the summary should know besides; counted when it is said again. */
  warn(text: string): void {
    if (!this.warned.has(text) && this.warned.size >= MOST_WARNINGS) return;
    this.warned.set(text, (this.warned.get(text) ?? 0) + 1);
  }

  lines(): { total: number; understood: number; comments: number; blank: number; skipped: SkippedLines[] } {
    const { line, understood, comments, blank } = this;
    const skipped = [...this.reasons.values()].map((each) => ({ ...each }));
    return { total: line, understood, comments, blank, skipped };
  }

  warnings(): string[] {
    return [...this.warned].map(([text, count]) => (count === 1 ? text : `${text} (${count} times)`));
  }
}

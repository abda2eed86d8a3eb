/**
 * Where a command writes: results to stdout, all else to stderr. Colours only where a person looks on, and not with `NO_COLOR`; a reader
 * that goes away (`| head -1`) is no error.
 */
import { styleText } from 'node:util';
import { wrapped } from './wrapping.ts';

type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow';

const NARROWEST = 20;

/** Of stdout; without a terminal, which never wraps, what `COLUMNS` says, or as wide as it likes. */
function widthOf(): number {
  if (process.stdout.isTTY && process.stdout.columns > 0) return Math.max(NARROWEST, process.stdout.columns);
  const given = Number(process.env.COLUMNS);
  return Number.isInteger(given) && given >= NARROWEST ? given : Number.POSITIVE_INFINITY;
}

export class Terminal {
  readonly width = widthOf();

  constructor() {
    for (const stream of [process.stdout, process.stderr])
      stream.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EPIPE') throw error;
      });
  }

  out(text: string): void {
    if (process.stdout.writable) process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
  }

  err(text: string): void {
    if (process.stderr.writable) process.stderr.write(text.endsWith('\n') ? text : `${text}\n`);
  }

  /** The one document of `--json`. */
  json(document: unknown): void {
    this.out(JSON.stringify(document, null, 2));
  }

  /** A heading, or a remark, in the lines of the terminal. */
  prose(text: string, style?: Style): void {
    for (const line of wrapped(text, Math.min(this.width, 100)))
      this.out(style === undefined ? line : this.style(style, line));
  }

  style(style: Style, text: string): string {
    return styleText(style, text, { stream: process.stdout });
  }
}

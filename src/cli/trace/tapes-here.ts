/**
 * Recordings in files of this machine, for simulations of this process: each is read once, onto a tape in a folder that goes when the
 * command has ended. Nothing is kept for the next command, so nothing can be out of date.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tapePath } from '../../trace/archive/uses.ts';
import { TapeError, TapeWriter } from '../../trace/tape.ts';
import { EXIT, Failure } from '../failure.ts';
import type { RecordingHere } from '../place.ts';
import { type ReadHere, readHere } from './read-here.ts';

export class TapesHere {
  /** Made with the first tape. */
  readonly folder = join(tmpdir(), `iommu-lab-${process.pid}-${randomBytes(6).toString('hex')}`);
  /** [path of a recording]. */
  private readonly known = new Map<string, Promise<RecordingHere>>();
  private readonly remove = () => rmSync(this.folder, { recursive: true, force: true });

  tapeOf(path: string, onBytes: (done: number, total: number) => void, signal: AbortSignal): Promise<RecordingHere> {
    let tape = this.known.get(path);
    if (tape === undefined) this.known.set(path, (tape = this.make(path, onBytes, signal)));
    return tape;
  }

  private async make(path: string, onBytes: (done: number, total: number) => void, signal: AbortSignal) {
    if (this.known.size === 0) {
      mkdirSync(this.folder, { mode: 0o700 });
      // Also where a second Ctrl-C ends it at once.
      process.once('exit', this.remove);
    }
    const unsealed = join(this.folder, `${this.known.size}.unsealed`);
    let tape: TapeWriter | null = null;
    try {
      tape = new TapeWriter(unsealed);
      const reading = await readHere(path, { format: 'auto', strict: false, options: {} }, onBytes, signal, tape);
      if (reading.problem !== null)
        throw new Failure(EXIT.usage, `${path} cannot be replayed: ${said(reading.problem)}`);
      const { digest } = tape.seal(reading);
      renameSync(unsealed, tapePath(this.folder, digest));
      return { digest, skippedLines: skippedIn(reading), lines: reading.lines.total };
    } catch (error) {
      tape?.abandon();
      if (!(error instanceof TapeError)) throw error;
      throw new Failure(EXIT.answer, `${path} cannot be put onto a tape in ${tmpdir()}: ${error.message}`);
    }
  }

  close(): void {
    process.off('exit', this.remove);
    this.remove();
  }
}

function said({ detail, line }: NonNullable<ReadHere['problem']>): string {
  return line === undefined ? detail : `line ${line}: ${detail}`;
}

function skippedIn({ lines }: ReadHere): number {
  return lines.skipped.reduce((sum, { count }) => sum + count, 0);
}

/** The file of a tape, which never changes: it may be closed and opened again between two reads. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { fileError, TapeError } from './layout.ts';

export class TapeFile {
  readonly path: string;
  private descriptor: number | null;
  private closed = false;

  constructor(path: string) {
    this.path = path;
    this.descriptor = this.open();
  }

  private open(): number {
    try {
      return openSync(this.path, 'r');
    } catch (error) {
      throw fileError(this.path, error, 'opened');
    }
  }

  get size(): number {
    return this.with((descriptor) => fstatSync(descriptor).size);
  }

  /** Fills it. @throws TapeError */
  read(into: Buffer, offset: number): Buffer {
    return this.with((descriptor) => readAt(this.path, descriptor, into, offset));
  }

  private with<T>(use: (descriptor: number) => T): T {
    if (this.descriptor !== null) return use(this.descriptor);
    if (this.closed) throw new TypeError(`the tape ${this.path} was closed`);
    const descriptor = this.open();
    try {
      return use(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }

  /** Closes it until it is read again. */
  park(): void {
    if (this.descriptor !== null) closeSync(this.descriptor);
    this.descriptor = null;
  }

  close(): void {
    this.park();
    this.closed = true;
  }
}

function readAt(path: string, file: number, into: Buffer, offset: number): Buffer {
  let filled = 0;
  try {
    while (filled < into.length) {
      const bytes = readSync(file, into, filled, into.length - filled, offset + filled);
      if (bytes === 0) throw new TapeError('damaged', path, 'the file ends there.', offset + filled);
      filled += bytes;
    }
  } catch (error) {
    if (error instanceof TapeError) throw error;
    throw fileError(path, error, 'read');
  }
  return into;
}

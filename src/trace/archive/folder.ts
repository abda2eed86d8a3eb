/**
 * The files of traces:
 *
 *     <id>.upload       bytes as they came, until they are read
 *     <id>.reading      how often reading them was begun
 *     <id>.tape         the tape that a reader writes, with .part and .late beside it
 *     <digest>.tape     one that is ready; .going while it is being deleted
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TraceFacts } from '../store.ts';
import { marks, tapePath, unmarkUse } from './uses.ts';

export class TraceFolder {
  readonly path: string;

  /** Made when it is not there. @throws what the file system says */
  constructor(path: string) {
    this.path = path;
    mkdirSync(path, { recursive: true, mode: 0o700 });
  }

  uploadPath(id: string): string {
    return join(this.path, `${id}.upload`);
  }

  /** Of the tape that its reader writes. */
  writtenTapePath(id: string): string {
    return join(this.path, `${id}.tape`);
  }

  private beginningsPath(id: string): string {
    return join(this.path, `${id}.reading`);
  }

  uploadedBytes(id: string): number {
    return statSync(this.uploadPath(id), { throwIfNoEntry: false })?.size ?? 0;
  }

  /** Without coming to an end in order: a recording that the server ends over must not end it for ever. */
  timesBegun(id: string): number {
    try {
      return Number(readFileSync(this.beginningsPath(id), 'utf8'));
    } catch {
      return 0;
    }
  }

  countBeginning(id: string): void {
    writeFileSync(this.beginningsPath(id), String(this.timesBegun(id) + 1));
  }

  /** Reading it stopped in order. */
  forgetBeginnings(id: string): void {
    rmSync(this.beginningsPath(id), { force: true });
  }

  /** What a reader wrote is the tape with this digest. */
  keepTape(id: string, digest: string): void {
    const written = this.writtenTapePath(id);
    const path = tapePath(this.path, digest);
    // The same content is the same tape.
    if (existsSync(path)) rmSync(written, { force: true });
    else renameSync(written, path);
  }

  /** Reading it came to an end. */
  removeUpload(id: string): void {
    rmSync(this.uploadPath(id), { force: true });
    this.forgetBeginnings(id);
  }

  /** All but a tape that is ready. */
  remove(id: string): void {
    this.removeUpload(id);
    const tape = this.writtenTapePath(id);
    for (const rest of [tape, `${tape}.part`, `${tape}.late`]) rmSync(rest, { force: true });
  }

  /**
   * Removes what belongs to no trace: of one that was deleted, or a tape under way when the server ended.
   *
   * @param known all traces
   * @param hasSession whether there is a session: its tapes stay
   */
  tidy(known: Iterable<TraceFacts>, hasSession: (session: string) => boolean): void {
    const kept = new Set<string>();
    for (const facts of known) {
      if (facts.state === 'uploading' || facts.state === 'reading')
        kept.add(`${facts.id}.upload`).add(`${facts.id}.reading`);
      if (facts.digest !== null) kept.add(`${facts.digest}.tape`);
    }
    for (const { digest, session } of marks(this.path)) {
      if (hasSession(session)) kept.add(`${digest}.tape`);
      else unmarkUse(this.path, digest, session);
    }
    for (const name of readdirSync(this.path)) {
      if (!/\.(upload|reading|tape|part|late|going)$/.test(name) || kept.has(name)) continue;
      const back = name.replace(/\.going$/, '');
      // A deletion that was under way and had not been decided.
      if (back !== name && kept.has(back)) renameSync(join(this.path, name), join(this.path, back));
      else rmSync(join(this.path, name), { force: true });
    }
  }
}

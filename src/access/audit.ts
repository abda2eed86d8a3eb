/**
 * Who did what: a line of JSON for each request that changes something and for each that is refused, in `audit-<n>.jsonl` in the data
 * folder. A file that is full is followed by the next one; the oldest goes when there are too many.
 *
 * A line is written some milliseconds after its reply: requests do not wait for it, and a crash can lose the last ones. Where no line
 * can be written, as on a full disk, the server goes on, and the next line that can says how many are missing.
 */
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { withoutSecrets } from './secrets.ts';

export interface AuditEntry {
  /** ISO 8601. */
  time: string;
  /** Null where nobody could be made out. */
  principal: string | null;
  /** Id of the token or link. */
  credential: string | null;
  /** `operationId` of the contract; method and path pattern of what it does not have. */
  action: string;
  /** As the client named it. */
  session?: string;
  /** What else the path names: a token, a grant, a device. */
  target?: string;
  /** Where what was created is. */
  created?: string;
  status: number;
  /** Of the problem. */
  code?: string;
  requestId: string;
  address?: string;
}

export interface AuditLimits {
  fileBytes: number;
  files: number;
  /** How long lines are gathered. */
  gatherMs: number;
}

export interface AuditPage {
  items: AuditEntry[];
  /** Where the next, older page ends; null at the oldest line. */
  next: AuditPosition | null;
}

export interface AuditPosition {
  file: number;
  offset: number;
}

const LIMITS: AuditLimits = { fileBytes: 16 * 1_048_576, files: 8, gatherMs: 20 };
const NAME_FORM = /^audit-([0-9]{1,9})\.jsonl$/;
const BLOCK = 65_536;
const LINE_END = 10;

export class AuditLog {
  private readonly folder: string;
  private readonly limits: AuditLimits;
  private readonly failed: (error: unknown) => void;
  private waiting: string[] = [];
  private timer: NodeJS.Timeout | null = null;
  private file = 0;
  private handle: number | null = null;
  private bytes = 0;
  private missing = 0;

  /** @param failed told of the first of each row of failures to write */
  constructor(folder: string, limits: Partial<AuditLimits> = {}, failed: (error: unknown) => void = () => {}) {
    this.folder = folder;
    this.limits = { ...LIMITS, ...limits };
    this.failed = failed;
  }

  append(entry: AuditEntry): void {
    // What a client may have written into a name by mistake stays out, too.
    this.waiting.push(`${withoutSecrets(JSON.stringify(entry))}\n`);
    if (this.timer !== null) return;
    this.timer = setTimeout(() => this.flush(), this.limits.gatherMs);
    this.timer.unref();
  }

  flush(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    const lines = this.waiting;
    if (lines.length === 0) return;
    this.waiting = [];
    try {
      if (this.handle === null || this.bytes >= this.limits.fileBytes) this.nextFile();
      if (this.missing > 0)
        lines.unshift(`${JSON.stringify({ time: new Date().toISOString(), missing: this.missing })}\n`);
      this.write(Buffer.from(lines.join('')));
      this.missing = 0;
    } catch (error) {
      if (this.missing === 0) this.failed(error);
      this.missing += lines.length;
    }
  }

  private write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.handle!, bytes, at);
    this.bytes += bytes.length;
  }

  /** Goes on in the newest file, or in a new one when that is full. */
  private nextFile(): void {
    this.closeFile();
    const files = this.filesThere();
    let file = Math.max(this.file, files.at(-1) ?? 1);
    if (this.sizeOf(file) >= this.limits.fileBytes) file++;
    const handle = openSync(this.pathOf(file), 'a+', 0o600);
    this.handle = handle;
    this.file = file;
    this.bytes = fstatSync(handle).size;
    // A line that a crash cut short is closed, so that the next one is a line.
    const last = Buffer.alloc(1);
    if (this.bytes > 0 && readSync(handle, last, 0, 1, this.bytes - 1) === 1 && last[0] !== LINE_END) {
      this.write(Buffer.from('\n'));
    }
    for (const old of files.filter((there) => there <= file - this.limits.files))
      rmSync(this.pathOf(old), { force: true });
  }

  /** Newest first. @param before where an earlier page ended; absent: from the newest line on */
  page(limit: number, before?: AuditPosition): AuditPage {
    this.flush();
    const items: AuditEntry[] = [];
    const files = this.filesThere().reverse();
    for (const file of files) {
      if (before !== undefined && file > before.file) continue;
      const end = before?.file === file ? Math.min(before.offset, this.sizeOf(file)) : this.sizeOf(file);
      for (const { line, offset } of linesBackwards(this.pathOf(file), end)) {
        const entry = entryOf(line);
        if (entry === null) continue;
        items.push(entry);
        if (items.length < limit) continue;
        const oldest = offset === 0 && file === files.at(-1);
        return { items, next: oldest ? null : { file, offset } };
      }
    }
    return { items, next: null };
  }

  close(): void {
    this.flush();
    this.closeFile();
  }

  private closeFile(): void {
    if (this.handle !== null) closeSync(this.handle);
    this.handle = null;
  }

  /** Rising. */
  private filesThere(): number[] {
    const numbers = readdirSync(this.folder).map((name) => Number(NAME_FORM.exec(name)?.[1] ?? 0));
    return numbers.filter((number) => number > 0).sort((a, b) => a - b);
  }

  private pathOf(file: number): string {
    return join(this.folder, `audit-${file}.jsonl`);
  }

  private sizeOf(file: number): number {
    const path = this.pathOf(file);
    if (!existsSync(path)) return 0;
    const handle = openSync(path, 'r');
    try {
      return fstatSync(handle).size;
    } finally {
      closeSync(handle);
    }
  }
}

/** A line that a crash or a full disk left behind is passed over. */
function entryOf(line: string): AuditEntry | null {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === 'object' && entry !== null ? (entry as AuditEntry) : null;
  } catch {
    return null;
  }
}

/** The whole lines of a file before `end`, last one first, each with where it begins. */
function* linesBackwards(path: string, end: number): Generator<{ line: string; offset: number }> {
  const handle = openSync(path, 'r');
  try {
    let rest: Buffer = Buffer.alloc(0);
    let at = end;
    while (at > 0) {
      const length = Math.min(BLOCK, at);
      const block = Buffer.alloc(length);
      readSync(handle, block, 0, length, at - length);
      at -= length;
      const text = Buffer.concat([block, rest]);
      let lineEnd = text.length;
      for (let cut = text.lastIndexOf(LINE_END, lineEnd - 2); cut !== -1; ) {
        yield { line: text.toString('utf8', cut + 1, lineEnd), offset: at + cut + 1 };
        lineEnd = cut + 1;
        cut = lineEnd < 2 ? -1 : text.lastIndexOf(LINE_END, lineEnd - 2);
      }
      rest = text.subarray(0, lineEnd);
    }
    if (rest.length > 0) yield { line: rest.toString('utf8'), offset: 0 };
  } finally {
    closeSync(handle);
  }
}

/**
 * What an export says of its session in comments: `# iommu_lab: <word> <piece>/<pieces> <JSON>`, the JSON in ASCII and in pieces, since a
 * line of a recording has an end. The other way round they are a session again: spec, records, digest.
 */
import type { HistoryRecord } from '../../host/history.ts';

export type { HistoryRecord };

/** Characters of JSON in one comment; with what stands before it, it is shorter than the longest line. */
const PIECE = 3072;
/** Pieces of one value that are read: 64 MiB. */
const MOST_PIECES = 21_846;

type Word = 'session' | 'record' | 'end';

/** Bytes that are not ASCII are escaped, so that pieces can be cut anywhere but in an escape, which a reader joins before it parses. */
function ascii(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export function* notesOf(word: Word, value: unknown): Generator<string> {
  const text = ascii(value);
  const pieces = Math.ceil(text.length / PIECE);
  for (let piece = 0; piece < pieces; piece++)
    yield `${word} ${piece + 1}/${pieces} ${text.slice(piece * PIECE, (piece + 1) * PIECE)}`;
}

export interface NotedSession {
  coreVersion: string;
  spec: Record<string, unknown>;
  records: HistoryRecord[];
  digest: string | null;
}

const FORM = /^(session|record|end) (\d{1,5})\/(\d{1,5}) (.*)$/;

/** Puts a session together from the comments of a recording, in their order. */
export class SessionNotes {
  private readonly session: NotedSession = { coreVersion: '', spec: {}, records: [], digest: null };
  private found = false;
  private pieces: string[] = [];
  private word = '';
  private expected = 0;
  /** Comments that are none of these, or do not go on where the one before left off. */
  skipped = 0;

  /** @param text without `# iommu_lab: ` */
  note(text: string): void {
    const match = FORM.exec(text);
    if (match === null) {
      this.skipped++;
      return;
    }
    const [, word, pieceText, ofText, json] = match as unknown as [string, Word, string, string, string];
    const piece = Number(pieceText);
    const of = Number(ofText);
    if (piece === 1) {
      this.pieces = [];
      this.word = word;
      this.expected = of;
    }
    if (word !== this.word || of !== this.expected || piece !== this.pieces.length + 1 || of > MOST_PIECES) {
      this.skipped++;
      this.pieces = [];
      return;
    }
    this.pieces.push(json);
    if (piece < of) return;
    const whole = this.pieces.join('');
    this.pieces = [];
    try {
      this.take(word, JSON.parse(whole));
    } catch {
      this.skipped++;
    }
  }

  private take(word: Word, value: unknown): void {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.skipped++;
      return;
    }
    const members = value as Record<string, unknown>;
    const { session } = this;
    if (word === 'session') {
      const { coreVersion, spec } = members;
      if (typeof coreVersion !== 'string' || typeof spec !== 'object' || spec === null || Array.isArray(spec))
        this.skipped++;
      else {
        this.found = true;
        session.coreVersion = coreVersion;
        session.spec = spec as Record<string, unknown>;
      }
    } else if (word === 'record') session.records.push(value as HistoryRecord);
    else session.digest = typeof members.digest === 'string' ? members.digest : null;
  }

  /** The session, or null where the recording says of none. What the records are is the caller's to check. */
  get(): NotedSession | null {
    return this.found ? this.session : null;
  }
}

const COMMENT = '# iommu_lab: ';

/** The session of a whole text: of one that is small enough to be in memory. */
export function sessionOfText(text: string): NotedSession | null {
  const notes = new SessionNotes();
  for (const line of text.split('\n')) if (line.startsWith(COMMENT)) notes.note(line.slice(COMMENT.length));
  return notes.get();
}

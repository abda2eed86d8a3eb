/** `auto`: the first 64 KiB are held back and looked at; each format says why it is the one, or that it is not. */
import { ImportError } from '../import-error.ts';
import { textOf } from '../names.ts';
import type { Head } from './format.ts';
import { formats } from './index.ts';

const LOOKED_AT = 65_536;
const MOST_LINES = 200;
const LONGEST_SHOWN = 80;

export class Recogniser {
  private readonly chunks: Uint8Array[] = [];
  private bytes = 0;

  /** @returns whether there is enough to decide */
  take(chunk: Uint8Array): boolean {
    this.bytes += chunk.length;
    const isEnough = this.bytes >= LOOKED_AT;
    // The last one is read before its bytes are used again.
    this.chunks.push(isEnough ? chunk : chunk.slice());
    return isEnough;
  }

  /** Throws an ImportError when no format is it, saying which were tried. */
  decide(): { format: string; why: string } {
    const head = this.head();
    for (const { kind, recognise } of Object.values(formats)) {
      const why = recognise(head);
      if (why !== null) return { format: kind, why };
    }
    throw new ImportError('unrecognised', `none of the formats is recognised: ${tried()}. ${shown(head)}`);
  }

  /** What was held back, to be read now; nothing is held any more. */
  held(): Uint8Array[] {
    return this.chunks.splice(0);
  }

  private head(): Head {
    const bytes = new Uint8Array(Math.min(this.bytes, LOOKED_AT));
    let at = 0;
    for (const chunk of this.chunks) {
      const room = Math.min(chunk.length, bytes.length - at);
      bytes.set(chunk.subarray(0, room), at);
      at += room;
      if (at === bytes.length) break;
    }
    const pieces = textOf(bytes, 0, bytes.length).split(/\r?\n/);
    // The last one may be cut, unless there is no more.
    if (pieces.length > 1 && this.bytes > bytes.length) pieces.pop();
    const filled = pieces.filter((piece) => piece.trim() !== '');
    return {
      bytes,
      lines: filled.filter((piece) => !piece.startsWith('#')).slice(0, MOST_LINES),
      comments: filled
        .filter((piece) => piece.startsWith('#'))
        .slice(0, MOST_LINES)
        .map((piece) => piece.slice(1)),
    };
  }
}

function tried(): string {
  return Object.values(formats)
    .flatMap(({ kind, recognisedBy }) => (recognisedBy === null ? [] : [`${kind} (${recognisedBy})`]))
    .join(', ');
}

function shown({ bytes, lines }: Head): string {
  if (bytes.length === 0) return 'It is empty.';
  const [first] = lines;
  return first === undefined
    ? 'It has comments and blank lines only.'
    : `It begins: ${JSON.stringify(first.slice(0, LONGEST_SHOWN))}`;
}

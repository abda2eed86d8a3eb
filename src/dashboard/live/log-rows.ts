/** The rows of the log, by hand: new lines come in above in the rows of those that drop out, so that a log that runs makes no elements. */
import { duration } from '../format.ts';
import { verdictVariable } from '../palette.ts';
import type { LogLine } from './log.ts';

interface Row {
  element: HTMLElement;
  shown: LogLine;
  /** Time, kind, text, and more. */
  words: readonly Text[];
}

export class LogRows {
  private readonly place: HTMLElement;
  private readonly rows: Row[] = [];

  constructor(place: HTMLElement) {
    this.place = place;
  }

  /** @param lines the newest first */
  show(lines: readonly LogLine[]): void {
    const { place, rows } = this;
    const newest = rows[0]?.shown.serial;
    const fresh = lines.findIndex(({ serial }) => serial === newest);
    for (let i = fresh - 1; i >= 0; i--) {
      const line = lines[i] as LogLine;
      const row = rows.length < lines.length ? made(line) : (rows.pop() as Row);
      write(row, line);
      place.prepend(row.element);
      rows.unshift(row);
    }
    for (const [i, line] of lines.entries()) {
      if (i === rows.length) rows.push(made(line));
      const row = rows[i] as Row;
      if (row.element.parentNode === null) place.append(row.element);
      // Another worker numbers from the beginning.
      if (row.shown.serial !== line.serial || row.shown.text !== line.text) write(row, line);
    }
    for (const { element } of rows.splice(lines.length)) element.remove();
  }
}

function made(line: LogLine): Row {
  const element = document.createElement('div');
  const [at, what, all] = ['at faint', 'what', 'text'].map((name) => part(element, 'span', name)) as [
    HTMLElement,
    HTMLElement,
    HTMLElement,
  ];
  const places = [at, what, part(all, 'code', ''), part(all, 'span', 'more faint')];
  const words = places.map((each) => each.appendChild(new Text()));
  const row = { element, shown: line, words };
  write(row, line);
  return row;
}

function part(of: HTMLElement, tag: string, name: string): HTMLElement {
  const element = document.createElement(tag);
  element.className = name;
  return of.appendChild(element);
}

function write(row: Row, line: LogLine): void {
  const { kind, timeNs, what, text, more } = line;
  const isVerdict = kind === 'verdict';
  row.shown = line;
  row.element.className = `line ${kind}`;
  const words = [timeNs === null ? '' : duration(timeNs), isVerdict ? what : kind, text, more === '' ? '' : ` ${more}`];
  for (const [i, word] of words.entries()) (row.words[i] as Text).data = word;
  const named = row.words[1]?.parentElement as HTMLElement;
  named.style.color = isVerdict ? verdictVariable(what) : '';
}

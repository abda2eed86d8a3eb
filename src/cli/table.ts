/**
 * Tables that fit the terminal: where there is no room, names are shortened, then the columns that matter least are left out, and said to
 * be; figures are never wrapped. Where not even what has to be there has room, each row is a list.
 */
import Table from 'cli-table3';
import { wrapped } from './wrapping.ts';

export interface Column {
  title: string;
  /** Second line of the head. */
  unit?: string;
  /** One a row. */
  cells: string[];
  align?: 'left' | 'right';
  /** The higher, the sooner it is left out; without a rank it stays. */
  rank?: number;
  /** Down to how many places it may be shortened: in its middle, as names differ at their ends. */
  shortest?: number;
  /** At words, into lines of its own column, in the place of being shortened. */
  wraps?: true;
}

export interface Rendered {
  lines: string[];
  /** Titles of the columns that had no room. */
  leftOut: string[];
}

const BETWEEN = '  ';
/** Everything that cli-table3 would draw a line with. */
const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid']
    .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`, `${side}-mid`])
    .concat(['mid-mid', 'left-mid', 'right-mid'])
    .map((name) => [name, '']),
);

const segments = new Intl.Segmenter();
const WIDE =
  /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Emoji_Presentation}|[\u{ff01}-\u{ff60}]/u;

/** Places that a text takes on a line. */
export function placesOf(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be found
  const plain = text.replaceAll(/\u001b\[[\d;]*m/g, '');
  let places = 0;
  for (const { segment } of segments.segment(plain)) places += WIDE.test(segment) ? 2 : 1;
  return places;
}

/** What would move the cursor, or colour what comes after, is no part of a name. */
export function harmless(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be found
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}

/** What comes after so many places is left out first, then columns, then more of the names. */
const READABLE = 26;

function shortened(text: string, places: number): string {
  if (placesOf(text) <= places) return text;
  const letters = [...segments.segment(text)].map(({ segment }) => segment);
  const take = (from: string[], most: number): string[] => {
    let used = 0;
    const end = from.findIndex((letter) => (used += placesOf(letter)) > most);
    return end === -1 ? from : from.slice(0, end);
  };
  const behind = Math.floor((places - 1) / 2);
  const head = take(letters, places - 1 - behind);
  const tail = take(letters.toReversed(), behind).toReversed();
  return `${head.join('')}…${tail.join('')}`;
}

function naturalWidth({ title, unit = '', cells }: Column): number {
  return Math.max(placesOf(title), placesOf(unit), ...cells.map(placesOf));
}

/** Widths with which all of the columns fit, or null. @param readable nothing is made shorter than this */
function fitted(columns: Column[], width: number, readable: number): number[] | null {
  const widths = columns.map(naturalWidth);
  let over = widths.reduce((sum, each) => sum + each, 0) + BETWEEN.length * (columns.length - 1) - width;
  while (over > 0) {
    // The widest of those that may be shortened gives a place.
    let most = -1;
    for (const [i, { shortest }] of columns.entries())
      if (
        shortest !== undefined &&
        widths[i]! > Math.max(shortest, readable) &&
        (most === -1 || widths[i]! > widths[most]!)
      )
        most = i;
    if (most === -1) return null;
    widths[most]!--;
    over--;
  }
  return widths;
}

export function table(columns: Column[], width: number, head: (text: string) => string = (text) => text): Rendered {
  let left = columns;
  for (;;) {
    const highest = Math.max(...left.map(({ rank }) => rank ?? -1));
    const widths = fitted(left, width, READABLE) ?? (highest < 0 ? fitted(left, width, 0) : null);
    if (widths === null && highest >= 0) {
      const at = left.findLastIndex(({ rank }) => rank === highest);
      left = left.filter((_, i) => i !== at);
      continue;
    }
    const leftOut = columns.filter((column) => !left.includes(column)).map(({ title }) => title);
    return { lines: widths === null ? listed(left, width, head) : drawn(left, widths, head), leftOut };
  }
}

function drawn(columns: Column[], widths: number[], head: (text: string) => string): string[] {
  const fit = (texts: string[]): string[] => texts.map((text, i) => shortened(text, widths[i]!));
  const drawing = new Table({
    chars: { ...NO_LINES, middle: BETWEEN },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colWidths: widths,
    colAligns: columns.map(({ align = 'left' }) => align),
  });
  const heads = [fit(columns.map(({ title }) => title))];
  if (columns.some(({ unit }) => unit)) heads.push(fit(columns.map(({ unit = '' }) => unit)));
  const cell = ({ cells, wraps }: Column, row: number, i: number): string =>
    wraps
      ? wrapped(cells[row]!, widths[i]!)
          .map((line) => shortened(line, widths[i]!))
          .join('\n')
      : shortened(cells[row]!, widths[i]!);
  const rows = columns[0]?.cells.map((_, row) => columns.map((column, i) => cell(column, row, i))) ?? [];
  drawing.push(
    ...heads,
    widths.map((each) => '-'.repeat(each)),
    ...rows,
  );
  const lines = drawing
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
  return lines.map((line, i) => (i < heads.length ? head(line) : line));
}

/** A row under the name of its first column; marks without a title stand before it. */
function listed(columns: Column[], width: number, head: (text: string) => string): string[] {
  const first = columns.find(({ title }) => title !== '');
  if (first === undefined) return [];
  const marks = columns.slice(0, columns.indexOf(first));
  const rest = columns.slice(marks.length + 1);
  const named = rest.map(({ title, unit }) => (unit ? `${title} (${unit})` : title));
  const widest = Math.max(0, ...named.map(placesOf));
  return first.cells.flatMap((cell, row) => [
    head(shortened([...marks.map(({ cells }) => cells[row]!), cell].filter((text) => text !== '').join(' '), width)),
    ...rest.map(({ cells }, i) => shortened(`  ${named[i]!.padEnd(widest)}  ${cells[row]}`, width)),
  ]);
}

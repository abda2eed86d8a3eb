/** Prose in the lines of a terminal. */

/** At words; a word that is too long for a line has one to itself. What is indented stays so, its further lines by two places more. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split('\n')) {
    const [indent] = /^ */.exec(paragraph)!;
    const further = indent === '' ? '' : `${indent}  `;
    let line = indent;
    let empty = true;
    for (const word of paragraph.slice(indent.length).split(' ')) {
      if (!empty && line.length + 1 + word.length > width) {
        lines.push(line);
        line = further + word;
      } else line = empty ? line + word : `${line} ${word}`;
      empty = false;
    }
    lines.push(line);
  }
  return lines;
}

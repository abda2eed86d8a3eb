/** Text of people in documents of ours. */

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Nothing that XML 1.0 cannot hold, as control characters, half a surrogate pair, or that turns the order of letters round. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNPRINTABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/g;

export const printable = (text: string): string => text.toWellFormed().replace(UNPRINTABLE, '\ufffd');

/** In HTML and XML, in text and in quoted attributes. */
export function escapeHtml(text: string): string {
  return printable(text).replace(/[&<>"']/g, (sign) => ENTITIES[sign]!);
}

/** As JSON in which nothing is left that a page or a terminal would not show as it is. */
export const printableJson = (value: unknown): string =>
  JSON.stringify(value).replace(UNPRINTABLE, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);

/**
 * In a line of GitHub's Markdown, a cell of a table too: no markup, no HTML, no mention of a person, no reference to an issue, no link.
 * What a reader sees is what was typed. The word joiner (U+2060) that keeps trackers from linking is not seen.
 */
export function escapeMarkdown(text: string): string {
  return printable(text)
    .replace(/\s+/g, ' ')
    .replace(/[\\`*_[\]<>|~]/g, '\\$&')
    .replaceAll('&', '&amp;')
    .replace(/^(\d+)([.)])/, '$1\\$2')
    .replace(/^[-+=#>]/, '\\$&')
    .replace(/@(?=\w)/g, '@\u2060')
    .replace(/#(?=\d)/g, '#\u2060')
    .replace(/\b(https?|ftp|www)(?=[:.])/gi, '$1\u2060');
}

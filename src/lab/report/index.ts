/** What an experiment is told as. Each format is made when it is asked for; charts and Parquet are loaded then. */
export { toCsv } from './csv.ts';
export { toHtml } from './html.ts';
export { toMarkdown } from './markdown.ts';
export { toParquet } from './parquet.ts';
/** With which the HTML is served: it needs no more. */
export { CONTENT_SECURITY_POLICY } from './style.ts';

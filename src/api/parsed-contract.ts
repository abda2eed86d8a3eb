/**
 * The contract as a document. To parse its YAML takes 0.4 s, of every process and thread that checks something by it, so
 * `npm run build:contract` (`npm ci` does so by itself) keeps what comes of it as JSON in `dist/contract.json`, with the hash of the text
 * that it came from: what is missing or stale is not used.
 */
import { hash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';

interface Kept {
  sha256: string;
  document: Record<string, unknown>;
}

const keptIn = (root: string): string => join(root, 'dist', 'contract.json');

/** @param root the package's; @param text of its `openapi.yaml` */
export function parsedContract(root: string, text: string): Record<string, unknown> {
  const kept = readKept(root);
  return kept?.sha256 === hash('sha256', text) ? kept.document : (parse(text) as Record<string, unknown>);
}

function readKept(root: string): Kept | null {
  try {
    return JSON.parse(readFileSync(keptIn(root), 'utf8')) as Kept;
  } catch {
    return null;
  }
}

export function keepParsed(root: string): void {
  const text = readFileSync(join(root, 'openapi.yaml'), 'utf8');
  const kept: Kept = { sha256: hash('sha256', text), document: parse(text) as Record<string, unknown> };
  mkdirSync(dirname(keptIn(root)), { recursive: true });
  writeFileSync(keptIn(root), JSON.stringify(kept));
}

/**
 * The contract, and that of the stream, as documents. To parse the YAML of both takes half a second, of every process and thread that
 * checks something by them, so `npm run build:contract` (`npm ci` does so by itself) keeps what comes of it as JSON in `dist`, with the
 * hash of the text that it came from: what is missing or stale is not used.
 */
import { hash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';

const FILES = { 'openapi.yaml': 'contract.json', 'asyncapi.yaml': 'stream-contract.json' } as const;
export type ContractFile = keyof typeof FILES;

interface Kept {
  sha256: string;
  document: Record<string, unknown>;
}

const keptIn = (root: string, file: ContractFile): string => join(root, 'dist', FILES[file]);

/** @param root the package's; @param text of its `file` */
export function parsedContract(root: string, file: ContractFile, text: string): Record<string, unknown> {
  const kept = readKept(root, file);
  return kept?.sha256 === hash('sha256', text) ? kept.document : (parse(text) as Record<string, unknown>);
}

function readKept(root: string, file: ContractFile): Kept | null {
  try {
    return JSON.parse(readFileSync(keptIn(root, file), 'utf8')) as Kept;
  } catch {
    return null;
  }
}

export function keepParsed(root: string): void {
  for (const file of Object.keys(FILES) as ContractFile[]) {
    const text = readFileSync(join(root, file), 'utf8');
    const kept: Kept = { sha256: hash('sha256', text), document: parse(text) as Record<string, unknown> };
    mkdirSync(dirname(keptIn(root, file)), { recursive: true });
    writeFileSync(keptIn(root, file), JSON.stringify(kept));
  }
}

/** Tapes where a server has them, without one having taken the recording. */
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { tapePath } from '../../src/trace/archive/uses.ts';
import { createImporter } from '../../src/trace/importer.ts';
import { TapeWriter } from '../../src/trace/tape.ts';
import { traffic } from '../trace/lines.ts';

/**
 * @param folder of traces, made when it is not there
 * @param pairs of calls: another number, another tape
 * @returns its digest
 */
export function tapeIn(folder: string, pairs: number): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'new');
  const tape = new TapeWriter(path);
  const importer = createImporter({ format: 'ftrace', sink: tape });
  importer.write(new TextEncoder().encode(traffic(pairs)));
  importer.end();
  const { digest } = tape.seal(importer.summary());
  renameSync(path, tapePath(folder, digest));
  return digest;
}

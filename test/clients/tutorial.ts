/** The programs of `docs/tutorial.md`, and what they print. */
import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The block behind `<!-- tutorial: name -->`. */
export function tutorialBlock(name: 'typescript' | 'python' | 'output'): string {
  const page = readFileSync(join(ROOT, 'docs/tutorial.md'), 'utf8');
  const block = new RegExp(`<!-- tutorial: ${name} -->\\n\\n\`\`\`\\w+\\n([\\s\\S]*?)\`\`\`\\n`).exec(page)?.[1];
  if (block === undefined) throw new Error(`docs/tutorial.md has no block ${name}`);
  return block;
}

/** A folder where `iommu-lab-client` is installed as it was built. @returns the path of the program in it */
export function programFolder(file: string, text: string): { folder: string; program: string } {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-program-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(join(ROOT, 'clients/typescript'), join(folder, 'node_modules/iommu-lab-client'));
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
  const program = join(folder, file);
  writeFileSync(program, text);
  return { folder, program };
}

/** `bench/c`, compiled with the compiler of the machine, and a run of it. */
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Round } from './operations.ts';
import type { Result } from './pairs.ts';

const SOURCES = fileURLToPath(new URL('../c', import.meta.url));
/** What is compared is code that an ordinary compiler made of ordinary source: no flags for this processor. */
const FLAGS = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror'];
const INSTALL = 'apt-get install -y gcc libc6-dev';

/** The allocators that `bench/c` has. */
export const C_KINDS = ['rbtree', 'rcache', 'bitmap'];

export class CProgram {
  private readonly folder: string;
  private readonly file: string;
  /** First line of `gcc --version`. */
  readonly compiler: string;

  constructor() {
    const version = spawnSync('gcc', ['--version'], { encoding: 'utf8' });
    if (version.error !== undefined)
      throw new Error(`This bench compiles bench/c with gcc, which is not here (${version.error.message}): ${INSTALL}`);
    this.compiler = version.stdout.split('\n')[0]!;
    this.folder = mkdtempSync(join(tmpdir(), 'iommu-lab-bench-c-'));
    this.file = join(this.folder, 'pairs');
    const sources = globSync('*.c', { cwd: SOURCES }).map((name) => join(SOURCES, name));
    const compiled = spawnSync('gcc', [...FLAGS, '-o', this.file, ...sources], { encoding: 'utf8' });
    if (compiled.status !== 0) {
      this.remove();
      throw new Error(`gcc could not compile bench/c (are its headers here? ${INSTALL}):\n${compiled.stderr}`);
    }
  }

  measure(kind: string, { order, live, maxPages, unmeasured, measured, seed }: Round): Result {
    const words = [kind, order, ...[live, maxPages, unmeasured, measured, seed].map(String)];
    const { status, signal, stdout, stderr } = spawnSync(this.file, words, { encoding: 'utf8' });
    const [nsPerPair, checksum, failures] = stdout.split(' ').map(Number);
    if (status !== 0 || nsPerPair === undefined || checksum === undefined || failures === undefined)
      throw new Error(`pairs ${words.join(' ')} ended with ${signal ?? status}: ${stderr}`);
    return { nsPerPair, checksum, failures };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

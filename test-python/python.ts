/** Python as the tests need it; what is missing is said with the command that installs it. */
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const CLIENT = fileURLToPath(new URL('../clients/python', import.meta.url));

/** The one on the path may be of its own, and Debian's packages then not for it. */
const CANDIDATES =
  process.env.IOMMU_LAB_PYTHON === undefined ? ['python3', '/usr/bin/python3'] : [process.env.IOMMU_LAB_PYTHON];

/** Debian package -> module that shows that it is there. */
export const NOTEBOOK_TOOLS: Record<string, string> = {
  'jupyter-nbconvert': 'nbconvert',
  'python3-ipykernel': 'ipykernel',
  'python3-pandas': 'pandas',
  'python3-matplotlib': 'matplotlib',
};

let chosen = CANDIDATES[0]!;

const succeeds = (program: string, text: string): boolean => spawnSync(program, ['-c', text]).status === 0;

/**
 * What `python` runs from then on: the first that has all of it.
 *
 * @param packages Debian package -> module
 */
export function requirePython(packages: Record<string, string> = {}): void {
  const able = CANDIDATES.filter((each) => succeeds(each, 'import sys; sys.exit(sys.version_info < (3, 9))'));
  if (able.length === 0) throw new Error(`There is no Python 3.9 or later. Install it: apt-get install -y python3`);
  const has = (program: string, module: string): boolean =>
    succeeds(program, `import importlib.util, sys; sys.exit(importlib.util.find_spec("${module}") is None)`);
  const found = able.find((each) => Object.values(packages).every((module) => has(each, module)));
  if (found !== undefined) {
    chosen = found;
    return;
  }
  const names = Object.keys(packages).join(' ');
  throw new Error(
    `No Python here has all of ${names}. Install it: apt-get install -y --no-install-recommends ${names}`,
  );
}

export interface Ended {
  status: number | null;
  out: string;
  err: string;
}

/** Far more than anything here takes; a thread that waits for ever would hold up all that comes behind. */
const MOST_MS = 240_000;

/** With warnings as errors; compiled files do not litter the tree. */
export function python(args: string[], env: Record<string, string> = {}, warnings = 'error'): Promise<Ended> {
  const child = spawn(chosen, ['-B', '-W', warnings, ...args], {
    cwd: CLIENT,
    env: { ...process.env, PYTHONPATH: CLIENT, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: MOST_MS,
  });
  const ended: Ended = { status: null, out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => (ended.out += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (ended.err += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ ...ended, status }));
  });
}

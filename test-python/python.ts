/** Python as the tests need it; what is missing is said with the command that installs it. */
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const CLIENT = fileURLToPath(new URL('../clients/python', import.meta.url));

const PYTHON = process.env.IOMMU_LAB_PYTHON ?? 'python3';

/** Debian package -> module that shows that it is there. */
export const NOTEBOOK_TOOLS: Record<string, string> = {
  'jupyter-nbconvert': 'nbconvert',
  'python3-ipykernel': 'ipykernel',
  'python3-pandas': 'pandas',
  'python3-matplotlib': 'matplotlib',
};

/** @param packages Debian package -> module */
export function requirePython(packages: Record<string, string> = {}): void {
  const { status, stdout } = spawnSync(PYTHON, ['-c', 'import sys; print(sys.version_info >= (3, 9))'], {
    encoding: 'utf8',
  });
  if (status !== 0 || stdout.trim() !== 'True')
    throw new Error(`${PYTHON} is no Python 3.9 or later. Install it: apt-get install -y python3`);
  const missing = Object.entries(packages)
    .filter(([, module]) => {
      const look = `import importlib.util, sys; sys.exit(importlib.util.find_spec("${module}") is None)`;
      return spawnSync(PYTHON, ['-c', look]).status !== 0;
    })
    .map(([name]) => name);
  if (missing.length > 0)
    throw new Error(
      `Python lacks ${missing.join(', ')}. Install it: apt-get install -y --no-install-recommends ${missing.join(' ')}`,
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
  const child = spawn(PYTHON, ['-B', '-W', warnings, ...args], {
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

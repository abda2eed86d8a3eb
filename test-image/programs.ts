/** Programs that the image tests call and npm does not bring. */
import { execFile, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

/** Program -> its Debian package. */
const PACKAGES: Record<string, string> = {
  buildah: 'buildah',
  mmdebstrap: 'mmdebstrap',
  prometheus: 'prometheus',
  promtool: 'prometheus',
  unshare: 'util-linux',
  nsenter: 'util-linux',
};

/** Throws when one is missing, with the command that installs all that are. */
export function requirePrograms(...names: string[]): void {
  const missing = names.filter((name) => !isInstalled(name));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((name) => PACKAGES[name]))].join(' ');
  throw new Error(
    `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} not installed. On Debian: apt-get install -y ${packages}`,
  );
}

/** Mounts, namespaces and other users' files are root's. */
export function requireRoot(): void {
  if (process.getuid?.() !== 0) throw new Error('The image tests mount and change users: run them as root.');
}

function isInstalled(name: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export interface Outcome {
  code: number | null;
  /** Both outputs, in the order stdout, stderr. */
  text: string;
}

/** Runs to the end and tells how it ended, whatever that was. */
export function outcomeOf(program: string, args: readonly string[], input?: string): Outcome {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(input === undefined ? {} : { input }),
  });
  if (error !== undefined) throw error;
  return { code: status, text: stdout + stderr };
}

const execute = promisify(execFile);

/** Its standard output; throws with all that it wrote when it fails. */
export async function run(program: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await execute(program, args, { maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string };
    // The end is where the reason stands; a build writes thousands of lines before.
    throw new Error(
      `${program} ${args[0]} failed: ${message.split('\n')[0]}\n${stdout.slice(-4000)}\n${stderr.slice(-4000)}`,
    );
  }
}

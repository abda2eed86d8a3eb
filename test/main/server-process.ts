/** The real server as a process of its own, as `npm start` runs it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** A start takes below a second; on a machine that is busy with other tests more. */
const START_MS = 30_000;

export class ServerProcess {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';

  /** @param limit shell commands that narrow what the process may do */
  constructor(flags: string[], environment: Record<string, string> = {}, limit = '') {
    const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('IOMMU_LAB_')));
    const words = [process.execPath, '--import', './guard.mjs', 'src/main.ts', ...flags];
    const [command, ...rest] = limit === '' ? words : ['sh', '-c', `${limit} exec "$@"`, 'sh', ...words];
    this.child = spawn(command!, rest, {
      cwd: ROOT,
      env: { ...own, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.on('data', (bytes) => (this.stdout += bytes));
    this.child.stderr?.on('data', (bytes) => (this.stderr += bytes));
  }

  /** The address from the start text, once all of it is there. */
  async address(): Promise<string> {
    const deadline = performance.now() + START_MS;
    while (!this.stdout.includes('Ctrl-C')) {
      if (this.child.exitCode !== null || performance.now() > deadline) {
        throw new Error(`the server did not start:\n${this.stdout}\n${this.stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return /https?:\/\/\S+/.exec(this.stdout)?.[0] as string;
  }

  /** The exit code, or the name of the signal that ended it; output is complete then. */
  async ended(): Promise<number | string> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'close');
    return this.child.exitCode ?? (this.child.signalCode as string);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.ended();
  }
}

/** Plays with servers that all end with the play, and a folder that goes with it. */
export async function withServers(
  play: (
    start: (flags: string[], environment?: Record<string, string>, limit?: string) => ServerProcess,
    folder: string,
  ) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-test-'));
  const servers: ServerProcess[] = [];
  try {
    await play((flags, environment, limit) => {
      const server = new ServerProcess(flags, environment, limit);
      servers.push(server);
      return server;
    }, folder);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Real servers for the clients, each a process of its own, on a folder that goes with it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ServerProcess } from '../main/server-process.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface RealServer {
  address: string;
  folder: string;
  /** Ends it and starts it again, on the same folder and port. */
  restart(signal: 'SIGTERM' | 'SIGKILL', betweenMs?: number): Promise<void>;
  stop(): Promise<void>;
}

export async function startServer(...flags: string[]): Promise<RealServer> {
  return serve(mkdtempSync(join(tmpdir(), 'iommu-lab-client-')), flags);
}

/** One that asks for tokens, and a token that may write. */
export async function startGuardedServer(...flags: string[]): Promise<RealServer & { token: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-client-'));
  const words = ['--import', './guard.mjs', 'src/main.ts', 'token', 'create', '--data', folder];
  const { stdout, stderr } = spawnSync(process.execPath, [...words, '--name', 'clients', '--scope', 'write'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  const token = /ilt_\S+/.exec(stdout)?.[0];
  if (token === undefined) throw new Error(`no token was made: ${stdout}${stderr}`);
  return { ...(await serve(folder, [...flags, '--auth', 'required'])), token };
}

async function serve(folder: string, flags: string[]): Promise<RealServer> {
  const start = (port: string): ServerProcess =>
    new ServerProcess(['--port', port, '--data', folder, '--workers', '1', '--log-level', 'silent', ...flags]);
  let server = start('0');
  const address = (await server.address()).replace(/\/$/, '');
  return {
    address,
    folder,
    async restart(signal, betweenMs = 0) {
      server.child.kill(signal);
      await server.ended();
      await new Promise((resolve) => setTimeout(resolve, betweenMs));
      server = start(new URL(address).port);
      await server.address();
    },
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

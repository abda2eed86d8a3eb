/** A real server for the clients, as a process of its own, on a folder that goes with it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from '../main/server-process.ts';

export interface RealServer {
  address: string;
  folder: string;
  /** Ends it, by a signal or at once, and starts it again on the same folder and port. */
  restart(signal: 'SIGTERM' | 'SIGKILL', betweenMs?: number): Promise<void>;
  stop(): Promise<void>;
}

export async function startServer(...flags: string[]): Promise<RealServer> {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-client-'));
  const start = (port: string): ServerProcess =>
    new ServerProcess(['--port', port, '--data', folder, '--workers', '1', '--log-level', 'silent', ...flags]);
  let server = start('0');
  const address = await server.address();
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

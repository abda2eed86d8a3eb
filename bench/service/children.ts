/** The servers under measurement, each a process of its own, so that neither shares its thread with the client that measures it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child, profiling } from '../child.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** A start takes about a second; on a machine that is busy with other things more. */
const START_MS = 30_000;

export interface RunningServer {
  port: number;
  stop(): Promise<void>;
}

/** The server as `npm start` runs it, logs included, which go nowhere. */
export async function startServer(flags: readonly string[]): Promise<RunningServer> {
  const data = mkdtempSync(join(tmpdir(), 'iommu-lab-bench-'));
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('IOMMU_LAB_')));
  const child = spawn(
    process.execPath,
    ['--import', './guard.mjs', ...profiling(), 'src/main.ts', '--port', '0', '--data', data, ...flags],
    { cwd: ROOT, env: own, stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
    rmSync(data, { recursive: true, force: true });
  };
  let text = '';
  child.stdout?.on('data', (bytes) => {
    text += bytes;
  });
  const deadline = performance.now() + START_MS;
  while (!text.includes('Ctrl-C')) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await stop();
      throw new Error(`the server did not start:\n${text}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return { port: Number(/http:\/\/[^:\s]+:(\d+)/.exec(text)?.[1]), stop };
}

/** A script of `bench/service/` that sends its port as its first message and then answers each message with one. */
export class Helper implements RunningServer {
  readonly port: number;
  private readonly child: Child;

  private constructor(child: Child, port: number) {
    this.child = child;
    this.port = port;
  }

  static async start(script: string, ...words: string[]): Promise<Helper> {
    const { child, greeting } = await Child.start<number>(new URL(script, import.meta.url), words);
    return new Helper(child, greeting);
  }

  ask<T>(question: object): Promise<T> {
    return this.child.ask(question);
  }

  stop(): Promise<void> {
    return this.child.stop();
  }
}

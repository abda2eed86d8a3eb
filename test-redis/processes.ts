/** Workers and servers as processes that a test may kill, and what they tell. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { JobOutcome } from '../src/lab/experiment.ts';
import type { KeyedJob } from './jobs.ts';

interface Told {
  event: 'begun' | 'ended' | 'stopped' | 'bye' | 'asks' | 'outcomes';
  key?: string;
  outcomes?: JobOutcome[];
}

/** For what has to happen some time. */
const PATIENCE_MS = 60_000;

export class Process {
  readonly told: Told[] = [];
  /** stderr. */
  log = '';
  private readonly child: ChildProcess;
  private readonly exited: Promise<unknown>;
  private heard: () => void = () => {};

  constructor(script: string, args: string[], input = '') {
    const path = fileURLToPath(new URL(script, import.meta.url));
    const child = spawn(process.execPath, [path, ...args], { stdio: 'pipe' });
    this.child = child;
    this.exited = once(child, 'exit');
    child.stdin.end(input);
    child.stderr.on('data', (text) => {
      this.log += text;
      this.heard();
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.told.push(JSON.parse(line));
      this.heard();
    });
    this.exited.then(() => this.heard());
  }

  keysOf(event: Told['event']): string[] {
    return this.told.filter((each) => each.event === event).map(({ key = '' }) => key);
  }

  async until(holds: () => boolean): Promise<void> {
    const late = setTimeout(() => this.heard(), PATIENCE_MS);
    const start = performance.now();
    try {
      while (!holds()) {
        if (performance.now() - start > PATIENCE_MS || this.ended)
          throw new Error(`It did not come about: ${JSON.stringify(this.told)}\n${this.log}`);
        await new Promise<void>((resolve) => {
          this.heard = resolve;
        });
      }
    } finally {
      clearTimeout(late);
    }
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (!this.ended) this.child.kill(signal);
    await this.exited;
  }
}

export function workerProcess(url: string, width = 1, traces?: string): Process {
  return new Process('./worker-process.ts', [url, String(width), ...(traces === undefined ? [] : [traces])]);
}

export function serverProcess(url: string, name: string, jobs: KeyedJob[]): Process {
  return new Process('./server-process.ts', [url, name], JSON.stringify(jobs));
}

/** The command line as a process of its own, as people start it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const BIN = fileURLToPath(new URL('../../bin/iommu-lab.mjs', import.meta.url));

export interface Said {
  /** The exit code, or the name of the signal that ended it. */
  code: number | string;
  out: string;
  err: string;
}

export interface Around {
  env?: Record<string, string>;
  /** Piped in. */
  input?: string;
  /** Of the terminal that it takes stdout for. */
  columns?: number;
  cwd?: string;
}

/** Nothing of this process's own settings, nor of a person's colours. */
export function environment(env: Record<string, string> = {}): Record<string, string> {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(IOMMU_LAB_|COLUMNS$|NO_COLOR$|FORCE_COLOR$|NODE_TEST)/.test(name),
  );
  return { ...(Object.fromEntries(own) as Record<string, string>), ...env };
}

export class Command {
  readonly child: ChildProcess;
  private readonly said: Said = { code: 0, out: '', err: '' };

  constructor(words: string[], { env = {}, input, columns, cwd = ROOT }: Around = {}) {
    const width = columns === undefined ? {} : { COLUMNS: String(columns) };
    this.child = spawn(process.execPath, [BIN, ...words], {
      cwd,
      env: environment({ ...width, ...env }),
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    this.child.stdin?.end(input);
    this.child.stdout?.setEncoding('utf8').on('data', (text) => (this.said.out += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text) => (this.said.err += text));
  }

  /** Once stderr has it. */
  async hears(form: RegExp): Promise<void> {
    while (!form.test(this.said.err)) {
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`it ended without saying ${form}:\n${this.said.err}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /**
   * Once it has used the processor for so long. What computes says nothing before a job of it has ended, and one that has not begun yet
   * ends without a word when it is told to: to start takes two seconds of all its threads together.
   */
  async hasComputed(seconds = 3): Promise<void> {
    if (process.platform !== 'linux') return sleep(2000 * seconds);
    for (;;) {
      const fields = readFileSync(`/proc/${this.child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
      // `utime` and `stime`, in hundredths of a second.
      if (Number(fields[11]) + Number(fields[12]) >= seconds * 100) return;
      await sleep(20);
    }
  }

  async ended(): Promise<Said> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'close');
    return { ...this.said, code: this.child.exitCode ?? (this.child.signalCode as string) };
  }
}

export function lab(words: string[], around?: Around): Promise<Said> {
  return new Command(words, around).ended();
}

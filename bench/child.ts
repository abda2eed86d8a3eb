/** A process of its own that answers, so that what it measures shares neither a thread nor compiled code with anyone else's. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Runs a script that sends one message once it is ready and then answers each message with one. */
export class Child {
  private readonly process: ChildProcess;
  private readonly script: URL;

  private constructor(script: URL, words: readonly string[]) {
    this.script = script;
    this.process = fork(fileURLToPath(script), words, {
      cwd: ROOT,
      execArgv: ['--import', './guard.mjs', ...profiling()],
    });
  }

  /** @returns it, and what it sent when it was ready */
  static async start<T>(script: URL, words: readonly string[]): Promise<{ child: Child; greeting: T }> {
    const child = new Child(script, words);
    return { child, greeting: await child.answer<T>() };
  }

  async ask<T>(question: object): Promise<T> {
    const answer = this.answer<T>();
    this.process.send(question);
    return answer;
  }

  async stop(): Promise<void> {
    const { process } = this;
    if (process.exitCode !== null || process.signalCode !== null) return;
    // Its `disconnect` handler ends it, in order, so that a profile is written.
    const ended = new Promise((resolve) => process.once('exit', resolve));
    process.disconnect();
    await ended;
  }

  private answer<T>(): Promise<T> {
    const { process, script } = this;
    return new Promise((resolve, reject) => {
      const answered = (message: unknown): void => {
        process.off('exit', ended);
        resolve(message as T);
      };
      const ended = (code: number | null, signal: string | null): void => {
        process.off('message', answered);
        reject(new Error(`${fileURLToPath(script)} ended with ${signal ?? code} instead of an answer`));
      };
      process.once('message', answered);
      process.once('exit', ended);
    });
  }
}

/** `IOMMU_LAB_BENCH_PROFILE=<folder>` has each process write CPU profiles there, one a thread. */
export function profiling(): string[] {
  const folder = process.env.IOMMU_LAB_BENCH_PROFILE;
  return folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`];
}

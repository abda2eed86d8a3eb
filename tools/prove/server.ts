/** A server of its own for a proof: the whole program in a process that can be killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_MS = 120_000;

export interface Answered {
  status: number;
  body: string;
  replayed: boolean;
}

/** The server would not start, and said why. */
export class Refused extends Error {}

export class ServerProcess {
  private readonly args: readonly string[];
  private child: ChildProcess | null = null;
  private log = '';
  address = '';
  /** What `ask` and `lines` send as `authorization`. */
  authorization: string | null = null;
  /** Set once the process is gone. */
  gone = false;

  private constructor(args: readonly string[]) {
    this.args = args;
  }

  /** @throws Refused */
  static async start(data: string, flags: readonly string[] = []): Promise<ServerProcess> {
    const server = new ServerProcess(['--port', '0', '--data', data, '--log-level', 'warn', ...flags]);
    await server.begin();
    return server;
  }

  get pid(): number {
    return this.child!.pid!;
  }

  get port(): number {
    return Number(new URL(this.address).port);
  }

  /** What it has written to its log since it was last asked. */
  takeLog(): string {
    const { log } = this;
    this.log = '';
    return log;
  }

  /** Also after a kill: on the data that is there. */
  begin(): Promise<void> {
    const args = ['--import', './guard.mjs', 'src/main.ts', ...this.args];
    // As docs/operations.md has it, and the image.
    const env = { ...process.env, MALLOC_ARENA_MAX: '1' };
    const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    this.gone = false;
    // A proof that breaks off leaves no server behind.
    const killed = (): unknown => child.kill('SIGKILL');
    process.once('exit', killed);
    child.once('exit', () => process.off('exit', killed));
    let out = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.log += text;
    });
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        child.kill('SIGKILL');
        reject(new Error(`the server did not start within ${START_MS} ms: ${out}${this.log}`));
      }, START_MS);
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        out += text;
        const address = /listens on (http:\S+)/.exec(out)?.[1];
        if (address === undefined) return;
        clearTimeout(late);
        this.address = address;
        resolve();
      });
      child.once('exit', (code) => {
        this.gone = true;
        clearTimeout(late);
        reject(code === 1 ? new Refused(this.log) : new Error(`the server ended with ${code}: ${out}${this.log}`));
      });
    });
  }

  async kill(): Promise<void> {
    const gone = once(this.child!, 'exit');
    this.child!.kill('SIGKILL');
    await gone;
  }

  /** In good order. @returns its exit code */
  async stop(): Promise<number | null> {
    const gone = once(this.child!, 'exit');
    this.child!.kill('SIGTERM');
    const [code] = await gone;
    return code as number | null;
  }

  /** Stopped in good order, and started again on its data. */
  async restart(): Promise<void> {
    await this.stop();
    await this.begin();
  }

  /** Rejects when the server goes away meanwhile. */
  async ask(method: string, path: string, body?: unknown, key?: string): Promise<Answered> {
    const lines = typeof body === 'string';
    const reply = await fetch(`${this.address}/v1${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': lines ? 'application/x-ndjson' : 'application/json' }),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
        ...(this.authorization === null ? {} : { authorization: this.authorization }),
      },
      ...(body === undefined ? {} : { body: lines ? body : JSON.stringify(body) }),
    });
    return {
      status: reply.status,
      body: await reply.text(),
      replayed: reply.headers.get('idempotency-replayed') === 'true',
    };
  }

  /** As `ask`, handing over reply lines as they come; ends early, and says so, when the server goes away. */
  async lines(path: string, body: string, key: string | undefined, take: (line: string) => void): Promise<boolean> {
    try {
      const reply = await fetch(`${this.address}/v1${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson', ...(key === undefined ? {} : { 'idempotency-key': key }) },
        body,
      });
      if (reply.status !== 200) throw new Error(`ops: ${reply.status} ${await reply.text()}`);
      let rest = '';
      const decoder = new TextDecoder();
      for await (const bytes of reply.body!) {
        const texts = (rest + decoder.decode(bytes, { stream: true })).split('\n');
        rest = texts.pop()!;
        for (const text of texts) take(text);
      }
      return true;
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('ops: ')) throw error;
      return false;
    }
  }
}

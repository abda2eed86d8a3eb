/** A Redis of the test's own: a real server on a free port with its data in a folder that goes with it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

/** Either of them; the first that there is. */
const PROGRAMS = ['redis-server', 'valkey-server'];

function program(): string {
  const found = PROGRAMS.find((name) => spawnSync(name, ['--version']).status === 0);
  if (found !== undefined) return found;
  throw new Error(
    'There is no Redis here to test with. Install one: sudo apt-get install --yes redis-server (or valkey)',
  );
}

export class RedisServer {
  readonly port: number;
  private readonly password: string;
  private folder = '';
  private process: ChildProcess | null = null;

  static async start(password = ''): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), password);
    await server.start();
    return server;
  }

  private constructor(port: number, password: string) {
    this.port = port;
    this.password = password;
  }

  get url(): string {
    return `redis://${this.password === '' ? '' : `:${encodeURIComponent(this.password)}@`}127.0.0.1:${this.port}`;
  }

  client(): Redis {
    // It comes back by itself, as Redis does.
    return new Redis(this.url, { maxRetriesPerRequest: null }).on('error', () => {});
  }

  /** On the same port, with the data that there are. */
  async start(): Promise<void> {
    if (this.folder === '') this.folder = mkdtempSync(join(tmpdir(), 'iommu-lab-redis-'));
    const settings = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.folder, '--save', ''];
    const more = ['--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction'];
    const lock = this.password === '' ? [] : ['--requirepass', this.password];
    const child = spawn(program(), [...settings, ...more, ...lock], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.process = child;
    let said = '';
    for await (const text of child.stdout) {
      said += text;
      if (said.includes('Ready to accept connections')) break;
    }
    if (!said.includes('Ready to accept')) throw new Error(`Redis did not start: ${said}`);
  }

  /** Without a farewell, as a machine that loses its power; what was written is on the disk. */
  async kill(): Promise<void> {
    const child = this.process;
    this.process = null;
    if (child === null || child.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  loseData(): void {
    if (this.folder !== '') rmSync(this.folder, { recursive: true, force: true });
    this.folder = '';
  }

  async remove(): Promise<void> {
    await this.kill();
    this.loseData();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

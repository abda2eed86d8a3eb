/** Debian's Prometheus with the configuration of docker/, moved to this machine: another address and a shorter interval. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './buildah.ts';

const LIMIT_MS = 60_000;
const POLL_MS = 200;

export interface Prometheus {
  /** Samples of an instant query; throws when it is none. */
  query(expression: string): Promise<unknown[]>;
  /** Waits until the query has an answer; `meanwhile` is done before it is asked each time. */
  until(expression: string, meanwhile?: () => Promise<unknown>): Promise<void>;
  /** What there is in the way of health among alerts that were evaluated. */
  alertHealth(): Promise<string[]>;
  stop(): Promise<void>;
}

/** @param server address of the server, `http://127.0.0.1:1234` */
export async function startPrometheus(server: string): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-prometheus-'));
  cpSync(join(ROOT, 'docker/prometheus'), folder, { recursive: true });
  const file = join(folder, 'prometheus.yml');
  const text = readFileSync(file, 'utf8')
    .replaceAll('server:8080', new URL(server).host)
    .replaceAll(/\b(15|30)s\b/g, '1s');
  writeFileSync(file, text);
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(
    'prometheus',
    [`--config.file=${file}`, `--storage.tsdb.path=${join(folder, 'tsdb')}`, `--web.listen-address=${address}`],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let log = '';
  child.stderr.on('data', (bytes) => (log += bytes));

  async function ask(path: string): Promise<{ data: never }> {
    const reply = await fetch(`http://${address}${path}`);
    const body = await reply.text();
    if (!reply.ok) throw new Error(`${path}: ${body}`);
    return JSON.parse(body);
  }
  async function query(expression: string): Promise<unknown[]> {
    const { data } = await ask(`/api/v1/query?query=${encodeURIComponent(expression)}`);
    return (data as { result: unknown[] }).result;
  }
  return {
    query,
    async until(expression, meanwhile) {
      const deadline = performance.now() + LIMIT_MS;
      for (;;) {
        await meanwhile?.();
        // It refuses connections at first.
        const answer = await query(expression).catch((error: Error) => error);
        if (Array.isArray(answer) && answer.length > 0) return;
        if (performance.now() > deadline || child.exitCode !== null) {
          throw new Error(`no answer to ${expression}: ${answer}\n${log.slice(-4000)}`);
        }
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    },
    async alertHealth() {
      const { data } = await ask('/api/v1/rules?type=alert');
      const { groups } = data as { groups: { rules: { health: string }[] }[] };
      return [...new Set(groups.flatMap(({ rules }) => rules.map(({ health }) => health)))];
    },
    async stop() {
      child.kill('SIGKILL');
      await once(child, 'close');
      rmSync(folder, { recursive: true });
    },
  };
}

export interface PanelQuery {
  /** Of the dashboard and the panel. */
  title: string;
  expression: string;
}

/** All queries of the dashboards, with Grafana's variables replaced: any server, any session. */
export function dashboardQueries(): PanelQuery[] {
  const folder = join(ROOT, 'docker/grafana/dashboards');
  return readdirSync(folder).flatMap((file) => {
    const { title: dashboard, panels } = JSON.parse(readFileSync(join(folder, file), 'utf8'));
    return (panels as { title: string; targets?: { expr: string }[] }[]).flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({
        title: `${dashboard}, ${title}`,
        expression: expr
          .replaceAll('$__rate_interval', '1m')
          .replaceAll(/="\$(instance|session)"/g, '=~".+"')
          .replaceAll('$device', '.*'),
      })),
    );
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

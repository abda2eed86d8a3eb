/** A session of a server that is put through a script; it is deleted in the end. */

import { setTimeout as wait } from 'node:timers/promises';
import type { RunRequest } from '../../core/operations.ts';
import type { Plain } from '../../lab/experiment.ts';
import { EXIT, Failure } from '../failure.ts';
import type { Server } from '../server.ts';
import { type Made, Reference, type ScriptLine } from './script.ts';
import { type Outcome, requestOf, resolved, type Subject } from './subject.ts';

/** Lines of a request. */
const MOST_LINES = 500;
const LOOK_MS = { first: 20, most: 500, growth: 1.5 };

/** Operations that are no lines of `ops`: they have paths of their own. */
const PATHS: Readonly<Record<string, string>> = {
  'tenant-remove': 'tenants',
  'domain-remove': 'domains',
  'device-remove': 'devices',
  'workload-remove': 'workloads',
};

interface ReplyLine {
  ok: boolean;
  result?: Plain;
}

export class ServerSubject implements Subject {
  private readonly server: Server;
  private readonly path: string;
  private readonly signal: AbortSignal;
  private readonly made = new Map<string, Made>();
  private readonly counts = { done: 0, failed: 0, impossible: 0 };
  private waiting: { text: string; makes: string | null; failedThere: boolean }[] = [];
  private readonly labels = new Map<string, string>();

  static async of(server: Server, spec: Plain, what: string, signal: AbortSignal): Promise<ServerSubject> {
    const { id } = await server.json<{ id: string }>('POST', '/v1/sessions', what, spec);
    return new ServerSubject(server, `/v1/sessions/${id}`, signal);
  }

  private constructor(server: Server, path: string, signal: AbortSignal) {
    this.server = server;
    this.path = path;
    this.signal = signal;
  }

  async take(line: ScriptLine): Promise<void> {
    const text = this.textOf(line);
    if (text !== null) {
      this.waiting.push({ text, makes: line.makes, failedThere: line.failedThere });
      if (this.waiting.length >= MOST_LINES) await this.send();
      return;
    }
    await this.send();
    const operation = resolved(line.line, this.made);
    if (operation === null) {
      this.counts.impossible++;
      return;
    }
    const { op, ...members } = operation as Plain & { op: string };
    const removed = PATHS[op];
    if (removed === undefined && op !== 'workload')
      return this.take({ ...line, line: operation as ScriptLine['line'] });
    this.counts.done++;
    try {
      const path = removed === undefined ? 'workloads' : `${removed}/${Object.values(members)[0]}`;
      const [method, body] = removed === undefined ? ['POST', members] : ['DELETE', undefined];
      const response = await this.server.request(
        method,
        `${this.path}/${path}`,
        `The ${op}`,
        body === undefined ? {} : { body },
      );
      if (line.makes !== null) this.made.set(line.makes, (await response.json()) as Made);
    } catch (error) {
      if (!(error instanceof Failure) || error.exitCode === EXIT.server) throw error;
      if (!line.failedThere) this.counts.failed++;
    }
  }

  /** As a line of `ops`, with labels for what is made in the same request; null: it cannot be one, or not yet. */
  private textOf({ line, makes }: ScriptLine): string | null {
    if (line.op === 'workload' || line.op in PATHS) return null;
    let fits = true;
    const member = (value: unknown): unknown => {
      if (value instanceof Reference) {
        const { id, offset, single } = value;
        const label = this.labels.get(id);
        if (label === undefined) {
          const known = resolved({ value }, this.made);
          fits &&= known !== null;
          return known?.value;
        }
        if (offset === null) return `$${label}`;
        fits &&= single && offset >= 0n;
        return `$${label}.iova+${offset}`;
      }
      // No label: a name.
      if (typeof value === 'string' && value.startsWith('$')) return `$${value}`;
      if (Array.isArray(value)) return value.map(member);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, member(each)]));
    };
    const out = member(line) as Plain;
    if (!fits) return null;
    if (makes === null) return JSON.stringify(out);
    const label = `r${this.waiting.length}`;
    this.labels.set(makes, label);
    return JSON.stringify({ ...out, as: label });
  }

  private async send(): Promise<void> {
    const sent = this.waiting;
    this.waiting = [];
    this.labels.clear();
    if (sent.length === 0) return;
    this.signal.throwIfAborted();
    const response = await this.server.request('POST', `${this.path}/ops?onError=continue`, 'The operations', {
      body: sent.map(({ text }) => `${text}\n`).join(''),
      type: 'application/x-ndjson',
      accept: 'application/x-ndjson',
    });
    const replies = (await response.text()).trimEnd().split('\n');
    for (const [i, reply] of replies.entries()) {
      const { ok, result } = JSON.parse(reply) as ReplyLine;
      const { makes, failedThere } = sent[i]!;
      this.counts.done++;
      if (ok && makes !== null) this.made.set(makes, result as unknown as Made);
      if (!ok && !failedThere) this.counts.failed++;
    }
  }

  async run(request: RunRequest, cutAtNs: number | null): Promise<void> {
    await this.send();
    this.counts.done++;
    let run: { id: string; state: string };
    try {
      run = await this.server.json('POST', `${this.path}/runs`, 'The run', requestOf(request, cutAtNs));
    } catch (error) {
      if (!(error instanceof Failure) || error.exitCode === EXIT.server) throw error;
      this.counts.failed++;
      return;
    }
    for (let between = LOOK_MS.first; run.state === 'queued' || run.state === 'running'; ) {
      await wait(between, undefined, { signal: this.signal });
      between = Math.min(LOOK_MS.most, between * LOOK_MS.growth);
      run = await this.server.json('GET', `${this.path}/runs/${run.id}`, 'The run');
    }
    if (run.state !== 'finished') this.counts.failed++;
  }

  async outcome(): Promise<Outcome> {
    await this.send();
    const metrics = await this.server.json<Plain>('GET', `${this.path}/metrics`, 'The metrics');
    const { digest } = await this.server.json<{ digest: string }>('GET', this.path, 'The session');
    return { metrics, digest, ...this.counts };
  }

  async close(): Promise<void> {
    await this.server.request('DELETE', this.path, 'The session');
  }
}

/**
 * Clients of the kill proof, one for each kind of load. Each drives a session of its own, one request after the other, and keeps what
 * it sent and what was acknowledged beside a simulation in this process, which is brought to where the server says that it stands.
 */
import { createSimulator, resolveSpec } from '../../../src/core/index.ts';
import type { Operation, Outcome } from '../../../src/core/operations.ts';
import type { SimulatorApi } from '../../../src/core/simulator-api.ts';
import { requestOf } from '../../../test/scenarios/rest-requests.ts';
import type { Dice } from '../dice.ts';
import type { ServerProcess } from '../server.ts';

export interface Tally {
  acknowledged: number;
  /** Operations that were carried out though nobody was told: their requests were in flight at the kill. */
  unacknowledged: number;
  replayed: number;
  runsResumed: number;
  created: number;
}

export interface Client {
  /** Makes its session. */
  begin(server: ServerProcess): Promise<void>;
  /** Sends requests until the server goes away. */
  load(server: ServerProcess): Promise<void>;
  /** After a restart. @returns complaints */
  verify(server: ServerProcess): Promise<string[]>;
}

interface Sent {
  operation: Record<string, unknown>;
  label: string | null;
}

const MEMORY = 0x10_0000;

/** What the server would be if it were this process. */
class Twin {
  readonly simulator: SimulatorApi;
  private readonly labels = new Map<string, string>();

  constructor(spec: Record<string, unknown>) {
    this.simulator = createSimulator(resolveSpec(spec));
  }

  apply({ operation, label }: Sent): Outcome {
    const mapping = operation.mapping as string | undefined;
    const resolved = mapping?.startsWith('$')
      ? { ...operation, mapping: this.labels.get(mapping.slice(1)) }
      : operation;
    let outcome = this.simulator.apply(resolved as Operation);
    while (outcome === null) outcome = this.simulator.resume();
    if (label !== null && outcome.status === 'ok') this.labels.set(label, outcome.result.id as string);
    return outcome;
  }
}

/** Common to those who apply operations: what was sent and not yet accounted for, and the account after a restart. */
abstract class Operating implements Client {
  protected readonly name: string;
  protected readonly dice: Dice;
  protected readonly tally: Tally;
  protected readonly spec: Record<string, unknown>;
  protected readonly twin: Twin;
  /** In order; the first `acknowledged` of them were answered. */
  protected sent: Sent[] = [];
  protected acknowledged = 0;

  constructor(name: string, seed: number, dice: Dice, tally: Tally) {
    this.name = name;
    this.dice = dice;
    this.tally = tally;
    this.spec = {
      name,
      seed,
      machine: { cpus: 2 },
      policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'flush-queue' } },
      devices: [{ name: 'nic0', kind: 'nic' }],
    };
    this.twin = new Twin(this.spec);
  }

  async begin(server: ServerProcess): Promise<void> {
    const { status, body } = await server.ask('POST', '/sessions', this.spec);
    if (status !== 201) throw new Error(`${this.name}: ${status} ${body}`);
  }

  abstract load(server: ServerProcess): Promise<void>;

  protected map(): Record<string, unknown> {
    const { dice } = this;
    const physicalAddress = MEMORY + dice(4096) * 4096;
    const lengthBytes = 1 + dice(16_384);
    return {
      op: 'map',
      device: 'nic0',
      kind: 'single',
      direction: 'bidirectional',
      cpu: dice(2),
      physicalAddress,
      lengthBytes,
    };
  }

  async verify(server: ServerProcess): Promise<string[]> {
    const { status, body } = await server.ask('GET', `/sessions/${this.name}`);
    if (status !== 200) return [`${this.name}: ${status} ${body}`];
    const { operations, digest } = JSON.parse(body) as { operations: number; digest: string };
    const { simulator } = this.twin;
    const there = operations - simulator.operations;
    const { acknowledged } = this;
    const sent = this.sent.splice(0);
    this.acknowledged = 0;
    this.tally.acknowledged += acknowledged;
    this.tally.unacknowledged += there - acknowledged;
    if (there < acknowledged) return [`${this.name}: ${acknowledged - there} acknowledged operations are lost`];
    if (there > sent.length) return [`${this.name}: ${there} operations are there, and ${sent.length} were sent`];
    for (const each of sent.slice(0, there)) this.twin.apply(each);
    this.afterVerify(sent.slice(there));
    return simulator.digest() === digest
      ? []
      : [`${this.name}: the digest after ${operations} operations is another one`];
  }

  /** @param lost sent, and not carried out */
  protected abstract afterVerify(lost: readonly Sent[]): void;
}

/** One request after the other, each with a key; the one that was in flight is tried again under it. */
export class SingleOperations extends Operating {
  private readonly live: string[] = [];
  private requests = 0;
  /** `there`: a verification has found that it was carried out. */
  private inFlight: { operation: Record<string, unknown>; key: string; there: boolean } | null = null;

  async load(server: ServerProcess): Promise<void> {
    for (;;) {
      this.inFlight ??= { operation: this.next(), key: `${this.name}-${++this.requests}`, there: false };
      const { operation, key, there } = this.inFlight;
      if (!there) this.sent.push({ operation, label: null });
      const devices = new Map([[operation.mapping as string, 'nic0']]);
      const { method, path, body } = requestOf(operation as unknown as Operation, devices);
      let answer: Awaited<ReturnType<ServerProcess['ask']>>;
      try {
        answer = await server.ask(method, `/sessions/${this.name}${path}`, body, method === 'POST' ? key : undefined);
      } catch {
        return;
      }
      if (answer.status === 503) return;
      if (answer.status >= 300)
        throw new Error(`${this.name}: ${JSON.stringify(operation)}: ${answer.status} ${answer.body}`);
      this.inFlight = null;
      if (answer.replayed) this.tally.replayed++;
      if (answer.replayed !== there)
        throw new Error(`${this.name}: replayed ${answer.replayed}, carried out before ${there}`);
      if (!there) this.acknowledged++;
      if (operation.op === 'map') this.live.push((JSON.parse(answer.body) as { id: string }).id);
    }
  }

  private next(): Record<string, unknown> {
    const { live, dice } = this;
    const what = dice(10);
    if (what < 4 || live.length === 0) return this.map();
    if (what < 7) return { op: 'unmap', mapping: live.splice(dice(live.length), 1)[0]!, cpu: dice(2) };
    if (what < 9) return { op: 'advance', ns: 1 + dice(1_000_000) };
    return { op: 'buffer', lengthBytes: 4096 };
  }

  protected afterVerify(lost: readonly Sent[]): void {
    if (this.inFlight === null) return;
    const { operation } = this.inFlight;
    this.inFlight.there ||= lost.length === 0;
    // A DELETE has no key: carried out or not, it is known now and not tried again.
    if (operation.op !== 'unmap') return;
    if (lost.length > 0) this.live.push(operation.mapping as string);
    this.inFlight = null;
  }
}

/** Long `ops` requests. */
export class Streams extends Operating {
  private labels = 0;

  async load(server: ServerProcess): Promise<void> {
    for (let whole = true; whole; ) {
      const lines: string[] = [];
      const open: string[] = [];
      for (let i = 0; i < 4000; i++) {
        const unmapped = open.length > 0 && this.dice(2) === 0 ? open.shift()! : null;
        const label = unmapped === null ? `m${++this.labels}` : null;
        const operation = unmapped === null ? this.map() : { op: 'unmap', mapping: `$${unmapped}` };
        if (label !== null) open.push(label);
        this.sent.push({ operation, label });
        lines.push(JSON.stringify(label === null ? operation : { ...operation, as: label }));
      }
      whole = await server.lines(`/sessions/${this.name}/ops`, `${lines.join('\n')}\n`, undefined, (line) => {
        if (!line.includes('"ok":true')) throw new Error(`ops: ${line}`);
        this.acknowledged++;
      });
    }
  }

  protected afterVerify(): void {}
}

/** Runs that take about as long as a server lives. */
export class Runs implements Client {
  private readonly name: string;
  private readonly dice: Dice;
  private readonly tally: Tally;
  private readonly spec: Record<string, unknown>;
  private readonly twin: Twin;
  private runs = 0;
  private started: { key: string; request: Record<string, unknown> } | null = null;
  /** Whether the start of it was acknowledged. */
  private sure = false;

  constructor(name: string, seed: number, dice: Dice, tally: Tally) {
    this.name = name;
    this.dice = dice;
    this.tally = tally;
    this.spec = { preset: 'thread-2008', name, seed };
    this.twin = new Twin(this.spec);
  }

  async begin(server: ServerProcess): Promise<void> {
    const { status, body } = await server.ask('POST', '/sessions', this.spec);
    if (status !== 201) throw new Error(`${this.name}: ${status} ${body}`);
  }

  async load(server: ServerProcess): Promise<void> {
    try {
      for (;;) {
        this.started ??= { key: `${this.name}-${this.runs + 1}`, request: { operations: 500 + this.dice(40_000) } };
        const { key, request } = this.started;
        const { status, body, replayed } = await server.ask('POST', `/sessions/${this.name}/runs`, request, key);
        if (status === 503) return;
        if (status !== 202) throw new Complaint(`${this.name}: ${status} ${body}`);
        this.sure = true;
        if (replayed) this.tally.replayed++;
        const id = (JSON.parse(body) as { id: string }).id;
        if (id !== `run_${this.runs + 1}`)
          throw new Complaint(`${this.name}: ${id} is begun, and ${this.runs} runs were`);
        for (;;) {
          const read = await server.ask('GET', `/sessions/${this.name}/runs/${id}`);
          if (read.status === 503) return;
          const run = JSON.parse(read.body) as { state: string; result: Record<string, unknown> };
          if (run.state === 'finished') {
            this.finish(request, run.result);
            break;
          }
          if (run.state !== 'running') throw new Complaint(`${this.name}: ${id} is ${run.state}: ${read.body}`);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    } catch (error) {
      if (error instanceof Complaint) throw error;
    }
  }

  private finish(request: Record<string, unknown>, result: Record<string, unknown>): void {
    const { simulator } = this.twin;
    simulator.startRun(request);
    while (!simulator.stepRun(1 << 16));
    const expected = simulator.runResult() as { operations?: number };
    if (JSON.stringify(expected.operations) !== JSON.stringify(result.operations))
      throw new Complaint(`${this.name}: run ${this.runs + 1} has another result`);
    this.runs++;
    this.started = null;
    this.sure = false;
    this.tally.acknowledged++;
  }

  async verify(server: ServerProcess): Promise<string[]> {
    if (this.started !== null && this.sure) this.tally.runsResumed++;
    const read = await server.ask('GET', `/sessions/${this.name}/runs?limit=1000`);
    if (read.status !== 200) return [`${this.name}: ${read.status} ${read.body}`];
    const count = (JSON.parse(read.body) as { items: unknown[] }).items.length;
    const fewest = this.runs + (this.sure ? 1 : 0);
    const most = this.runs + (this.started === null ? 0 : 1);
    if (count < fewest || count > most)
      return [`${this.name}: ${count} runs are there, and ${fewest} to ${most} should be`];
    if (count > this.runs) return [];
    const { body } = await server.ask('GET', `/sessions/${this.name}`);
    const same = (JSON.parse(body) as { digest: string }).digest === this.twin.simulator.digest();
    return same ? [] : [`${this.name}: the digest after ${this.runs} runs is another one`];
  }
}

class Complaint extends Error {}

/** Makes sessions and deletes them. */
export class Churn implements Client {
  private readonly name: string;
  private readonly tally: Tally;
  private count = 0;
  private live = new Set<string>();
  /** In flight: whether it is there is not known. */
  private doubtful: string | null = null;

  constructor(name: string, _seed: number, _dice: Dice, tally: Tally) {
    this.name = name;
    this.tally = tally;
  }

  async begin(): Promise<void> {}

  async load(server: ServerProcess): Promise<void> {
    try {
      for (;;) {
        const name = this.doubtful ?? `${this.name}-${++this.count}`;
        this.doubtful = name;
        const { status, body, replayed } = await server.ask('POST', '/sessions', { name }, name);
        if (status === 503) return;
        if (status !== 201) throw new Complaint(`${this.name}: ${status} ${body}`);
        if (replayed) this.tally.replayed++;
        this.tally.created++;
        this.live.add(name);
        this.doubtful = null;
        if (this.live.size < 4) continue;
        const [oldest] = this.live;
        this.live.delete(oldest!);
        this.doubtful = oldest!;
        await server.ask('DELETE', `/sessions/${oldest}`);
        this.doubtful = null;
      }
    } catch (error) {
      if (error instanceof Complaint) throw error;
    }
  }

  async verify(server: ServerProcess): Promise<string[]> {
    const { body } = await server.ask('GET', '/sessions?limit=1000');
    const names = (JSON.parse(body) as { items: { name?: string }[] }).items.map(({ name }) => name ?? '');
    const own = names.filter((name) => name.startsWith(`${this.name}-`) && name !== this.doubtful);
    const expected = [...this.live].filter((name) => name !== this.doubtful);
    // One that was in the middle of being deleted is made again under its own key, or is still there.
    return own.sort().join() === expected.sort().join()
      ? []
      : [`${this.name}: ${own} are there, and ${expected} should be`];
  }
}

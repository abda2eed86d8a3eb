/** What a soak does to a server, in loops that go on until they are told to end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { createSimulator, resolveSpec } from '../../../src/core/index.ts';
import type { Operation } from '../../../src/core/operations.ts';
import type { SimulatorApi } from '../../../src/core/simulator-api.ts';
import { decodeCbor } from '../../../src/stream/cbor.ts';
import { requestOf } from '../../../test/scenarios/rest-requests.ts';
import { assertFitsContract } from '../../../test/stream/stream-server.ts';
import type { Dice } from '../dice.ts';
import { connected } from '../fuzz/connection.ts';
import type { ServerProcess } from '../server.ts';

export interface Tally {
  sessionsMade: number;
  sessionsDeleted: number;
  operations: number;
  runs: number;
  /** Reads of a session that had been left alone for long enough to be at rest. */
  touched: number;
  subscribers: number;
  messages: number;
  /** How often the subscriber that never reads was cut off. */
  cutOff: number;
  complaints: string[];
}

export interface Soak {
  server: ServerProcess;
  tally: Tally;
  /** Whether to begin nothing new. */
  over(): boolean;
}

/** With traffic all the time; subscribers look at it. */
export const BUSY = 'busy';
const SINGLES = 25;
const LINES = 300;
const MEMORY = 0x10_0000;
/** Longer than the server lets a reader stall. */
const UNREAD_MS = 40_000;
const BUSY_RUN_MS = 20_000;

/** A session, and a simulation in this process of what it is sent. */
class Twin {
  readonly name: string;
  private readonly soak: Soak;
  private readonly dice: Dice;
  private readonly simulator: SimulatorApi;
  private readonly live: string[] = [];
  private readonly spec: Record<string, unknown>;
  private runs = 0;

  constructor(soak: Soak, name: string, dice: Dice) {
    this.soak = soak;
    this.name = name;
    this.dice = dice;
    this.spec = {
      preset: 'thread-2008',
      name,
      seed: dice(1_000_000),
      ...(dice(2) === 0 ? { policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'flush-queue' } } } : {}),
    };
    this.simulator = createSimulator(resolveSpec(this.spec));
  }

  async ask(status: number, method: string, path: string, body?: unknown): Promise<string> {
    const answer = await this.soak.server.ask(method, `/sessions${path}`, body);
    if (answer.status !== status) throw new Error(`${method} ${path}: ${answer.status} ${answer.body.slice(0, 500)}`);
    return answer.body;
  }

  async make(): Promise<void> {
    await this.ask(201, 'POST', '', this.spec);
    this.soak.tally.sessionsMade++;
  }

  async remove(): Promise<void> {
    await this.ask(200, 'DELETE', `/${this.name}`);
    this.soak.tally.sessionsDeleted++;
  }

  async single(): Promise<void> {
    const { live, dice } = this;
    const operation: Operation =
      live.length > 3
        ? { op: 'unmap', mapping: live.shift()!, cpu: dice(2) }
        : dice(4) === 0
          ? { op: 'advance', ns: 1 + dice(1_000_000) }
          : this.map();
    const { method, path, body } = requestOf(
      operation,
      new Map([[(operation as { mapping?: string }).mapping ?? '', 'nic0']]),
    );
    const answer = await this.soak.server.ask(method, `/sessions/${this.name}${path}`, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
    const outcome = this.apply(operation);
    if (operation.op === 'map') live.push(outcome.id as string);
    this.soak.tally.operations++;
  }

  async lines(): Promise<void> {
    const lines: string[] = [];
    for (let i = 0; i < LINES; i++) {
      const map = this.map();
      lines.push(JSON.stringify({ ...map, as: `m${i}` }), JSON.stringify({ op: 'unmap', mapping: `$m${i}` }));
      const { id } = this.apply(map);
      this.apply({ op: 'unmap', mapping: id as string });
    }
    let good = 0;
    const whole = await this.soak.server.lines(
      `/sessions/${this.name}/ops`,
      `${lines.join('\n')}\n`,
      undefined,
      (line) => {
        if (line.includes('"ok":true')) good++;
      },
    );
    if (!whole || good !== lines.length)
      throw new Error(`${this.name}: ${good} of ${lines.length} lines of ops were carried out`);
    this.soak.tally.operations += lines.length;
  }

  async run(): Promise<void> {
    const request = { operations: 500 + this.dice(3_000) };
    await this.ask(202, 'POST', `/${this.name}/runs`, request);
    const id = `run_${++this.runs}`;
    this.simulator.startRun(request);
    while (!this.simulator.stepRun(1 << 14)) await sleep(0);
    for (;;) {
      const { state } = JSON.parse(await this.ask(200, 'GET', `/${this.name}/runs/${id}`)) as { state: string };
      if (state === 'finished') break;
      if (state !== 'running') throw new Error(`${this.name}: ${id} is ${state}`);
      await sleep(20);
    }
    this.soak.tally.runs++;
  }

  /** Looks inside, which changes nothing. */
  async look(): Promise<void> {
    for (const part of ['metrics', 'space', 'iotlb', 'queues', 'faults', 'events'])
      await this.ask(200, 'GET', `/${this.name}/${part}`);
  }

  async compare(): Promise<void> {
    const { operations, digest } = JSON.parse(await this.ask(200, 'GET', `/${this.name}`)) as {
      operations: number;
      digest: string;
    };
    if (operations !== this.simulator.operations || digest !== this.simulator.digest())
      throw new Error(
        `${this.name}: another state after ${operations} operations, ${this.simulator.operations} were sent`,
      );
  }

  private map(): Operation {
    const { dice } = this;
    const memory = { physicalAddress: MEMORY + dice(4096) * 4096, lengthBytes: 1 + dice(16_384) };
    return { op: 'map', device: 'nic0', kind: 'single', direction: 'bidirectional', cpu: dice(2), ...memory };
  }

  private apply(operation: Operation): Record<string, unknown> {
    let outcome = this.simulator.apply(operation);
    while (outcome === null) outcome = this.simulator.resume();
    if (outcome.status !== 'ok') throw new Error(`${operation.op} is ${outcome.status} in this process`);
    return outcome.result;
  }
}

/** Sessions that are made, worked with and deleted, one after the other. */
export async function lives(soak: Soak, name: string, dice: Dice): Promise<void> {
  for (let i = 0; !soak.over(); i++) {
    const twin = new Twin(soak, `${name}-${i}`, dice);
    await twin.make();
    for (let n = 0; n < SINGLES; n++) await twin.single();
    await twin.lines();
    await twin.run();
    await twin.look();
    await twin.compare();
    await twin.remove();
  }
}

/** A session that is left alone until it is at rest, and touched. @returns a last comparison, for after a restart */
export async function sleeper(soak: Soak, name: string, restMs: number, dice: Dice): Promise<() => Promise<void>> {
  const twin = new Twin(soak, name, dice);
  await twin.make();
  while (!soak.over()) {
    await twin.single();
    const wake = performance.now() + restMs * 2 + dice(restMs);
    while (performance.now() < wake && !soak.over()) await sleep(100);
    await twin.compare();
    soak.tally.touched++;
  }
  return () => twin.compare();
}

/** A session in which a run is always active. */
export async function busy(soak: Soak): Promise<void> {
  const ask = async (method: string, path: string, body?: unknown): Promise<string> => {
    const answer = await soak.server.ask(method, `/sessions${path}`, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
    return answer.body;
  };
  await ask('POST', '', { preset: 'thread-2008', name: BUSY });
  while (!soak.over()) {
    const { id } = JSON.parse(await ask('POST', `/${BUSY}/runs`, { operations: 1e12 })) as { id: string };
    const end = performance.now() + BUSY_RUN_MS;
    while (performance.now() < end && !soak.over()) await sleep(100);
    await ask('DELETE', `/${BUSY}/runs/${id}`);
    soak.tally.runs++;
    // A new epoch of the stream, and a state that does not grow for ever.
    await ask('POST', `/${BUSY}/reset`);
  }
}

/** Subscribers that come, read for a while, and go, some of them without a word. */
export async function subscribers(soak: Soak, dice: Dice): Promise<void> {
  while (!soak.over()) {
    const binary = dice(3) === 0;
    const socket = new WebSocket(
      `${soak.server.address.replace('http', 'ws')}/v1/sessions/${BUSY}/stream`,
      binary ? 'iommu-lab.v1.cbor' : 'iommu-lab.v1',
    );
    const ended = new Promise<void>((resolve) => socket.on('close', () => resolve()));
    socket.on('error', (error) => soak.tally.complaints.push(`a subscriber: ${error.message}`));
    // One that left before it was there would be an error of its own, and a busy machine takes its time.
    const opened = new Promise<void>((resolve) => socket.on('open', () => resolve()));
    await Promise.race([opened, ended]);
    if (socket.readyState === WebSocket.OPEN)
      socket.send(
        JSON.stringify({
          type: 'subscribe',
          topics: ['metrics', 'events', 'faults', 'verdicts', 'runs'].slice(dice(5)),
          everyMs: 10 + dice(1_000),
        }),
      );
    socket.on('message', (data) => {
      soak.tally.messages++;
      try {
        assertFitsContract(binary ? decodeCbor(data as Buffer) : JSON.parse(data.toString()));
      } catch (error) {
        soak.tally.complaints.push(`a subscriber: ${String(error).slice(0, 500)}`);
      }
    });
    await Promise.race([ended, sleep(200 + dice(8_000))]);
    soak.tally.subscribers++;
    if (dice(3) === 0) socket.terminate();
    else socket.close();
    await ended;
  }
}

/** One that subscribes to everything and reads nothing; the server cuts it off, and it comes again. */
export async function neverReads(soak: Soak): Promise<void> {
  const text = Buffer.from(
    '{"type":"subscribe","topics":["metrics","events","faults","verdicts","runs"],"everyMs":10}',
  );
  const handshake = [
    `GET /v1/sessions/${BUSY}/stream HTTP/1.1`,
    'host: localhost',
    'connection: Upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  ];
  while (!soak.over()) {
    const socket = await connected(soak.server.port);
    socket.on('error', () => {});
    let ended = false;
    socket.on('close', () => {
      ended = true;
    });
    socket.pause();
    // Masked with zeros, which leaves it as it is.
    socket.write(
      Buffer.concat([
        Buffer.from(`${handshake.join('\r\n')}\r\n\r\n`),
        Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]),
        text,
      ]),
    );
    const end = performance.now() + UNREAD_MS;
    while (performance.now() < end && !soak.over()) await sleep(100);
    const whole = performance.now() >= end;
    socket.resume();
    for (let i = 0; i < 20 && !ended; i++) await sleep(50);
    if (ended) soak.tally.cutOff++;
    else if (whole)
      soak.tally.complaints.push(`a subscriber that read nothing for ${UNREAD_MS / 1000} s was not cut off`);
    socket.destroy();
  }
}

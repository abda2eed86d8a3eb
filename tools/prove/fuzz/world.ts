/** A server for a fuzz: its sessions, which are made anew from time to time, its tokens, and whether all of it is sound at the end. */
import { mkdirSync } from 'node:fs';
import { openAccessStore } from '../../../src/access/store.ts';
import { makeToken, type TokenInput } from '../../../src/access/tokens.ts';
import { catalog } from '../../../src/core/index.ts';
import { type Dice, diceOf } from '../dice.ts';
import { ServerProcess } from '../server.ts';
import type { Bearers } from './requests.ts';
import { SMUGGLED } from './rubbish.ts';
import { pick } from './values.ts';

/** They exist nearly all the time. */
export const SESSIONS = Array.from({ length: 16 }, (_, i) => `s${i}`);
/** A session lives for so many chapters. */
const CHAPTERS_A_LIFE = 4;
const FLAGS = [
  ...['--workers', '2', '--max-awake', '24', '--rest-after', '2', '--max-sessions-total', '60'],
  ...['--requests-per-second', '0', '--max-sessions', '40'],
];

interface Summary {
  id: string;
  name?: string;
  state: string;
  operations: number;
  digest: string | null;
  activeRun: string | null;
}

export interface Token {
  id: string;
  text: string;
}

export class World {
  private readonly folder: string;
  private readonly seed: number;
  private readonly tokens: Readonly<Record<string, Token>>;
  server: ServerProcess;

  private constructor(folder: string, seed: number, tokens: Readonly<Record<string, Token>>, server: ServerProcess) {
    this.folder = folder;
    this.seed = seed;
    this.tokens = tokens;
    this.server = server;
  }

  /** @param guarded whether it asks for tokens */
  static async start(folder: string, seed: number, guarded: boolean): Promise<World> {
    mkdirSync(folder, { recursive: true });
    const tokens = guarded ? makeTokens(folder) : {};
    const server = await ServerProcess.start(folder, FLAGS);
    const world = new World(folder, seed, tokens, server);
    world.enter();
    return world;
  }

  private enter(): void {
    this.server.authorization = this.tokens.admin === undefined ? null : `Bearer ${this.tokens.admin.text}`;
  }

  /** Ids that replies may tell and requests must not use: with those tokens gone there would be nothing left to try. */
  get spared(): string[] {
    return Object.values(this.tokens).map(({ id }) => id);
  }

  bearers(): Bearers {
    const { alice, admin, bob, carol, ended } = this.tokens;
    if (alice === undefined || admin === undefined || bob === undefined || carol === undefined || ended === undefined)
      return (dice) => (dice(40) === 0 ? pick(['Bearer', 'Bearer x', 'Basic YTpi', ''], dice) : null);
    const wrong = [
      ...[
        'Bearer',
        'Bearer ',
        'Basic YTpi',
        'Bearer ilt_',
        `Bearer ${alice.text.slice(0, -1)}`,
        `Bearer ${alice.text}x`,
      ],
      ...[
        `bearer ${alice.text}`,
        `Bearer ${ended.text}`,
        `Bearer ${alice.text}, Bearer ${bob.text}`,
        `Bearer  ${alice.text}`,
      ],
      ...[
        `Token ${alice.text}`,
        alice.text,
        `Bearer ${alice.text.replace('ilt', 'ill')}`,
        `Bearer ${'x'.repeat(5_000)}`,
      ],
    ];
    return (dice) => {
      const who = dice(100);
      if (who < 65) return `Bearer ${alice.text}`;
      if (who < 74) return `Bearer ${admin.text}`;
      if (who < 81) return `Bearer ${bob.text}`;
      if (who < 88) return `Bearer ${carol.text}`;
      return who < 92 ? null : pick(wrong, dice);
    };
  }

  /** Takes away what requests have made, and a part of the sessions; makes those that are missing. */
  async tidy(chapter: number): Promise<void> {
    const { server, seed } = this;
    const kept = new Set(SESSIONS.filter((_, i) => (i + chapter) % CHAPTERS_A_LIFE !== 0));
    for (const { id, name } of await this.sessions()) {
      if (name === SMUGGLED) throw new Error('a session was made by the body of another request');
      if (!kept.has(name ?? '')) await server.ask('DELETE', `/sessions/${id}`);
      else kept.delete(name!);
    }
    // By its owner, who is not the one that looks after all of them.
    this.server.authorization = this.tokens.alice === undefined ? null : `Bearer ${this.tokens.alice.text}`;
    for (const [i, name] of SESSIONS.entries()) {
      const dice = diceOf(seed * 1_009 + chapter * 31 + i);
      await this.create(name, dice);
      if (this.tokens.alice === undefined) continue;
      await server.ask('POST', `/sessions/${name}/grants`, { principal: 'bob', scope: 'read' });
      if (i % 2 === 0) await server.ask('POST', `/sessions/${name}/grants`, { principal: 'carol', scope: 'write' });
    }
    this.enter();
  }

  /** Of kinds by chance; there are such as do not go together, and then others are tried. */
  private async create(name: string, dice: Dice): Promise<void> {
    for (let attempt = 0; attempt < 40; attempt++) {
      const { status, body } = await this.server.ask('POST', '/sessions', specOf(name, dice, attempt));
      if (status === 201 || status === 409) return;
      if (status !== 400) throw new Error(`${name} cannot be made: ${status} ${body}`);
    }
    throw new Error(`${name} cannot be made`);
  }

  private async sessions(): Promise<Summary[]> {
    const all: Summary[] = [];
    let cursor = '';
    do {
      const { status, body } = await this.server.ask('GET', `/sessions?limit=100${cursor}`);
      if (status !== 200) throw new Error(`the sessions cannot be listed: ${status} ${body}`);
      const page = JSON.parse(body) as { items: Summary[]; nextCursor?: string };
      all.push(...page.items);
      cursor = page.nextCursor === undefined ? '' : `&cursor=${encodeURIComponent(page.nextCursor)}`;
    } while (cursor !== '');
    return all;
  }

  /** All sessions are what they were, after a kill and after an end in good order. @returns how many, and complaints */
  async soundness(): Promise<{ compared: number; complaints: string[] }> {
    const complaints: string[] = [];
    const before = await this.quiet();
    for (const { id, state } of before) if (state === 'failed') complaints.push(`${id} has failed`);
    await this.server.kill();
    complaints.push(...(await this.compare(before, 'killed')));
    const code = await this.server.stop();
    if (code !== 0) complaints.push(`the server ended with ${code} when it was told to`);
    complaints.push(...(await this.compare(before, 'stopped')));
    await this.server.stop();
    return { compared: before.length, complaints };
  }

  /** Without active runs, as those have no digest. */
  private async quiet(): Promise<Summary[]> {
    for (let attempt = 0; attempt < 100; attempt++) {
      const all = await this.sessions();
      const active = all.filter(({ activeRun }) => activeRun !== null);
      if (active.length === 0 && all.every(({ digest, state }) => digest !== null || state === 'failed')) return all;
      for (const { id } of active) await this.server.ask('DELETE', `/sessions/${id}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('runs do not end');
  }

  private async compare(before: readonly Summary[], how: string): Promise<string[]> {
    const complaints: string[] = [];
    this.server = await ServerProcess.start(this.folder, FLAGS);
    this.enter();
    for (const { id, operations, digest } of before) {
      const now = await this.settled(id);
      if (now === null) complaints.push(`${id} is gone since the server was ${how}`);
      else if (now.operations !== operations || now.digest !== digest)
        complaints.push(
          `${id}, ${operations} operations, is another one since the server was ${how}: ${now.state}, ${now.operations} operations`,
        );
    }
    return complaints;
  }

  private async settled(id: string): Promise<Summary | null> {
    for (let attempt = 0; attempt < 600; attempt++) {
      const { status, body } = await this.server.ask('GET', `/sessions/${id}`);
      if (status === 200) {
        const summary = JSON.parse(body) as Summary;
        if (summary.state !== 'recovering') return summary;
      } else if (status !== 503) return null;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return null;
  }
}

function makeTokens(folder: string): Record<string, Token> {
  const store = openAccessStore(folder);
  const make = (name: string, scope: TokenInput['scope'], more: Partial<TokenInput> = {}): Token => {
    const made = makeToken(store, { name, scope, ...more }, Date.now())!;
    return { id: made.record.id, text: made.text };
  };
  const tokens = {
    admin: make('admin', 'admin'),
    alice: make('alice', 'write'),
    bob: make('bob', 'read'),
    carol: make('carol', 'write'),
    ended: make('ended', 'write', { expiresInSeconds: 1 }),
  };
  store.close();
  return tokens;
}

const kindsOf = (part: string): string[] => (catalog()[part] as { kind: string }[]).map(({ kind }) => kind);
const [MODES, ALLOCATORS, POLICIES, WORKLOADS] = ['modes', 'allocators', 'policies', 'workloads'].map(kindsOf) as [
  string[],
  string[],
  string[],
  string[],
];

/** A machine of kinds by chance. */
export function specOf(name: string, dice: Dice, attempt: number): unknown {
  const usual = attempt > 30;
  const nic = (workload: string): boolean => workload.startsWith('nic') || workload === 'hostile';
  return {
    name,
    seed: dice(1_000_000),
    machine: { cpus: 1 + dice(4), memoryBytes: 2 ** (26 + dice(8)) },
    ...(usual
      ? {}
      : {
          policy: {
            mode: pick(MODES, dice),
            allocator: { kind: pick(ALLOCATORS, dice) },
            invalidation: { kind: pick(POLICIES, dice) },
          },
        }),
    tenants: [{ name: 'guest', kind: 'vm', memoryBytes: 2 ** 24 }],
    domains: [{ name: 'shared' }, { name: 'own', tenant: 'guest' }],
    devices: [
      { name: 'nic0', kind: 'nic', domain: 'shared' },
      { name: 'disk0', kind: 'block', domain: dice(2) === 0 ? 'shared' : 'own' },
    ],
    workloads: [
      { name: 'w0', kind: pick(WORKLOADS.filter(nic), dice), device: 'nic0' },
      { name: 'w1', kind: 'block', device: 'disk0' },
    ].slice(0, 1 + dice(2)),
  };
}

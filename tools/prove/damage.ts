/**
 * Damage is never silent: the files of a server that was killed, and of one that was stopped, are cut and flipped at random bytes. What
 * comes up then is refused by name, or says which session is lost or that the end of its log was; every other session is what it was.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSimulator, resolveSpec } from '../../src/core/index.ts';
import type { Operation } from '../../src/core/operations.ts';
import type { SessionHost } from '../../src/host/host.ts';
import { JournalError } from '../../src/host/journal/journal-error.ts';
import { createHost } from '../../src/host/session-host.ts';
import { type Dice, diceOf } from './dice.ts';
import type { ProofSettings } from './settings.ts';

export interface DamageProof {
  cases: number;
  /** The file was refused. */
  refused: number;
  /** The server came up and said what was lost. */
  told: number;
  /** The damage lay where nothing is. */
  harmless: number;
  complaints: string[];
}

const SESSIONS = 6;
const OPERATIONS = 120;
const FILE = 'sessions.sqlite';

/** Digest of each session after each number of operations. */
type Expected = Map<string, string[]>;

export async function proveDamage({
  count,
  from,
  seed,
  folder,
  progress,
}: ProofSettings<DamageProof>): Promise<DamageProof> {
  const proof: DamageProof = { cases: 0, refused: 0, told: 0, harmless: 0, complaints: [] };
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const expected = await live(folder, seed);
  for (let i = from; i < from + count; i++) {
    const dice = diceOf(seed * 1_000_003 + i);
    const data = join(folder, 'case');
    rmSync(data, { recursive: true, force: true });
    cpSync(join(folder, dice(2) === 0 ? 'killed' : 'stopped'), data, { recursive: true });
    const what = hurt(data, dice);
    try {
      proof[await outcome(data, expected)]++;
    } catch (error) {
      proof.complaints.push(`case ${i}, ${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
    proof.cases++;
    progress?.(i + 1, proof);
  }
  return proof;
}

/** Sessions with a history, in the files of a server that was killed and in those of one that was stopped. */
async function live(folder: string, seed: number): Promise<Expected> {
  const data = join(folder, 'stopped');
  mkdirSync(data);
  const host = await createHost({ workers: 1, journal: { path: join(data, FILE), sync: 'never' } });
  const expected: Expected = new Map();
  for (let i = 0; i < SESSIONS; i++) {
    const spec = { name: `s${i}`, seed: seed + i, devices: [{ name: 'nic0', kind: 'nic' }] };
    const created = await host.create(spec);
    if (!created.ok) throw new Error(created.problem.detail);
    const twin = createSimulator(resolveSpec(spec));
    const digests = [twin.digest()];
    const dice = diceOf(seed * 31 + i);
    for (let n = 0; n < OPERATIONS; n++) {
      const memory = { physicalAddress: 4096 * (256 + dice(1000)), lengthBytes: 1 + dice(9000) };
      const map: Operation = { op: 'map', device: 'nic0', kind: 'single', direction: 'to-device', ...memory };
      const operation: Operation = dice(3) === 0 ? { op: 'advance', ns: 1 + dice(1e6) } : map;
      const reply = await host.apply(`s${i}`, operation);
      if (!reply.ok) throw new Error(reply.problem.detail);
      twin.apply(operation);
      digests.push(twin.digest());
    }
    expected.set(`s${i}`, digests);
  }
  expected.set('fork', await forked(host));
  cpSync(data, join(folder, 'killed'), { recursive: true });
  await host.close();
  return expected;
}

/** A session that begins with the records of another. @returns its digests, which are known from where it was made */
async function forked(host: SessionHost): Promise<string[]> {
  const taken = await host.takeSnapshot('s0', {});
  if (!taken.ok) throw new Error(taken.problem.detail);
  const made = await host.create({ fromSnapshot: taken.value.id, name: 'fork' });
  if (!made.ok) throw new Error(made.problem.detail);
  const digests: string[] = [];
  digests[OPERATIONS] = taken.value.digest;
  for (let n = 1; n <= OPERATIONS / 4; n++) {
    const reply = await host.apply('fork', { op: 'advance', ns: n });
    const read = await host.get('fork');
    if (!reply.ok || !read.ok) throw new Error('the fork does not go on');
    digests[OPERATIONS + n] = read.value.digest!;
  }
  return digests;
}

/** Flips or cuts one file. @returns what was done */
function hurt(data: string, dice: Dice): string {
  const log = `${FILE}-wal`;
  const name = existsSync(join(data, log)) && dice(2) === 0 ? log : FILE;
  const path = join(data, name);
  const bytes = readFileSync(path);
  const at = dice(bytes.length);
  switch (dice(3)) {
    case 0:
      truncateSync(path, at);
      return `${name} cut to ${at} bytes`;
    case 1:
      bytes[at]! ^= 1 << dice(8);
      writeFileSync(path, bytes);
      return `${name} with a bit of byte ${at} flipped`;
    default: {
      const end = Math.min(bytes.length, at + 1 + dice(4096));
      for (let i = at; i < end; i++) bytes[i] = dice(256);
      writeFileSync(path, bytes);
      return `${name} with bytes ${at} to ${end} overwritten`;
    }
  }
}

/** @throws when something is wrong and nobody says so */
async function outcome(data: string, expected: Expected): Promise<'refused' | 'told' | 'harmless'> {
  const said: string[] = [];
  const note = (fields: object, message: string): void => void said.push(`${message} ${JSON.stringify(fields)}`);
  const logger = { info() {}, warn: note, error: note };
  let host: Awaited<ReturnType<typeof createHost>>;
  try {
    host = await createHost({ workers: 1, logger, journal: { path: join(data, FILE), sync: 'never' } });
  } catch (error) {
    if (!(error instanceof JournalError) || !error.message.includes(FILE)) throw error;
    return 'refused';
  }
  try {
    let less = 0;
    for (const [name, digests] of expected) {
      const woken = await host.read(name, { read: 'metrics' });
      const read = await host.get(name);
      if (!read.ok) {
        less++;
        continue;
      }
      const { state, operations, digest } = read.value;
      if (state === 'failed') {
        if (woken.ok || woken.problem.detail === '') throw new Error(`${name} is lost and does not say why`);
        said.push(woken.ok ? '' : woken.problem.detail);
        continue;
      }
      if (digest !== digests[operations]) throw new Error(`${name} has another digest after ${operations} operations`);
      if (operations < digests.length - 1) less++;
    }
    if (less > 0 && said.length === 0) throw new Error(`${less} sessions have lost operations and nobody says so`);
    return said.length > 0 ? 'told' : 'harmless';
  } finally {
    await host.close();
  }
}

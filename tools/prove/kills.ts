/**
 * Nothing acknowledged is lost, nothing is done twice: the server is killed at random instants under mixed load, and what it comes
 * back with is compared, digest for digest, with a simulation in this process of what was sent.
 */
import { mkdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { diceOf } from './dice.ts';
import { Churn, type Client, Runs, SingleOperations, Streams, type Tally } from './kills/clients.ts';
import { ServerProcess } from './server.ts';
import type { ProofSettings } from './settings.ts';

export interface KillProof extends Tally {
  kills: number;
  /** Milliseconds from the start of the process to its first answer, the longest. */
  longestStartMs: number;
  complaints: string[];
}

/** A new world of sessions every so many kills, so that the histories that are compared stay short. */
const KILLS_A_WORLD = 10;
const LONGEST_LIFE_MS = 1500;
/** `f_type` of a file system in memory. */
const TMPFS = 0x01021994;

export async function proveKills({
  count,
  from,
  seed,
  folder,
  progress,
}: ProofSettings<KillProof>): Promise<KillProof> {
  mkdirSync(folder, { recursive: true });
  if (statfsSync(folder).type === TMPFS) throw new Error(`${folder} lies in memory; the proof needs a disk`);
  const proof: KillProof = {
    kills: 0,
    acknowledged: 0,
    unacknowledged: 0,
    replayed: 0,
    runsResumed: 0,
    created: 0,
    longestStartMs: 0,
    complaints: [],
  };
  for (let kill = from; kill < from + count; ) {
    const world = Math.min(KILLS_A_WORLD, from + count - kill);
    await liveAndDie(join(folder, `world-${kill}`), kill, world, seed, proof, progress);
    kill += world;
  }
  return proof;
}

async function liveAndDie(
  data: string,
  first: number,
  kills: number,
  seed: number,
  proof: KillProof,
  progress: ProofSettings<KillProof>['progress'],
): Promise<void> {
  rmSync(data, { recursive: true, force: true });
  const kinds = [SingleOperations, SingleOperations, Streams, Streams, Runs, Churn];
  const clients: Client[] = kinds.map(
    (Kind, i) => new Kind(`${Kind.name}${i}`, seed + first * 100 + i, diceOf(seed * 7919 + first * 100 + i), proof),
  );
  const dice = diceOf(seed * 104_729 + first);
  let server = await ServerProcess.start(data);
  for (const client of clients) await client.begin(server);
  for (let kill = first; kill < first + kills; kill++) {
    const loads = Promise.allSettled(clients.map((client) => client.load(server)));
    await sleep(dice(LONGEST_LIFE_MS));
    await server.kill();
    for (const load of await loads)
      if (load.status === 'rejected') proof.complaints.push(`kill ${kill}: ${String(load.reason)}`);
    const before = performance.now();
    server = await ServerProcess.start(data);
    proof.longestStartMs = Math.max(proof.longestStartMs, Math.round(performance.now() - before));
    for (const client of clients)
      for (const complaint of await client.verify(server)) proof.complaints.push(`kill ${kill}: ${complaint}`);
    proof.kills++;
    progress?.(kill + 1, proof);
    if (proof.complaints.length > 0) break;
  }
  const code = await server.stop();
  if (code !== 0) proof.complaints.push(`the server ended with ${code} when it was told to`);
  if (proof.complaints.length === 0) rmSync(data, { recursive: true, force: true });
}

/**
 * One free and one allocate of the allocators, beside the same algorithms in C (`bench/c`), round by round in one run: in a process that
 * has met only this kind, and in one that has met all of them. The checksums over all addresses handed out must be equal.
 */
import { allocators } from '../src/core/os/iova/index.ts';
import { C_KINDS, CProgram } from './allocators/c-program.ts';
import { type Round, WORKLOADS, type Workload } from './allocators/operations.ts';
import type { Result } from './allocators/pairs.ts';
import { Child } from './child.ts';
import { interleaved, ratios, shown, spreadOf } from './service/rounds.ts';

/** JS over C. */
const AIM = 2;
const SEED = 2008;

const SCRIPT = new URL('./allocators/pairs-process.ts', import.meta.url);

/** Pairs before and under the clock: some milliseconds of it, which is fewer where `rbtree` walks through all that lives. */
function pairsOf(kind: string, { order, live }: Workload, smoke: boolean): { unmeasured: number; measured: number } {
  const walks = kind === 'rbtree' && order === 'random';
  if (smoke) return { unmeasured: 200, measured: walks ? 500 : 20_000 };
  if (walks) return { unmeasured: 8_192, measured: live > 4096 ? 4_000 : 20_000 };
  return { unmeasured: 2 * live, measured: 1_000_000 };
}

/** The rounds of one workload: [C, alone, all] each with its results. */
async function compare(
  rounds: number,
  round: Omit<Round, 'seed'>,
  kind: string,
  program: CProgram,
  children: readonly Child[],
): Promise<number[][]> {
  const played = new Map<number, Result>();
  const checked = (seed: number, who: string, result: Result): number => {
    const known = played.get(seed);
    if (known === undefined) played.set(seed, result);
    else if (known.checksum !== result.checksum || known.failures !== result.failures)
      throw new Error(
        `${kind}, ${round.name}, seed ${seed}: ${who} has checksum ${result.checksum} and ${result.failures} failures, where another has ${known.checksum} and ${known.failures}`,
      );
    return result.nsPerPair;
  };
  const arms = [
    { name: 'C', play: async (seeded: Round) => program.measure(kind, seeded) },
    ...children.map((child, i) => ({
      name: i === 0 ? 'JS alone' : 'JS after all kinds',
      play: (seeded: Round) => child.ask<Result>({ kind, round: seeded }),
    })),
  ].map(({ name, play }) => {
    let seed = SEED;
    return async () => checked(seed, name, await play({ ...round, seed: seed++ }));
  });
  // The first round is for the compiler of V8 and for caches.
  return (await interleaved(rounds + 1, arms)).map((values) => values.slice(1));
}

export async function run({ smoke }: { smoke: boolean }): Promise<void> {
  const program = new CProgram();
  const { child: all } = await Child.start(SCRIPT, Object.keys(allocators));
  let over = 0;
  try {
    console.log(`One free and one allocate, ns; C: ${program.compiler}, -O2; aim: JS at most ${AIM} times C`);
    for (const kind of C_KINDS.filter((name) => !(name in allocators)))
      console.log(`  ${kind} is not in the registry of allocators yet: left out`);
    for (const kind of C_KINDS.filter((name) => name in allocators)) {
      const { child: alone } = await Child.start(SCRIPT, [kind]);
      try {
        console.log(
          `\n  ${kind.padEnd(34)}  ${'C'.padEnd(24)}  ${'JS, only this kind'.padEnd(24)}  ${'JS, after all kinds'.padEnd(24)}  JS / C, alone         JS / C, after all`,
        );
        for (const workload of WORKLOADS) {
          const round = { ...workload, ...pairsOf(kind, workload, smoke) };
          const [c = [], own = [], mixed = []] = await compare(smoke ? 1 : 11, round, kind, program, [alone, all]);
          const digits = spreadOf(c).median < 100 ? 1 : 0;
          const quotients = [ratios(own, c), ratios(mixed, c)].map(spreadOf);
          over += quotients.filter(({ median }) => median > AIM).length;
          console.log(
            `  ${workload.name.padEnd(34)}  ${[c, own, mixed].map((ns) => shown(spreadOf(ns), digits).padEnd(24)).join('  ')}  ${quotients.map((quotient) => shown(quotient, 2).padEnd(20)).join('  ')}`,
          );
        }
      } finally {
        await alone.stop();
      }
    }
    console.log(`\n  Checksums of C and JS over all addresses: equal in every round. Ratios above the aim: ${over}.`);
  } finally {
    await all.stop();
    program.remove();
  }
}

/**
 * One free and one allocate of the allocators, beside the same algorithms in C (`bench/c`), round by round in one run: in a process that
 * has met only this kind, and in two that have met all of them. The checksums over all addresses handed out must be equal.
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
const ROUNDS = 11;

const SCRIPT = new URL('./allocators/pairs-process.ts', import.meta.url);

interface Arm {
  name: string;
  play(kind: string, round: Round): Promise<Result>;
}

/** Pairs before and under the clock: some milliseconds of it, which is fewer where `rbtree` walks through all that lives. */
function pairsOf(kind: string, { order, live }: Workload, smoke: boolean): { unmeasured: number; measured: number } {
  const walks = kind === 'rbtree' && order === 'random';
  if (smoke) return { unmeasured: 200, measured: walks ? 500 : 20_000 };
  if (walks) return { unmeasured: 8_192, measured: live > 4096 ? 4_000 : 20_000 };
  return { unmeasured: 2 * live, measured: 1_000_000 };
}

/** @returns [arm][round]: ns a pair; a round has a seed of its own, the same for all arms */
async function compare(
  rounds: number,
  kind: string,
  round: Omit<Round, 'seed'>,
  arms: readonly Arm[],
): Promise<number[][]> {
  const first = new Map<number, Result>();
  const measures = arms.map((arm) => {
    let seed = SEED;
    return async () => {
      const result = await arm.play(kind, { ...round, seed });
      const known = first.get(seed) ?? result;
      first.set(seed, known);
      if (known.checksum !== result.checksum || known.failures !== result.failures)
        throw new Error(
          `${kind}, ${round.name}, seed ${seed}, ${arm.name}: checksum ${result.checksum}, ${result.failures} failures, where another has ${known.checksum} and ${known.failures}`,
        );
      seed++;
      return result.nsPerPair;
    };
  });
  // The first round is for V8's compiler and for caches.
  return (await interleaved(rounds + 1, measures)).map((values) => values.slice(1));
}

function line(first: string, others: readonly string[]): void {
  console.log(`  ${first.padEnd(34)}${others.map((text) => text.padEnd(26)).join('')}`.trimEnd());
}

export async function run({ smoke }: { smoke: boolean }): Promise<void> {
  const program = new CProgram();
  const children: Child[] = [];
  const begin = async (name: string, whose: string, kinds: readonly string[]): Promise<Arm> => {
    const { child } = await Child.start(SCRIPT, [whose, ...kinds]);
    children.push(child);
    return { name, play: (kind, round) => child.ask<Result>({ kind, round }) };
  };
  const beyond: string[] = [];
  try {
    const kinds = Object.keys(allocators);
    const c: Arm = { name: 'C', play: async (kind, round) => program.measure(kind, round) };
    const own = await begin('after all', 'own', kinds);
    const shared = await begin('after all, one loop', 'shared', kinds);
    console.log(
      `One free and one allocate, ns of processor time; ${program.compiler}, -O2; aim: JS at most ${AIM} times C`,
    );
    console.log(
      'JS alone: a process that has met only this kind. After all: one that has met every kind; each has a loop',
    );
    console.log('to itself, as in C. One loop: the same, and one call site meets every kind.');
    for (const kind of C_KINDS) {
      if (!kinds.includes(kind)) {
        console.log(`\n  ${kind} is not in the registry of allocators: left out`);
        continue;
      }
      const alone = await begin('alone', 'own', [kind]);
      const arms = [c, alone, own, shared];
      console.log();
      line(kind, [...arms.map(({ name }) => name), ...arms.slice(1).map(({ name }) => `${name} / C`)]);
      for (const workload of WORKLOADS) {
        const round = { ...workload, ...pairsOf(kind, workload, smoke) };
        const ns = await compare(smoke ? 1 : ROUNDS, kind, round, arms);
        const spreads = ns.map(spreadOf);
        const digits = spreads[0]!.median < 100 ? 1 : 0;
        const quotients = ns.slice(1).map((values) => spreadOf(ratios(values, ns[0]!)));
        // Of the shared loop only the figures: what makes it slow is the call and not the allocator.
        if (quotients.slice(0, 2).some(({ median }) => median > AIM)) beyond.push(`${kind}, ${workload.name}`);
        line(workload.name, [
          ...spreads.map((spread) => shown(spread, digits)),
          ...quotients.map((quotient) => shown(quotient, 2)),
        ]);
      }
    }
    console.log('\n  Checksums over all addresses: equal in every round.');
    console.log(`  Beyond the aim, alone or after all: ${beyond.length === 0 ? 'none' : beyond.join('; ')}`);
  } finally {
    for (const child of children) await child.stop();
    program.remove();
  }
}

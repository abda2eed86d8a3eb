/**
 * Simulated CPUs: what an operation takes on 64 of them beside one (aim: at most twice as much), and the real-time factor of 100 Gb/s with
 * as many as complete all packets (aim: 0.5 with `rcache` and `flush-queue`). Frames of 1,500 bytes, truth and meters on.
 *
 * One process that meets these combinations alone, the real-time factor first, the numbers of CPUs in turns; times are the thread's on its processor.
 */
import { tuneCompiler } from '../src/host/compiler.ts';
import { type Arm, simulate } from './packets.ts';
import { interleaved, ratios, shown, spreadOf } from './service/rounds.ts';

const ROUNDS = 15;
/** Rounds before those that count, for the compiler. */
const WARM_ROUNDS = 4;
/** Descriptors of all queues together, so that what is mapped does not grow with the CPUs. */
const RING = 2048;
/** From one CPU to 64 a link that is as busy as they can bear: nothing is dropped in either. */
const ONE = { gbps: 5, cpus: 1, ringSize: RING };
const MANY = { gbps: 100, cpus: 64, ringSize: RING };

const KINDS = [
  { allocator: 'rcache', invalidation: 'flush-queue' },
  { allocator: 'bitmap', invalidation: 'deferred-2008' },
  { allocator: 'rbtree', invalidation: 'flush-queue' },
];

async function measure(arms: readonly Arm[], smoke: boolean) {
  const packets = smoke ? 1_000 : 60_000;
  const completed = arms.map(() => 0);
  const factors: number[][] = arms.map(() => []);
  const runs = arms.map((arm, i) => async () => {
    const { threadSeconds, packets: done, completed: share } = simulate(arm, packets);
    completed[i] = share;
    const ns = (threadSeconds * 1e9) / done;
    factors[i]!.push((1538 * 8) / arm.gbps / ns);
    return ns;
  });
  const warm = smoke ? 0 : WARM_ROUNDS;
  const ns = (await interleaved(smoke ? 1 : ROUNDS + warm, runs)).map((values) => values.slice(warm));
  return { ns, completed, factors: factors.map((values) => values.slice(warm)) };
}

export async function run({ smoke }: { smoke: boolean }): Promise<void> {
  // As in the server.
  tuneCompiler();
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
  console.log('rcache with flush-queue, 100 Gb/s: ns a packet, real-time factor, completed packets');
  const cpus = [8, 12, 16];
  const arms = cpus.map((each) => ({ ...KINDS[0]!, gbps: 100, cpus: each }));
  const { ns, completed, factors } = await measure(arms, smoke);
  cpus.forEach((each, i) => {
    console.log(
      `  ${String(each).padStart(2)} CPUs  ${shown(spreadOf(ns[i]!)).padEnd(24)}${shown(spreadOf(factors[i]!), 3).padEnd(26)}${percent(completed[i]!)}`,
    );
  });
  console.log('\nns an operation on one CPU (5 Gb/s) and on 64 (100 Gb/s), completed packets of each, 64 / 1');
  for (const kinds of KINDS) {
    const { ns, completed } = await measure(
      [
        { ...kinds, ...ONE },
        { ...kinds, ...MANY },
      ],
      smoke,
    );
    console.log(
      `  ${kinds.allocator.padEnd(8)}${kinds.invalidation.padEnd(15)}${shown(spreadOf(ns[0]!)).padEnd(24)}${shown(spreadOf(ns[1]!)).padEnd(24)}${completed.map(percent).join(' ').padEnd(18)}${shown(spreadOf(ratios(ns[1]!, ns[0]!)), 2)}`,
    );
  }
}

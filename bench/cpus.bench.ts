/**
 * Simulated CPUs: what an operation takes on 64 of them beside one (aim: at most twice as much), and the real-time factor of 100 Gb/s with
 * as many as complete all packets (aim: 0.5 with `rcache` and `flush-queue`), in frames of 1,500 bytes and in those that set-ups of 100 Gb/s
 * have: 4,096 bytes (Fast and Safe, SOSP 2024) and 9,000. Truth and meters on.
 *
 * One process that meets these combinations alone, the real-time factor first, the numbers of CPUs in turns; times are the thread's on its processor.
 */
import { tuneCompiler } from '../src/host/compiler.ts';
import { type Arm, simulate, wireNsOf } from './packets.ts';
import { interleaved, ratios, shown, spreadOf } from './service/rounds.ts';

const ROUNDS = 15;
/** Rounds before those that count, for the compiler. */
const WARM_ROUNDS = 4;
/** Descriptors of all queues together, so that what is mapped does not grow with the CPUs. */
const RING = 2048;
/** From one CPU to 64 a link that is as busy as they can bear: nothing is dropped in either. */
const ONE = { gbps: 5, cpus: 1, ringSize: RING };
const MANY = { gbps: 100, cpus: 64, ringSize: RING };

/** 8 CPUs do not complete all of the first; 12 and 4 are the fewest, about, that do. */
const LINKS = [
  { frameBytes: 1500, cpus: 8 },
  { frameBytes: 1500, cpus: 12 },
  { frameBytes: 1500, cpus: 16 },
  { frameBytes: 4096, cpus: 4 },
  { frameBytes: 4096, cpus: 6 },
  { frameBytes: 9000, cpus: 4 },
];

const KINDS = [
  { allocator: 'rcache', invalidation: 'flush-queue' },
  { allocator: 'bitmap', invalidation: 'deferred-2008' },
  { allocator: 'rbtree', invalidation: 'flush-queue' },
];

async function measure(arms: readonly Arm[], smoke: boolean) {
  // The clock of a thread moves in steps of 4 ms on some kernels.
  const packets = smoke ? 1_000 : 200_000;
  const completed = arms.map(() => 0);
  const factors: number[][] = arms.map(() => []);
  const runs = arms.map((arm, i) => async () => {
    const { threadSeconds, packets: done, completed: share } = simulate(arm, packets);
    completed[i] = share;
    const ns = (threadSeconds * 1e9) / done;
    factors[i]!.push(wireNsOf(arm.frameBytes ?? 1500, arm.gbps) / ns);
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
  const arms = LINKS.map((link) => ({ ...KINDS[0]!, gbps: 100, ...link }));
  const { ns, completed, factors } = await measure(arms, smoke);
  LINKS.forEach(({ frameBytes, cpus }, i) => {
    console.log(
      `  ${String(frameBytes).padStart(4)} bytes, ${String(cpus).padStart(2)} CPUs  ${shown(spreadOf(ns[i]!)).padEnd(24)}${shown(spreadOf(factors[i]!), 3).padEnd(26)}${percent(completed[i]!)}`,
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

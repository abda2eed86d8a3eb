/**
 * Whether a kind slows another: ns of processor time a packet of `nic-rx` in a process that has met only this allocator and policy (a), in
 * a second one like it (the control), and in one that met all of them before (b), in turns. Slowed is what has its median of b / a
 * beyond the spread of control / a. Each is started several times: when the compiler is done with what differs from one start to the next,
 * by up to a tenth.
 */
import { policies } from '../src/core/os/invalidation/index.ts';
import { allocators } from '../src/core/os/iova/index.ts';
import { resolveSpec, SpecError } from '../src/core/resolve-spec.ts';
import { Child } from './child.ts';
import { type Arm, specOf } from './packets.ts';
import { interleaved, quantile, ratios, shown, spreadOf } from './service/rounds.ts';

const SCRIPT = new URL('./kinds/process.ts', import.meta.url);
const STARTS = 3;
/** Of each start; those that count, and those before them for the compiler. */
const ROUNDS = 8;
const WARM_ROUNDS = 3;
/** The clock of a thread moves in steps of 4 ms on some kernels. */
const PACKETS = 120_000;
/** The part of the control's rounds that its spread leaves out at either end. */
const TAIL = 0.05;

/** The first of the others that it can be combined with. */
function combined(arms: readonly { allocator: string; invalidation: string }[]): Arm | undefined {
  for (const { allocator, invalidation } of arms) {
    const arm = { allocator, invalidation, gbps: 10, cpus: 1 };
    try {
      resolveSpec(specOf(arm));
      return arm;
    } catch (error) {
      if (!(error instanceof SpecError)) throw error;
    }
  }
  return undefined;
}

/** Each allocator with a policy, and each policy with an allocator. */
function allArms(): Arm[] {
  const preferred = (kinds: string[], first: string) => [first, ...kinds.filter((kind) => kind !== first)];
  const found: Arm[] = [];
  const add = (arm: Arm | undefined) => {
    if (arm === undefined) return;
    const isKnown = found.some((one) => one.allocator === arm.allocator && one.invalidation === arm.invalidation);
    if (!isKnown) found.push(arm);
  };
  for (const allocator of Object.keys(allocators))
    add(
      combined(preferred(Object.keys(policies), 'deferred-2008').map((invalidation) => ({ allocator, invalidation }))),
    );
  for (const invalidation of Object.keys(policies))
    add(combined(preferred(Object.keys(allocators), 'bitmap').map((allocator) => ({ allocator, invalidation }))));
  return found;
}

async function begin(arms: readonly Arm[]): Promise<Child> {
  return (await Child.start(SCRIPT, [JSON.stringify(arms)])).child;
}

/** ns a packet of one start of each, [a, control, b][round]. */
async function rounds(arm: Arm, all: Child, smoke: boolean): Promise<number[][]> {
  const own = [await begin([arm]), await begin([arm])];
  try {
    const digests = new Set<string>();
    const measures = [...own, all].map((child) => async () => {
      const question = { arm, packets: smoke ? 1_000 : PACKETS };
      const { ns, digest } = await child.ask<{ ns: number; digest: string }>(question);
      digests.add(digest);
      return ns;
    });
    const warm = smoke ? 0 : WARM_ROUNDS;
    const values = await interleaved((smoke ? 1 : ROUNDS) + warm, measures);
    if (digests.size !== 1)
      throw new Error(`${arm.allocator} ${arm.invalidation}: the processes simulated different things`);
    return values.map((each) => each.slice(warm));
  } finally {
    for (const child of own) await child.stop();
  }
}

export async function run({ smoke }: { smoke: boolean }): Promise<void> {
  const arms = allArms();
  const measured = smoke ? arms.slice(0, 2) : arms;
  const all: Child[] = [];
  for (let start = 0; start < (smoke ? 1 : STARTS); start++) all.push(await begin(arms));
  const slowed: string[] = [];
  console.log(`ns a packet: alone (a), control, after all ${arms.length} combinations (b)`);
  console.log(
    `  ${'allocator'.padEnd(15)}${'policy'.padEnd(15)}${'a'.padEnd(22)}${'b'.padEnd(22)}${'control / a'.padEnd(24)}b / a`,
  );
  try {
    for (const arm of measured) {
      const a: number[] = [];
      const b: number[] = [];
      const same: number[] = [];
      const mixed: number[] = [];
      for (const child of all) {
        const [alone = [], control = [], after = []] = await rounds(arm, child, smoke);
        a.push(...alone);
        b.push(...after);
        same.push(...ratios(control, alone));
        mixed.push(...ratios(after, alone));
      }
      const limit = quantile(same, 1 - TAIL);
      const beyond = spreadOf(mixed).median > limit;
      if (beyond) slowed.push(`${arm.allocator} with ${arm.invalidation}`);
      const between = (values: number[]) =>
        shown(
          {
            median: spreadOf(values).median,
            lowest: quantile(values, TAIL),
            highest: quantile(values, 1 - TAIL),
          },
          2,
        );
      console.log(
        `  ${arm.allocator.padEnd(15)}${arm.invalidation.padEnd(15)}${shown(spreadOf(a)).padEnd(22)}${shown(spreadOf(b)).padEnd(22)}${between(same).padEnd(24)}${between(mixed)}${beyond ? '  slowed' : ''}`,
      );
    }
  } finally {
    for (const child of all) await child.stop();
  }
  console.log(
    `\n  Beyond the spread of the control (${TAIL * 100} to ${100 - TAIL * 100} % of its rounds): ${slowed.length === 0 ? 'none' : slowed.join(', ')}`,
  );
}

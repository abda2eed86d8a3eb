/**
 * The core: packets a second and real-time factor of `nic-rx` at 1,500 bytes, truth and meters on; cost against live mappings; one
 * allocate and free of each allocator. One process, fixed seeds; each line carries the digest of what was simulated.
 */

import { policies } from '../src/core/os/invalidation/index.ts';
import { allocators } from '../src/core/os/iova/index.ts';
import { tuneCompiler } from '../src/host/compiler.ts';
import { type Arm, simulate } from './packets.ts';
import { ratios, shown, spreadOf } from './service/rounds.ts';

function speed(smoke: boolean): void {
  const packets = smoke ? 2_000 : 150_000;
  const rounds = smoke ? 1 : 5;
  const arms: Arm[] = [];
  for (const gbps of [10, 100])
    for (const allocator of Object.keys(allocators))
      for (const [invalidation, policy] of Object.entries(policies)) {
        if (policy.needsCircular && !allocators[allocator]!.circular) continue;
        for (const cpus of gbps === 10 ? [1] : [1, 16]) arms.push({ allocator, invalidation, gbps, cpus });
      }
  const found = arms.map(() => ({ ns: [] as number[], factor: [] as number[], completed: 0, digest: '' }));
  // Every kind once before anything is measured: a call site that has met one kind alone is faster than it will stay.
  for (const arm of arms) simulate(arm, 1_000);
  for (let round = 0; round < rounds; round++)
    arms.forEach((arm, i) => {
      const { seconds, packets: done, completed, factor, digest } = simulate(arm, packets);
      found[i]!.ns.push((seconds * 1e9) / done);
      found[i]!.factor.push(factor);
      found[i]!.completed = completed;
      found[i]!.digest = digest;
    });
  console.log(
    '  Gb/s  CPUs  allocator      policy         ns a packet (spread)         real-time factor     completed  digest',
  );
  arms.forEach(({ gbps, cpus, allocator, invalidation }, i) => {
    const { ns, factor, completed, digest } = found[i]!;
    console.log(
      `  ${String(gbps).padStart(4)}  ${String(cpus).padStart(4)}  ${allocator.padEnd(13)}  ${invalidation.padEnd(13)}  ${shown(spreadOf(ns)).padEnd(27)}  ${shown(spreadOf(factor), 2).padEnd(19)}  ${(completed * 100).toFixed(1).padStart(6)} %   ${digest}`,
    );
  });
}

/** Wall time a packet against live mappings, first in, first out. */
function live(smoke: boolean): void {
  const sizes = smoke ? [1_024, 4_096] : [1_024, 16_384, 131_072, 1_048_576];
  const packets = smoke ? 2_000 : 100_000;
  const rounds = smoke ? 1 : 3;
  for (const allocator of Object.keys(allocators)) {
    const ns = sizes.map(() => [] as number[]);
    for (let round = 0; round < rounds; round++)
      sizes.forEach((ringSize, i) => {
        const { seconds, packets: done } = simulate(
          { allocator, invalidation: 'deferred-2008', gbps: 10, cpus: 1, ringSize },
          packets,
        );
        ns[i]!.push((seconds * 1e9) / done);
      });
    console.log(
      `  ${allocator.padEnd(13)}  ${sizes.map((size, i) => `${size}: ${spreadOf(ns[i]!).median.toFixed(0)} ns`).join('   ')}   last to first ${shown(spreadOf(ratios(ns.at(-1)!, ns[0]!)), 2)}`,
    );
  }
}

/** One free and one allocate of a page in a ring, the oldest first. */
function pairs(smoke: boolean): void {
  for (const [kind, entry] of Object.entries(allocators))
    for (const size of [512, 4096]) {
      const allocator = entry.create({
        lastPfn: 2 ** 36 - 1,
        maskLastPfn: 2 ** 36 - 1,
        parameters: entry.defaults,
        onWrap: null,
      });
      const ring = Array.from({ length: size }, () => allocator.allocate(1, 0xfffff));
      const turns = smoke ? 10_000 : 2_000_000;
      const started = performance.now();
      for (let i = 0; i < turns; i++) {
        const at = i % size;
        allocator.call.count = 0;
        allocator.free(ring[at]!, 1);
        ring[at] = allocator.allocate(1, 0xfffff);
      }
      console.log(
        `  ${kind.padEnd(13)}  ring of ${String(size).padStart(4)}: ${(((performance.now() - started) * 1e6) / turns).toFixed(1)} ns a pair`,
      );
    }
}

export async function run(options: { smoke: boolean }): Promise<void> {
  // As in the server.
  tuneCompiler();
  speed(options.smoke);
  console.log('\n  Wall time a packet against live mappings (deferred-2008, 48-bit device, bitmap of 8 GiB)');
  live(options.smoke);
  console.log('\n  Allocators alone');
  pairs(options.smoke);
}

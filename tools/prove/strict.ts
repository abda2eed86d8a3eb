/**
 * Proof: `strict`, or another policy that says so of itself, leaves nothing exposed. A long random history of maps, unmaps, device accesses (to live and to dead addresses),
 * buffers freed and taken again, by several devices, and where the policy gathers, several unmaps in one; the oracle must never see a window, nor an access that got through after its
 * unmap. The same history under `never` is the control: it must be caught.
 */
import { policies } from '../../src/core/os/invalidation/index.ts';
import { allocators } from '../../src/core/os/iova/index.ts';
import { resolveSpec } from '../../src/core/resolve-spec.ts';
import { Simulator } from '../../src/core/simulator.ts';

export interface StrictProof {
  operations: number;
  windows: number;
  staleAccesses: number;
  accesses: number;
  attemptsAfterUnmap: number;
  attemptsDetected: number;
  digest: string;
}

/** Numbers from a seed: the history is the same wherever it runs. */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Allocators and policies of which it holds: all that leave nothing behind, on all that do not keep mappings after their unmap. */
export function strictArms(): [allocator: string, invalidation: string][] {
  const leavesNothing = Object.values(policies).filter((entry) => entry.leavesNothing === true);
  return Object.values(allocators)
    .filter((entry) => entry.keepsMappings !== true)
    .flatMap(({ kind }) => leavesNothing.map((entry): [string, string] => [kind, entry.kind]));
}

/** As a driver gives the buffers of one descriptor back. */
function unmapTogether(simulator: Simulator, mapped: readonly { mapping: string }[], device: string): void {
  const slots = Int32Array.from(mapped, ({ mapping }) => simulator.mappings.find(mapping));
  simulator.begin(0);
  simulator.dma.unmapTogether(slots, slots.length, simulator.devices.find(device)!);
  simulator.end();
}

export function proveStrict(
  options: { operations: number; seed: number; allocator: string; invalidation: string },
  progress: (done: number) => void = () => {},
): StrictProof {
  const { operations, seed, allocator, invalidation } = options;
  const draw = numbers(seed);
  const simulator = new Simulator(
    resolveSpec({
      seed,
      machine: { memoryBytes: 2 ** 28, frameReuse: 'random' },
      policy: { allocator: { kind: allocator }, invalidation: { kind: invalidation } },
      domains: [{ name: 'shared' }],
      devices: [
        { name: 'a', kind: 'custom', domain: 'shared' },
        { name: 'b', kind: 'custom', domain: 'shared', dmaMaskBits: 32 },
        { name: 'c', kind: 'custom' },
      ],
    }),
  );
  const live: { mapping: string; buffer: string; iova: string; device: string; lengthBytes: number }[] = [];
  const dead: { iova: string; device: string; lengthBytes: number }[] = [];
  const apply = (operation: Parameters<Simulator['apply']>[0]): Record<string, unknown> => {
    const outcome = simulator.apply(operation);
    if (outcome?.status !== 'ok') throw new Error(`${JSON.stringify(operation)}: ${JSON.stringify(outcome)}`);
    return outcome.result;
  };
  const gathers = simulator.policy.unmappedTogether !== undefined;
  let accesses = 0;
  for (let done = 0; done < operations; ) {
    const what = draw(8);
    if (live.length < 4 || (what < 2 && live.length < 200)) {
      const lengthBytes = 1 + draw(3 * 4096);
      const device = 'abc'[draw(3)]!;
      const buffer = apply({ op: 'buffer', lengthBytes }).id as string;
      const direction = (['to-device', 'from-device', 'bidirectional'] as const)[draw(3)]!;
      const { id, iova } = apply({ op: 'map', device, kind: 'single', direction, buffer, cpu: draw(4) });
      live.push({ mapping: id as string, buffer, iova: iova as string, device, lengthBytes });
      done += 2;
    } else if (what < 4) {
      const [ended] = live.splice(draw(live.length), 1);
      const given = [ended!];
      if (gathers) {
        const { device } = ended!;
        for (let left = draw(8); left > 0; left--) {
          const at = draw(live.length);
          if (live[at]?.device === device) given.push(...live.splice(at, 1));
        }
        unmapTogether(simulator, given, device);
      } else apply({ op: 'unmap', mapping: ended!.mapping, cpu: draw(4) });
      for (const each of given) {
        apply({ op: 'free', buffer: each.buffer });
        dead.push(each);
        if (dead.length > 64) dead.shift();
        done += 2;
      }
    } else {
      const from = what < 6 || dead.length === 0 ? live : dead;
      const { iova, device, lengthBytes } = from[draw(from.length)]!;
      apply({ op: 'dma', device, iova, lengthBytes, access: draw(2) === 0 ? 'read' : 'write' });
      accesses++;
      done++;
    }
    if (done % 100_000 < 2) progress(done);
  }
  const metrics = simulator.read({ read: 'metrics' });
  if (metrics.status !== 'ok') throw new Error('the metrics cannot be read');
  const { exposure } = metrics.result as {
    exposure: { potential: { windows: number }; staleAccesses: number };
  };
  const { attemptsAfterUnmap, attemptsDetected } = simulator.counters;
  return {
    operations,
    windows: exposure.potential.windows,
    staleAccesses: exposure.staleAccesses,
    accesses,
    attemptsAfterUnmap,
    attemptsDetected,
    digest: simulator.digest(),
  };
}

/** A run of `nic-rx`, truth and meters on, and what it took. */
import { allocators } from '../src/core/os/iova/index.ts';
import { resolveSpec } from '../src/core/resolve-spec.ts';
import { Simulator } from '../src/core/simulator.ts';
import { threadNs } from './processor-time.ts';

export interface Arm {
  allocator: string;
  invalidation: string;
  gbps: number;
  cpus: number;
  ringSize?: number;
  frameBytes?: number;
}

/** Space for a million mappings, where an allocator does not have it by itself. */
function spaceOf(kind: string): Record<string, number> {
  if (kind === 'bitmap') return { apertureBytes: 8 * 2 ** 30 };
  return 'entries' in allocators[kind]!.defaults ? { entries: 2 ** 21 } : {};
}

export function specOf({
  allocator,
  invalidation,
  gbps,
  cpus,
  ringSize = 512,
  frameBytes = 1500,
}: Arm): Record<string, unknown> {
  return {
    machine: { cpus },
    policy: {
      allocator: { kind: allocator, ...spaceOf(allocator) },
      invalidation: { kind: invalidation },
    },
    devices: [{ name: 'nic0', kind: 'nic', dmaMaskBits: 48 }],
    workloads: [
      {
        kind: 'nic-rx',
        device: 'nic0',
        gbps,
        frameBytes,
        queues: cpus,
        ringSize: Math.ceil(ringSize / cpus),
        cpus: Array.from({ length: cpus }, (_, cpu) => cpu),
      },
    ],
    costs: { profile: 'riommu15-brcm' },
  };
}

/** Ethernet's preamble, header, checksum and gap come on top of a frame. */
export function wireNsOf(frameBytes: number, gbps: number): number {
  return ((frameBytes + 38) * 8) / gbps;
}

/** Seconds on the wall and of this thread's processor time, packets and the rest of one run of so many packets offered. */
export function simulate(arm: Arm, packets: number) {
  const { gbps, frameBytes = 1500 } = arm;
  const simulator = new Simulator(resolveSpec(specOf(arm)));
  const wireNs = wireNsOf(frameBytes, gbps);
  // The ring is filled first, outside the measured part.
  simulator.startRun({ forNs: 1 });
  while (!simulator.stepRun(1000));
  const started = performance.now();
  const begunNs = threadNs();
  simulator.startRun({ forNs: Math.ceil(packets * wireNs) });
  while (!simulator.stepRun(5000));
  const threadSeconds = (threadNs() - begunNs) / 1e9;
  const seconds = (performance.now() - started) / 1000;
  const result = simulator.runResult() as { operations: number; workloads: { counts: { offered: number } }[] };
  const offered = result.workloads[0]!.counts.offered;
  return {
    seconds,
    threadSeconds,
    packets: result.operations,
    completed: result.operations / offered,
    factor: simulator.runWireSeconds() / seconds,
    digest: simulator.digest().slice(0, 12),
  };
}

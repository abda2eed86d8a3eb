/** The arms of the argument: allocator and invalidation policy, on the preset, at two loads of the NIC. */
import { type RunResult, run, type Spec } from './lab.ts';

export interface Arm {
  allocator: 'rbtree-2008' | 'bitmap';
  policy: 'strict' | 'deferred-2008' | 'wrap' | 'delayed' | 'never';
}

export const ARMS: Arm[] = [
  { allocator: 'rbtree-2008', policy: 'strict' },
  { allocator: 'rbtree-2008', policy: 'deferred-2008' },
  { allocator: 'rbtree-2008', policy: 'delayed' },
  { allocator: 'rbtree-2008', policy: 'never' },
  { allocator: 'bitmap', policy: 'strict' },
  { allocator: 'bitmap', policy: 'deferred-2008' },
  { allocator: 'bitmap', policy: 'delayed' },
  { allocator: 'bitmap', policy: 'wrap' },
  { allocator: 'bitmap', policy: 'never' },
];

/** Long enough for the rings to have turned many times: figures at 400 ms differ by less than 4 %. */
export const RUN_NS = 50_000_000;

export type Select = 'last-unmapped' | 'random-unmapped';

export interface Load {
  /** Offered to the receive side; the transmit side gets a tenth. */
  gbps: number;
  select?: Select;
}

/** The preset's own workloads at another load; at 10 Gb/s they are the preset's. */
function workloads({ gbps, select = 'last-unmapped' }: Load): Spec[] {
  return [
    { name: 'rx', kind: 'nic-rx', device: 'nic0', gbps, cpus: [0] },
    { name: 'tx', kind: 'nic-tx', device: 'nic0', gbps: gbps / 10, cpus: [1] },
    { name: 'disk', kind: 'block', device: 'disk0', disk: 'sata', lengthBytes: 4096, pattern: 'sequential', cpus: [1] },
    { name: 'probe', kind: 'hostile', device: 'nic0', target: 'nic0', select, access: 'write' },
  ];
}

export function specOf(arm: Arm, load: Load, costs: Record<string, number> = {}, allocator: Spec = {}): Spec {
  return {
    preset: 'thread-2008',
    policy: { allocator: { kind: arm.allocator, ...allocator }, invalidation: { kind: arm.policy } },
    workloads: workloads(load),
    costs: { overrides: costs },
  };
}

const done = new Map<string, RunResult>();

/** One run of an arm; several tables ask for the same one. */
export function resultOf(arm: Arm, load: Load, costs: Record<string, number> = {}): RunResult {
  const key = JSON.stringify([arm, load, costs]);
  const known = done.get(key);
  if (known !== undefined) return known;
  const result = run(specOf(arm, load, costs), RUN_NS);
  done.set(key, result);
  return result;
}

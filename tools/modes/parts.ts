/** The generated parts of `docs/modes.md`. */
import { resolveSpec } from '../../src/core/index.ts';
import type { Operation } from '../../src/core/operations.ts';
import { modes } from '../../src/core/os/mode/index.ts';
import { Simulator } from '../../src/core/simulator.ts';
import { figure, table } from '../docs/table.ts';
import { type Part, scene } from '../thread-2008/parts.ts';
import * as scenes from './scenes.ts';

const code = (text: string): string => `\`${text}\``;

function modeTable(): string {
  const rows = Object.values(modes).map(({ kind, description, defaults, unused, virtual, source }) => [
    code(kind),
    description,
    Object.entries(defaults)
      .map(([name, value]) => code(`policy.${kind}.${name}: ${JSON.stringify(value)}`))
      .join(', ') || 'none',
    virtual ? 'of a guest' : 'of the host',
    unused.map(({ path }) => code(path.slice(1).replaceAll('/', '.'))).join(', ') || 'none',
    source,
  ]);
  return table(['mode', 'what it does', 'parameters and defaults', 'a domain is', 'without effect', 'source'], rows);
}

/** One mapping of 1,500 bytes for the device to write, in a session where it is the second of its kind. */
function beside(kind: string): string[] {
  const simulator = new Simulator(
    resolveSpec({
      policy: { mode: kind, allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' } },
      tenants: [{ kind: 'vm' }, { kind: 'process' }],
      domains: [{ tenant: 'ten_1' }],
      devices: [{ kind: 'custom', domain: 'dom_0' }],
    }),
  );
  const apply = (operation: Operation): Record<string, unknown> => {
    const outcome = simulator.apply(operation);
    if (outcome?.status !== 'ok') throw new Error(`${kind}: ${JSON.stringify(outcome)}`);
    return outcome.result;
  };
  const buffer = apply({ op: 'buffer', lengthBytes: 4096, tenant: 'ten_1' });
  const foreign = apply({ op: 'buffer', lengthBytes: 4096, tenant: 'ten_2' });
  const map = {
    op: 'map',
    device: 'dev_0',
    kind: 'single',
    direction: 'from-device',
    buffer: buffer.id as string,
    lengthBytes: 1500,
  } as const;
  apply({ op: 'unmap', mapping: apply(map).id as string });
  const mapped = apply(map);
  const touch = (iova: number): string =>
    apply({ op: 'dma', device: 'dev_0', iova, lengthBytes: 64, access: 'write' }).verdict as string;
  const at = Number(mapped.iova);
  const within = touch(at + 2000);
  const others = touch(Number(foreign.physicalAddress));
  const unmapped = apply({ op: 'unmap', mapping: mapped.id as string });
  const cost = ({ costCycles }: Record<string, unknown>) => figure(costCycles as number);
  const sum = (row: string) =>
    figure(
      ([mapped, unmapped] as { breakdown: Record<string, number> }[]).reduce(
        (total, { breakdown }) => total + breakdown[row]!,
        0,
      ),
    );
  return [
    code(kind),
    cost(mapped),
    cost(unmapped),
    sum('copy'),
    sum('invalidation'),
    sum('vmExit'),
    ...[within, touch(at), others].map(code),
  ];
}

function besideTable(): string {
  return table(
    [
      'mode',
      'map',
      'unmap',
      'of both: copy',
      'invalidation',
      'exits',
      'beyond its bytes',
      'after the unmap',
      "another owner's memory",
    ],
    Object.keys(modes).map(beside),
  );
}

/** Packets of 2 ms of a line that is never the limit, by CPUs, with the exit and without. */
function nestedByCpus(): string {
  const packets = (cpus: number, overrides: Record<string, number>): string => {
    const simulator = new Simulator(
      resolveSpec({
        machine: { cpus },
        costs: { profile: 'uiuc25-nested', overrides },
        policy: { mode: 'nested', allocator: { kind: 'rcache' }, invalidation: { kind: 'strict' } },
        tenants: [{ kind: 'vm' }],
        devices: [{ kind: 'nic' }],
        workloads: [
          {
            kind: 'nic-rx',
            device: 'dev_0',
            gbps: 400,
            queues: cpus,
            cpus: Array.from({ length: cpus }, (_, cpu) => cpu),
            ringSize: 512,
            mappingsPerPacket: 1,
          },
        ],
      }),
    );
    simulator.startRun({ forNs: 2_000_000 });
    while (!simulator.stepRun(100_000));
    return figure(simulator.runResult().operations as number);
  };
  return table(
    ['CPUs', 'packets', 'without the exit'],
    [1, 2, 4, 8, 16].map((cpus) => [`${cpus}`, packets(cpus, {}), packets(cpus, { hostRequest: 0 })]),
  );
}

export const modeParts: Record<string, Part> = {
  modes: modeTable,
  'modes side by side': besideTable,
  'mode translate': scene(scenes.translate),
  'mode bounce': scene(scenes.bounce),
  'mode shadow': scene(scenes.shadow),
  'mode direct': scene(scenes.direct),
  'mode emulated': scene(scenes.emulated),
  'mode paravirtual': scene(scenes.paravirtual),
  'mode nested': scene(scenes.nested),
  'mode nested, by CPUs': nestedByCpus,
  'mode nested, flushes dropped': scene(scenes.nestedDeaf),
  'mode refused': scene(scenes.refused),
};

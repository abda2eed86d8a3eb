/** The same 64 pages by one `map_sg` and by 64 `map_page`: scattered memory, each page a segment of its own. */
import type { MemoryRange } from '../../src/core/operations.ts';
import { figure, table } from '../docs/table.ts';
import type { Arm } from './arms.ts';
import { counters, machine } from './lab.ts';

const PAGES = 64;

interface Side {
  cycles: number;
  counts: Record<string, number>;
}

/** Maps 64 pages that do not touch each other, lets the device read them, unmaps them. */
function transfer(arm: Arm, asList: boolean): Side {
  const { simulator, do: apply } = machine({
    policy: { allocator: { kind: arm.allocator }, invalidation: { kind: arm.policy } },
    devices: [{ name: 'disk0', kind: 'block' }],
    costs: { profile: 'riommu15-brcm' },
  });
  const pages: MemoryRange[] = [];
  for (let page = 0; page < PAGES; page++) {
    pages.push({ buffer: apply({ op: 'buffer', lengthBytes: 4096 }).id as string, lengthBytes: 4096 });
    // A frame that nobody maps, so that no two of the segments are neighbours.
    apply({ op: 'buffer', lengthBytes: 4096 });
  }
  const requests = asList ? [{ segments: pages }] : pages;
  const kind = asList ? 'sg' : 'page';
  let cycles = 0;
  const mapped = requests.map((memory) => {
    const result = apply({ op: 'map', device: 'disk0', kind, direction: 'to-device', ...memory });
    cycles += result.costCycles as number;
    return result;
  });
  for (const { segments } of mapped as { segments: { iova: string; lengthBytes: number }[] }[])
    for (const { iova, lengthBytes } of segments)
      apply({ op: 'dma', device: 'disk0', iova, lengthBytes, access: 'read' });
  for (const { id } of mapped) cycles += apply({ op: 'unmap', mapping: id as string }).costCycles as number;
  return { cycles, counts: counters(simulator) };
}

export function scatterTable(): string {
  const policies: Arm[] = [
    { allocator: 'rbtree-2008', policy: 'strict' },
    { allocator: 'rbtree-2008', policy: 'deferred-2008' },
    { allocator: 'bitmap', policy: 'strict' },
    { allocator: 'bitmap', policy: 'deferred-2008' },
  ];
  const rows = policies.flatMap((arm) =>
    [true, false].map((asList) => {
      const { cycles, counts } = transfer(arm, asList);
      return [
        arm.allocator,
        arm.policy,
        asList ? 'one `map_sg`' : `${PAGES} \`map_page\``,
        counts.allocationAttempts!,
        counts.ptesWritten!,
        counts.invalidationsRange!,
        counts.invalidationsGlobal!,
        figure(cycles),
        figure(cycles / PAGES),
      ];
    }),
  );
  return table(
    [
      'allocator',
      'policy',
      'by',
      'allocations',
      'PTEs',
      'invalidations of a range',
      'global',
      'cycles',
      'cycles a page',
    ],
    rows,
  );
}

/** Presets: specs with a name, created by one request. */

export interface Preset {
  kind: string;
  title: string;
  source: string;
  spec: Record<string, unknown>;
}

/**
 * The argument of June 2008: a 10GbE NIC and a disk doing sequential 4 KiB reads on one IOMMU, and a device that goes on using what
 * it has seen. The thread's words: the NIC maps pages one by one, the disk maps scatter lists, both hit one resource manager.
 */
const thread2008: Preset = {
  kind: 'thread-2008',
  title: 'The 2008 argument: a 10GbE NIC and a disk on one IOMMU',
  source: 'Linux kernel mailing list, June 2008, bitmap against red-black tree for intel-iommu',
  spec: {
    machine: { cpus: 2 },
    policy: { allocator: { kind: 'rbtree-2008' }, invalidation: { kind: 'deferred-2008' } },
    domains: [{ name: 'shared' }],
    devices: [
      { name: 'nic0', kind: 'nic', domain: 'shared' },
      { name: 'disk0', kind: 'block', domain: 'shared' },
    ],
    workloads: [
      { name: 'rx', kind: 'nic-rx', device: 'nic0', gbps: 10, cpus: [0] },
      { name: 'tx', kind: 'nic-tx', device: 'nic0', gbps: 1, cpus: [1] },
      {
        name: 'disk',
        kind: 'block',
        device: 'disk0',
        disk: 'sata',
        lengthBytes: 4096,
        pattern: 'sequential',
        cpus: [1],
      },
      { name: 'probe', kind: 'hostile', device: 'nic0', target: 'nic0', select: 'last-unmapped', access: 'write' },
    ],
    costs: { profile: 'riommu15-brcm' },
  },
};

/**
 * The cache of freed addresses as it is today, and as it was from 2016 until its depot was made to shrink in 2023, on the rest of today's
 * code: the tree of 4.15, the pop that scans for a limit (2017), the flush that empties the depots too (2020), flush queues (2017).
 */
function rcachePreset(kind: string, title: string, source: string, parameters: Record<string, unknown>): Preset {
  const allocator = { kind: 'rcache', tree: 'rbtree', maxOrder: 6, depotMax: 32, ...parameters };
  return { kind, title, source, spec: { policy: { allocator, invalidation: { kind: 'flush-queue' } } } };
}

const rcacheToday = rcachePreset(
  'rcache-today',
  'Linux since September 2023: magazines of 127, a depot that a worker trims, flush queues',
  'Linux drivers/iommu/iova.c, "iommu/iova: Manage the depot list size"',
  { magazineEntries: 127, depot: 'trimmed' },
);
const rcache2016 = rcachePreset(
  'rcache-2016',
  'The depot of Linux 2016 to 2023: magazines of 128, 32 of them a size, what is more goes to the tree',
  'Linux drivers/iommu/iova.c, commit 9257b4a206fc',
  { magazineEntries: 128, depot: 'fixed' },
);

export const presets: Record<string, Preset> = Object.fromEntries(
  [thread2008, rcacheToday, rcache2016].map((preset) => [preset.kind, preset]),
);

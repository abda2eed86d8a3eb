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

export const presets: Record<string, Preset> = { [thread2008.kind]: thread2008 };

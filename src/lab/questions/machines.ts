/** Parts of machines that several questions have. */

export const cpusTo = (count: number): number[] => Array.from({ length: count }, (_, cpu) => cpu);

/** The kernel's benchmark of maps, on one thread: `threads` and the other members are set beside it. */
export const BENCHMARK = {
  name: 'bench',
  kind: 'map-benchmark',
  device: 'dev',
  threads: 1,
  seconds: 10,
  direction: 'to-device',
};

/** Reads of 4 KiB at random from drives that do 1.644 million of them a second (two NVMe on a Skylake without IOMMU). */
export const NVME = {
  name: 'fio',
  kind: 'block',
  device: 'nvme',
  disk: 'custom',
  iops: 1_644_000,
  lengthBytes: 4096,
  pattern: 'random',
  access: 'read',
  depth: 32,
};

/** The runs of `docs/workloads.md`: one `curl` story a workload, carried out when the page is written. */
import type { Shown, Step } from '../docs/curl.ts';
import { type Part, scene } from '../thread-2008/parts.ts';

const JSON_TYPE = "-H 'content-type: application/json'";

/** A session with one workload, a run of it, and what of the result is of interest. */
function story(name: string, spec: string, run: string, shown: Shown): Step[] {
  return [
    { curl: `curl -s localhost:8080/v1/sessions ${JSON_TYPE} -d '{"name": "${name}", ${spec}}'`, show: { name: true } },
    {
      curl: `curl -s localhost:8080/v1/sessions/${name}/runs ${JSON_TYPE} -d '${run}'`,
      show: { id: true },
      thenWait: true,
    },
    {
      curl: `curl -s localhost:8080/v1/sessions/${name}/runs/run_1`,
      show: { state: true, result: { simulatedSeconds: true, workloads: [shown] } },
    },
  ];
}

const LATENCY: Shown = { mean: true, p50: true, p99: true, max: true };
const ENGINE: Shown = { outstandingMean: true, walkersBusyMean: true, walkWaitNs: true };
const BITMAP = '"policy": {"allocator": {"kind": "bitmap"}}';

const window = story(
  'window',
  '"iommu": {"iotlb": {"entries": 119, "ways": 0}}, "devices": [{"name": "fpga", "kind": "custom"}], "workloads": [{"kind": "dma-window", "device": "fpga", "windowBytes": 1048576, "missNs": 230}]',
  '{"operations": 100000}',
  { operations: true, throughputGbps: true, latencyNs: LATENCY, iotlb: true, engine: ENGINE },
);

const copies = story(
  'copies',
  '"iommu": {"iotlb": {"entries": 32, "ways": 2}}, "devices": [{"name": "ioat", "kind": "custom"}], "workloads": [{"kind": "dma-window", "device": "ioat", "access": "copy", "accessBytes": 1024, "strideBytes": 4096, "pattern": "sequential", "windowBytes": 262144, "busGbps": 16, "readLatencyNs": 0, "missNs": 290}]',
  '{"operations": 20000}',
  { operations: true, throughputGbps: true, latencyNs: LATENCY, iotlb: true },
);

const benchmark = story(
  'benchmark',
  '"policy": {"allocator": {"kind": "rbtree"}, "invalidation": {"kind": "flush-queue"}}, "devices": [{"name": "nic0", "kind": "nic"}], "workloads": [{"kind": "map-benchmark", "device": "nic0", "threads": 4, "seconds": 1, "direction": "from-device", "granulePages": 8}]',
  '{"forNs": 50000000}',
  { operations: true, lines: true, breakdown: { map: { iovaAlloc: true, pageTable: true, lockWait: true } } },
);

const receive = story(
  'receive',
  `${BITMAP}, "machine": {"cpus": 16}, "iommu": {"walkCache": {"entriesPerLevel": [16, 16, 4]}}, "devices": [{"name": "nic0", "kind": "nic"}], "workloads": [{"kind": "nic-rx", "device": "nic0", "gbps": 100, "frameBytes": 4096, "queues": 16, "cpus": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], "ringSize": 8, "pagesPerDescriptor": 64, "acksPerPage": 0.12, "parallelWalks": 1, "pageBaseNs": 65, "walkReferenceNs": 197}]`,
  '{"forNs": 5000000}',
  { operations: true, throughputGbps: true, counts: true, iotlb: true, engine: ENGINE },
);

const pool = story(
  'pool',
  '"iommu": {"iotlb": {"entries": 128, "ways": 0}}, "machine": {"cpus": 8}, "devices": [{"name": "nic0", "kind": "nic"}], "workloads": [{"kind": "nic-rx", "device": "nic0", "gbps": 20, "queues": 8, "cpus": [0, 1, 2, 3, 4, 5, 6, 7], "bufferBytes": 2048, "recycle": "page-pool", "shuffle": 0.05}]',
  '{"operations": 50000}',
  { operations: true, throughputGbps: true, counts: true, iotlb: true },
);

const nvme = story(
  'nvme',
  '"policy": {"invalidation": {"kind": "strict"}}, "machine": {"cpus": 8}, "devices": [{"name": "disk0", "kind": "block"}], "workloads": [{"kind": "block", "device": "disk0", "disk": "nvme", "iops": 211000, "pattern": "random", "depth": 32, "jobs": 4, "cpus": [0, 1, 2, 3], "completionCpus": [4, 5, 6, 7]}]',
  '{"forNs": 50000000}',
  { operations: true, iops: true, latencyNs: LATENCY, cyclesPerOperation: true },
);

export const workloadParts: Record<string, Part> = {
  'workload dma-window': scene(window),
  'workload dma-window copies': scene(copies),
  'workload map-benchmark': scene(benchmark),
  'workload nic-rx': scene(receive),
  'workload nic-rx pool': scene(pool),
  'workload block': scene(nvme),
};

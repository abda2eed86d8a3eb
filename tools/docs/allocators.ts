/** What the pages of `docs/allocators/` show, as `curl` commands: each list of steps is one block of a page. */
import { bitmapScenes } from './allocators/bitmaps.ts';
import { keeperScenes } from './allocators/keepers.ts';
import { poolScenes } from './allocators/pools.ts';
import { sbaScenes } from './allocators/sba.ts';
import { treeScenes } from './allocators/trees.ts';
import { CREATED, create, inside, JSON_TYPE, ops, readRun, STARTED, startRun } from './commands.ts';
import type { Shown, Step } from './curl.ts';

/** A hole of eight pages, all that is left below 4 GiB, and a request for eight pages. */
const hole = (name: string, kind: string): Step[] => [
  {
    curl: create(
      `{"name": "${name}", "policy": {"allocator": {"kind": "${kind}"}, "invalidation": {"kind": "strict"}}, "iommu": {"reservedRegions": [{"start": "0x0", "end": "0xffff7fff", "type": "reserved"}]}, "devices": [{"name": "nic0", "kind": "nic", "dmaMaskBits": 32}]}`,
    ),
    show: CREATED,
  },
  {
    curl: ops(name, [
      '{"op": "map", "device": "nic0", "kind": "single", "direction": "from-device", "physicalAddress": "0x100000", "lengthBytes": 32768}',
    ]),
    show: { line: true, op: true, ok: true, result: { iova: true }, problem: { code: true, detail: true } },
  },
];

/** I/Os of 32 pages and of 33, mapped as one range each, beside a NIC's ring in the same domain. */
const cliff = (name: string, lengthBytes: number): Step[] => [
  {
    curl: create(
      `{"preset": "rcache-today", "name": "${name}", "policy": {"invalidation": {"kind": "strict"}}, "domains": [{"name": "shared"}], "devices": [{"name": "disk0", "kind": "block", "domain": "shared", "dmaMaskBits": 32}, {"name": "nic0", "kind": "nic", "domain": "shared", "dmaMaskBits": 32}], "workloads": [{"name": "disk", "kind": "block", "device": "disk0", "disk": "custom", "lengthBytes": ${lengthBytes}, "depth": 256, "cpus": [0]}, {"name": "rx", "kind": "nic-rx", "device": "nic0", "gbps": 10, "ringSize": 4096, "cpus": [1]}]}`,
    ),
    show: CREATED,
  },
  { curl: startRun(name, '{"forNs": 20000000}'), show: STARTED, thenWait: true },
  {
    curl: readRun(name),
    show: {
      result: {
        counts: { cacheHits: true, cacheMisses: true, cacheBypasses: true, nodesVisited: true },
        workloads: [{ name: true, breakdown: { map: { iovaAlloc: true } } }],
      },
    },
  },
];

/** A receive and a transmit ring in one space. */
const rings = (name: string, kind: string): Step[] => [
  {
    curl: create(
      `{"name": "${name}", "machine": {"cpus": 2}, "policy": {"allocator": {"kind": "${kind}"}, "invalidation": {"kind": "strict"}}, "devices": [{"name": "nic0", "kind": "nic"}], "workloads": [{"kind": "nic-rx", "device": "nic0", "gbps": 1, "cpus": [0]}, {"kind": "nic-tx", "device": "nic0", "gbps": 1, "cpus": [1]}]}`,
    ),
    show: CREATED,
  },
  { curl: startRun(name, '{"forNs": 50000000}'), show: STARTED, thenWait: true },
  {
    curl: readRun(name),
    show: {
      result: {
        counts: { allocationAttempts: true, nodesVisited: true, cacheHits: true, cacheMisses: true },
        breakdown: { map: { iovaAlloc: true } },
      },
    },
  },
];

const DEPOT: Shown = { cachedRanges: true, depotMagazines: true, magazines: true };
const map = (label: string): string =>
  `{"op": "map", "device": "nic0", "kind": "single", "direction": "from-device", "physicalAddress": "0x100000", "lengthBytes": 64, "as": "${label}"}`;
const unmap = (label: string): string => `{"op": "unmap", "mapping": "$${label}", "cpu": 1}`;
const labels = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

/** Mapped on CPU 0, unmapped on CPU 1, with magazines so small that the depot fills at once. */
const depot: Step[] = [
  {
    curl: create(
      '{"preset": "rcache-today", "name": "depot", "machine": {"cpus": 2}, "policy": {"allocator": {"magazineEntries": 1}, "invalidation": {"kind": "strict"}}, "devices": [{"name": "nic0", "kind": "nic"}]}',
    ),
    show: CREATED,
  },
  {
    curl: ops('depot', [...labels.map(map), ...labels.map(unmap)]),
    show: { line: true, op: true, ok: true },
  },
  { curl: inside('depot'), show: DEPOT },
  {
    curl: `curl -s localhost:8080/v1/sessions/depot/advance ${JSON_TYPE} -d '{"ns": 1000000000}'`,
    show: { fired: true },
  },
  { curl: inside('depot'), show: DEPOT },
];

export const allocatorScenes: Record<string, Step[]> = {
  ...treeScenes,
  ...bitmapScenes,
  ...poolScenes,
  ...sbaScenes,
  ...keeperScenes,
  'maple exact hole': [...hole('gap', 'maple'), { curl: inside('gap'), show: { max32AllocSize: true, levels: true } }],
  'maple the tree': hole('tree', 'rbtree'),
  'rcache cliff': [...cliff('pages-32', 131_072), ...cliff('pages-33', 135_168)],
  'rcache depot': depot,
  'eiovar rings': [...rings('tree', 'rbtree-2008'), ...rings('lists', 'eiovar')],
};

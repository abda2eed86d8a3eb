/** What the pages of `docs/policies/` show, as `curl` commands: each list of steps is one block of a page. */
import { CREATED, create, ops, readRun, STARTED, startRun } from './commands.ts';
import type { Shown, Step } from './curl.ts';

const NIC = '"devices": [{"name": "nic0", "kind": "nic"}]';
const policy = (allocator: string, invalidation: string): string =>
  `"policy": {"allocator": {"kind": ${allocator}}, "invalidation": {"kind": ${invalidation}}}`;

const map = (label: string, memory: string): string =>
  `{"op": "map", "device": "nic0", "kind": "single", "direction": "from-device", ${memory}, "as": "${label}"}`;
const page = (label: string, physicalAddress: string): string =>
  map(label, `"physicalAddress": "${physicalAddress}", "lengthBytes": 4096`);
const write = (iova: string, device = 'nic0'): string =>
  `{"op": "dma", "device": "${device}", "iova": "${iova}", "lengthBytes": 64, "access": "write"}`;
const unmap = (label: string): string => `{"op": "unmap", "mapping": "$${label}"}`;
const HOUR = 3_600_000_000_000;
const advance = (ns: number): string => `{"op": "advance", "ns": ${ns}}`;

const PIECES: Shown = [{ physicalAddress: true, from: true, verdict: true, cause: true, reason: true }];
const LINE: Shown = {
  line: true,
  op: true,
  result: { iova: true, exposed: true, pages: PIECES },
  problem: { code: true },
};

/** Packets of 2 ms on so many CPUs, a queue each, of a line that is never the limit. */
const packets = (name: string, cpus: number, invalidation: string, counts: Shown): Step[] => [
  {
    curl: create(
      `{"name": "${name}", "machine": {"cpus": ${cpus}}, ${policy('"rcache"', invalidation)}, ${NIC}, "workloads": [{"name": "rx", "kind": "nic-rx", "device": "nic0", "gbps": 400, "queues": ${cpus}, "ringSize": 64, "cpus": [${Array.from({ length: cpus }, (_, cpu) => cpu).join(', ')}]}]}`,
    ),
    show: CREATED,
  },
  { curl: startRun(name, '{"forNs": 2000000}'), show: STARTED, thenWait: true },
  {
    curl: readRun(name),
    show: {
      result: {
        throughputGbps: true,
        counts,
        breakdown: { unmap: { iovaFree: true, invalidation: true, lockWait: true } },
      },
    },
  },
];

const QUEUE: Shown = { invalidationsRange: true, invalidationBacklogWaits: true };

const sharedQueue: Step[] = [...packets('one', 1, '"strict"', QUEUE), ...packets('sixteen', 16, '"strict"', QUEUE)];

/** A page that is unmapped, and what the walk of another page, mapped after it, finds cached. */
const pathKept = (name: string, invalidation: string): Step[] => [
  { curl: create(`{"name": "${name}", ${policy('"rcache"', invalidation)}, ${NIC}}`), show: CREATED },
  {
    curl: ops(name, [page('a', '0x1000000'), page('b', '0x2000000'), write('$a.iova'), unmap('a'), write('$b.iova')]),
    show: { line: true, op: true, result: { pages: [{ from: true, verdict: true, memoryReferences: true }] } },
  },
];

const COSTS: Shown = {
  line: true,
  op: true,
  result: { iova: true, costCycles: true, breakdown: { iovaFree: true, invalidation: true } },
};
const five = ['a', 'b', 'c', 'd', 'e'];
const unluckyUnmap: Step[] = [
  {
    curl: create(`{"name": "unlucky", ${policy('"rbtree"', '"deferred-2008", "highWater": 4')}, ${NIC}}`),
    show: CREATED,
  },
  {
    curl: ops('unlucky', [...five.map((label) => page(label, '0x1000000')), ...five.map(unmap)]),
    show: COSTS,
  },
];

/** A table page that goes from one guest's mapping to another's while the walk cache still leads to it. */
const tablePage = (name: string, invalidation: string): Step[] => [
  {
    curl: create(
      `{"name": "${name}", "iommu": {"superpages": []}, ${policy('"rbtree"', invalidation)}, "tenants": [{"name": "guest-a", "kind": "vm"}, {"name": "guest-b", "kind": "vm"}], "devices": [{"name": "vf0", "kind": "nic"}, {"name": "vf1", "kind": "nic"}]}`,
    ),
    show: CREATED,
  },
  {
    curl: ops(name, [
      '{"op": "buffer", "name": "a", "tenant": "guest-a", "lengthBytes": 2097152}',
      '{"op": "buffer", "name": "b", "tenant": "guest-b", "lengthBytes": 2097152}',
      '{"op": "buffer", "name": "small", "tenant": "guest-b", "lengthBytes": 4096}',
      '{"op": "map", "device": "vf1", "kind": "single", "direction": "bidirectional", "buffer": "small"}',
      '{"op": "map", "device": "vf0", "kind": "single", "direction": "bidirectional", "buffer": "a", "as": "ofA"}',
      '{"op": "dma", "device": "vf0", "iova": "$ofA.iova", "lengthBytes": 64, "access": "read"}',
      unmap('ofA'),
      '{"op": "map", "device": "vf1", "kind": "single", "direction": "bidirectional", "buffer": "b"}',
      '{"op": "dma", "device": "vf0", "iova": "$ofA.iova+4096", "lengthBytes": 64, "access": "read"}',
    ]),
    show: { ...LINE, result: { physicalAddress: true, iova: true, exposed: true, pages: PIECES } },
  },
];

const FLUSHES: Shown = { flushesFull: true, flushesTimer: true, invalidationsGlobal: true, invalidationsDomain: true };

/** So little traffic on 64 CPUs that no ring fills up: what the timer does to the packets of its CPU. */
const timer = (name: string, invalidation: string): Step[] => [
  {
    curl: create(
      `{"name": "${name}", "machine": {"cpus": 64}, ${policy('"rcache"', invalidation)}, ${NIC}, "workloads": [{"name": "rx", "kind": "nic-rx", "device": "nic0", "gbps": 9, "queues": 64, "ringSize": 256, "cpus": [${Array.from({ length: 64 }, (_, cpu) => cpu).join(', ')}]}]}`,
    ),
    show: CREATED,
  },
  { curl: startRun(name, '{"forNs": 15000000}'), show: STARTED, thenWait: true },
  {
    curl: readRun(name),
    show: {
      result: {
        counts: FLUSHES,
        latencyNs: { p50: true, p999: true, max: true },
        workloads: [{ operations: true, counts: { dropped: true } }],
      },
    },
  },
];

/** How long a page stays within reach when nobody else unmaps. */
const single: Step[] = [
  { curl: create(`{"name": "guests", ${policy('"rcache"', '"flush-queue", "single": true')}, ${NIC}}`), show: CREATED },
  {
    curl: ops('guests', [
      page('a', '0x1000000'),
      write('$a.iova'),
      unmap('a'),
      advance(11_000_000),
      write('$a.iova'),
      advance(990_000_000),
      write('$a.iova'),
    ]),
    show: LINE,
  },
];

/** A lap of three maps, and a page that is freed ahead of the cursor. */
const lap = (name: string, allocator: string): Step[] => [
  {
    curl: create(`{"name": "${name}", ${policy(`${allocator}, "entries": 256`, '"wrap"')}, ${NIC}}`),
    show: CREATED,
  },
  {
    curl: ops(name, [
      map('first', '"physicalAddress": "0x1000000", "lengthBytes": 262144'),
      page('ahead', '0x2000000'),
      map('rest', '"physicalAddress": "0x5000000", "lengthBytes": 532480'),
      unmap('first'),
      map('lap', '"physicalAddress": "0x3000000", "lengthBytes": 262144'),
      write('$ahead.iova'),
      unmap('ahead'),
      page('again', '0x4000000'),
      write('$again.iova'),
    ]),
    show: LINE,
  },
];

const idle: Step[] = [
  { curl: create(`{"name": "idle", ${policy('"gart"', '"wrap"')}, ${NIC}}`), show: CREATED },
  {
    curl: ops('idle', [page('a', '0x1000000'), write('$a.iova'), unmap('a'), advance(HOUR), write('$a.iova')]),
    show: LINE,
  },
];

const postedPurge: Step[] = [
  { curl: create(`{"name": "posted", ${policy('"sba-parisc"', '"delayed"')}, ${NIC}}`), show: CREATED },
  {
    curl: ops('posted', [
      page('a', '0x1000000'),
      write('$a.iova'),
      unmap('a'),
      write('$a.iova'),
      advance(44),
      write('$a.iova'),
    ]),
    show: LINE,
  },
];

/** Seven times 32 pages are all that there is of that size; they are unmapped, and nothing is live. */
const seven = [...five, 'f', 'g'];
const heldBack = (name: string, allocator: string, invalidation: string): Step[] => {
  const half = (label: string): string => map(label, '"physicalAddress": "0x1000000", "lengthBytes": 131072');
  return [
    {
      curl: create(`{"name": "${name}", ${policy(`${allocator}, "entries": 256`, invalidation)}, ${NIC}}`),
      show: CREATED,
    },
    {
      curl: ops(name, [...seven.map(half), ...seven.map(unmap), advance(HOUR), half('again')]),
      show: { line: true, op: true, ok: true, result: { iova: true, fired: true }, problem: { code: true } },
    },
  ];
};

const standing: Step[] = [
  {
    curl: create(
      `{"name": "standing", ${policy('"sba-ia64"', '"delayed", "form": "ia64"')}, "tenants": [{"name": "guest-a", "kind": "vm"}, {"name": "guest-b", "kind": "vm"}], ${NIC}}`,
    ),
    show: CREATED,
  },
  {
    curl: ops('standing', [
      '{"op": "buffer", "tenant": "guest-a", "lengthBytes": 4096, "as": "mine"}',
      map('a', '"buffer": "$mine"'),
      unmap('a'),
      '{"op": "free", "buffer": "$mine"}',
      '{"op": "buffer", "tenant": "guest-b", "lengthBytes": 4096, "as": "theirs"}',
      advance(HOUR),
      write('$a.iova'),
    ]),
    show: { ...LINE, result: { physicalAddress: true, iova: true, exposed: true, pages: PIECES } },
  },
];

/** Descriptors of 64 pages that another CPU gives back, beside what is sent. */
const descriptors = (name: string, allocator: string, invalidation: string): Step[] => [
  {
    curl: create(
      `{"name": "${name}", "machine": {"cpus": 2}, ${policy(allocator, invalidation)}, ${NIC}, "workloads": [{"name": "rx", "kind": "nic-rx", "device": "nic0", "gbps": 10, "ringSize": 64, "frameBytes": 4096, "pagesPerDescriptor": 64, "cpus": [0], "completionCpus": [1]}, {"name": "tx", "kind": "nic-tx", "device": "nic0", "gbps": 2, "cpus": [0], "completionCpus": [1]}]}`,
    ),
    show: CREATED,
  },
  { curl: startRun(name, '{"forNs": 30000000}'), show: STARTED, thenWait: true },
  {
    curl: readRun(name),
    show: {
      result: {
        counts: { invalidationsRange: true, amplifiedPages: true },
        workloads: [{ name: true, operations: true, counts: { unmaps: true } }],
      },
    },
  },
];

const control: Step[] = [
  {
    curl: create(`{"name": "control", ${policy('"rcache"', '"never"')}, ${NIC}}`),
    show: CREATED,
  },
  {
    curl: ops('control', [
      page('a', '0x1000000'),
      write('$a.iova'),
      unmap('a'),
      page('b', '0x2000000'),
      write('$b.iova'),
    ]),
    show: LINE,
  },
];

export const policyScenes: Record<string, Step[]> = {
  'strict shared queue': sharedQueue,
  'strict walk caches': [...pathKept('kept', '"strict"'), ...pathKept('dropped', '"strict", "leafOnly": false')],
  'deferred-2008 unlucky unmap': unluckyUnmap,
  'deferred-2008 one lock': [
    ...packets('table', 16, '"deferred-2008"', FLUSHES),
    ...packets('rings', 16, '"flush-queue"', FLUSHES),
  ],
  'deferred-2008 table page': tablePage('reused', '"deferred-2008"'),
  'flush-queue timer': [...timer('timer', '"flush-queue"'), ...timer('timer-2008', '"deferred-2008"')],
  'flush-queue single': single,
  'wrap ahead of the cursor': [
    ...lap('sparc', '"sparc-pools", "pools": 1, "largePool": false'),
    ...lap('alpha', '"alpha"'),
  ],
  'wrap idle': idle,
  'delayed posted purge': postedPurge,
  'delayed held back': [
    ...heldBack('parisc', '"sba-parisc"', '"delayed"'),
    ...heldBack('ia64', '"sba-ia64"', '"delayed", "form": "ia64"'),
  ],
  'delayed standing': standing,
  'batched descriptors': [
    ...descriptors('one-by-one', '"contiguous"', '"strict"'),
    ...descriptors('together', '"contiguous"', '"batched"'),
    ...descriptors('scattered', '"rcache"', '"batched"'),
  ],
  'never at once': control,
};

/** The story of the page as `curl` commands. Each list of steps is one block of the page. */
import { create, JSON_TYPE, ops, readRun, startRun } from '../docs/commands.ts';
import type { Shown, Step } from '../docs/curl.ts';

const CREATED: Shown = { name: true, state: true, timeNs: true, spec: { policy: true } };
const STARTED: Shown = { id: true, request: true };
const FIGURES: Shown = {
  state: true,
  timeNs: true,
  result: {
    counts: {
      flushesFull: true,
      flushesTimer: true,
      flushesWrap: true,
      invalidationsGlobal: true,
      invalidationsRange: true,
    },
    exposure: {
      potential: { pageSeconds: true, peakPages: true, longestWindowNs: true },
      actual: { pageSeconds: true, peakPages: true, longestWindowNs: true },
    },
    verdicts: true,
    workloads: [
      {
        name: true,
        operations: true,
        throughputGbps: true,
        iops: true,
        cyclesPerOperation: true,
        exposure: { attemptsAfterUnmap: true, detectability: true },
      },
    ],
  },
};
const LINE: Shown = {
  line: true,
  op: true,
  ok: true,
  result: {
    id: true,
    iova: true,
    physicalAddress: true,
    exposed: true,
    verdict: true,
    pages: [{ iova: true, physicalAddress: true, from: true, verdict: true, cause: true, reason: true }],
    costCycles: true,
    fired: true,
  },
  problem: true,
};

/** The preset as it stands: tree, deferred. */
export const firstRun: Step[] = [
  { curl: create('{"preset": "thread-2008", "name": "first"}'), show: CREATED },
  { curl: startRun('first', '{"forNs": 50000000}'), show: STARTED, thenWait: true },
  { curl: readRun('first'), show: FIGURES },
];

/** Any other arm is a few members more. */
export const otherArm: Step[] = [
  {
    curl: create(
      '{"preset": "thread-2008", "name": "lap", "policy": {"allocator": {"kind": "bitmap"}, "invalidation": {"kind": "wrap"}}}',
    ),
    show: CREATED,
  },
  { curl: startRun('lap', '{"forNs": 50000000}'), show: STARTED, thenWait: true },
  { curl: readRun('lap'), show: FIGURES },
];

/** `wrap` needs a cursor that wraps. */
export const wrapOnTree: Step[] = [
  {
    curl: create('{"preset": "thread-2008", "policy": {"invalidation": {"kind": "wrap"}}}'),
    show: { status: true, code: true, detail: true, errors: true },
  },
];

/** Three scattered pages, as a list and one by one. */
export const scatter: Step[] = [
  {
    curl: create(
      '{"name": "lists", "policy": {"invalidation": {"kind": "strict"}}, "devices": [{"name": "disk0", "kind": "block"}]}',
    ),
    show: { name: true },
  },
  {
    curl: ops('lists', [
      '{"op": "map", "device": "disk0", "kind": "sg", "direction": "to-device", "segments": [{"physicalAddress": "0x100000", "lengthBytes": 4096}, {"physicalAddress": "0x180000", "lengthBytes": 4096}, {"physicalAddress": "0x200000", "lengthBytes": 4096}], "as": "list"}',
      '{"op": "unmap", "mapping": "$list"}',
      '{"op": "map", "device": "disk0", "kind": "page", "direction": "to-device", "physicalAddress": "0x100000", "lengthBytes": 4096, "as": "a"}',
      '{"op": "map", "device": "disk0", "kind": "page", "direction": "to-device", "physicalAddress": "0x180000", "lengthBytes": 4096, "as": "b"}',
      '{"op": "map", "device": "disk0", "kind": "page", "direction": "to-device", "physicalAddress": "0x200000", "lengthBytes": 4096, "as": "c"}',
      '{"op": "unmap", "mapping": "$a"}',
      '{"op": "unmap", "mapping": "$b"}',
      '{"op": "unmap", "mapping": "$c"}',
    ]),
    show: LINE,
  },
];

/** The slot freed ahead of the cursor: a bitmap of 256 pages, so that one lap is three maps. */
export const aheadOfCursor: Step[] = [
  {
    curl: create(
      '{"name": "ahead", "policy": {"allocator": {"kind": "bitmap", "apertureBytes": 1048576}, "invalidation": {"kind": "wrap"}}, "devices": [{"name": "nic0", "kind": "nic"}]}',
    ),
    show: { name: true },
  },
  {
    curl: ops('ahead', [
      '{"op": "buffer", "lengthBytes": 262144, "as": "large"}',
      '{"op": "buffer", "lengthBytes": 4096, "as": "old"}',
      '{"op": "buffer", "lengthBytes": 4096, "as": "new"}',
      '{"op": "map", "device": "nic0", "kind": "page", "direction": "bidirectional", "buffer": "$large", "lengthBytes": 262144, "as": "filler"}',
      '{"op": "map", "device": "nic0", "kind": "page", "direction": "bidirectional", "buffer": "$old", "lengthBytes": 4096, "as": "victim"}',
      '{"op": "unmap", "mapping": "$filler"}',
      '{"op": "map", "device": "nic0", "kind": "page", "direction": "bidirectional", "buffer": "$large", "lengthBytes": 262144, "as": "lap"}',
      '{"op": "dma", "device": "nic0", "iova": "$victim.iova", "lengthBytes": 64, "access": "write"}',
      '{"op": "unmap", "mapping": "$victim"}',
      '{"op": "map", "device": "nic0", "kind": "page", "direction": "bidirectional", "buffer": "$new", "lengthBytes": 4096, "as": "heir"}',
      '{"op": "dma", "device": "nic0", "iova": "$heir.iova", "lengthBytes": 64, "access": "write"}',
    ]),
    show: LINE,
  },
];

const guestOps = [
  '{"op": "tenant", "name": "guest-a", "kind": "vm"}',
  '{"op": "tenant", "name": "guest-b", "kind": "vm"}',
  '{"op": "domain", "name": "dom-a", "tenant": "guest-a"}',
  '{"op": "device", "name": "vf0", "kind": "custom", "domain": "dom-a"}',
  '{"op": "buffer", "tenant": "guest-a", "lengthBytes": 4096, "as": "mine"}',
  '{"op": "map", "device": "vf0", "kind": "single", "direction": "from-device", "buffer": "$mine", "lengthBytes": 4096, "as": "m"}',
  '{"op": "dma", "device": "vf0", "iova": "$m.iova", "lengthBytes": 64, "access": "write"}',
  '{"op": "unmap", "mapping": "$m"}',
  '{"op": "free", "buffer": "$mine"}',
  '{"op": "buffer", "tenant": "guest-b", "lengthBytes": 4096, "as": "theirs"}',
  '{"op": "dma", "device": "vf0", "iova": "$m.iova", "lengthBytes": 64, "access": "write"}',
  '{"op": "advance", "ns": 10000000}',
  '{"op": "dma", "device": "vf0", "iova": "$m.iova", "lengthBytes": 64, "access": "write"}',
];

/** Guest A's device, after guest A's page has gone to guest B. */
export const guests: Step[] = [
  { curl: create('{"name": "guests", "policy": {"invalidation": {"kind": "deferred-2008"}}}'), show: { name: true } },
  { curl: ops('guests', guestOps), show: LINE },
];

export const guestsStrict: Step[] = [
  { curl: create('{"name": "guests-strict", "policy": {"invalidation": {"kind": "strict"}}}'), show: { name: true } },
  { curl: ops('guests-strict', guestOps), show: LINE },
];

/** README: shorter figures of the same two requests. */
export const readme: Step[] = [
  {
    curl: create('{"preset": "thread-2008", "name": "worked-example"}'),
    show: { name: true, state: true, spec: { policy: true } },
  },
  { curl: startRun('worked-example', '{"forNs": 50000000}'), show: STARTED, thenWait: true },
  {
    curl: readRun('worked-example'),
    show: {
      state: true,
      result: {
        exposure: { actual: { peakPages: true, longestWindowNs: true }, staleAccesses: true },
        workloads: [{ name: true, throughputGbps: true, iops: true, cyclesPerOperation: true }],
      },
    },
  },
];

/** What is refused, and how; and a fault, which is a result. */
export const badInput: Step[] = [
  { curl: create('{"preset": "thread-2008", "name": "errors"}'), show: { name: true } },
  {
    curl: `curl -s localhost:8080/v1/sessions/errors/devices/nic0/dma ${JSON_TYPE} -d '{"iova": "0x1000", "lenghtBytes": 64, "access": "write"}'`,
    show: true,
  },
  { curl: 'curl -s localhost:8080/v1/sessions/errors/devices/nic7', show: true },
  {
    curl: `curl -s localhost:8080/v1/sessions/errors/domains/shared/iommu-map ${JSON_TYPE} -d '{"iova": "0x1000000000000", "physicalAddress": "0x100000", "lengthBytes": 4096, "access": "rw"}'`,
    show: true,
  },
  {
    curl: ops('errors', ['{"op": "unmap", "mapping": "$a"}', '{"op": "advance", "ns": 1}']),
    show: true,
  },
  {
    curl: `curl -s localhost:8080/v1/sessions/errors/devices/nic0/dma ${JSON_TYPE} -d '{"iova": "0x1000000000000", "lengthBytes": 64, "access": "write"}'`,
    show: true,
  },
  { curl: 'curl -s -X DELETE localhost:8080/v1/sessions/errors/devices/nic0/mappings/map_0_0', show: true },
];

/** What goes wrong with each mode, as `curl` commands. Each list of steps is one block of `docs/modes.md`. */
import type { Shown, Step } from '../docs/curl.ts';

const create = (spec: string): string =>
  `curl -s localhost:8080/v1/sessions -H 'content-type: application/json' -d '${spec}'`;
const ops = (session: string, lines: string[]): string =>
  `curl -s localhost:8080/v1/sessions/${session}/ops?onError=continue -H 'content-type: application/x-ndjson' --data-binary @- <<'OPS'\n${lines.join('\n')}\nOPS`;

const CREATED: Shown = { name: true, spec: { policy: true } };
const PIECES: Shown = [{ physicalAddress: true, from: true, verdict: true, cause: true, reason: true }];
const LINE: Shown = {
  line: true,
  op: true,
  ok: true,
  result: {
    id: true,
    iova: true,
    physicalAddress: true,
    exposed: true,
    pages: PIECES,
    costCycles: true,
    breakdown: { iovaAlloc: true, copy: true, vmExit: true },
    timeNs: true,
  },
  problem: { code: true, detail: true },
};

export const translate: Step[] = [
  {
    curl: create(
      '{"name": "page", "policy": {"invalidation": {"kind": "strict"}}, "devices": [{"name": "nic", "kind": "nic"}, {"name": "dock", "kind": "custom", "untrusted": true}]}',
    ),
    show: CREATED,
  },
  {
    curl: ops('page', [
      '{"op": "buffer", "lengthBytes": 4096, "as": "b"}',
      '{"op": "map", "device": "nic", "kind": "single", "direction": "from-device", "buffer": "$b", "lengthBytes": 1500, "as": "m"}',
      '{"op": "dma", "device": "nic", "iova": "$m.iova+2048", "lengthBytes": 64, "access": "write"}',
      '{"op": "map", "device": "dock", "kind": "single", "direction": "from-device", "buffer": "$b", "offsetBytes": 1536, "lengthBytes": 1500, "as": "u"}',
      '{"op": "dma", "device": "dock", "iova": "$u.iova+2048", "lengthBytes": 64, "access": "write"}',
      '{"op": "unmap", "mapping": "$u"}',
    ]),
    show: LINE,
  },
];

export const bounce: Step[] = [
  {
    curl: create(
      '{"name": "full", "policy": {"mode": "bounce", "bounce": {"poolBytes": 262144}}, "devices": [{"name": "nic", "kind": "nic"}, {"name": "evil", "kind": "hostile"}]}',
    ),
    show: CREATED,
  },
  {
    curl: ops('full', [
      '{"op": "buffer", "lengthBytes": 1048576, "as": "b"}',
      '{"op": "map", "device": "nic", "kind": "single", "direction": "to-device", "buffer": "$b", "lengthBytes": 1500, "as": "m"}',
      '{"op": "dma", "device": "evil", "iova": "$m.iova", "lengthBytes": 64, "access": "read"}',
      '{"op": "dma", "device": "evil", "iova": "$b.physicalAddress", "lengthBytes": 64, "access": "read"}',
      '{"op": "map", "device": "nic", "kind": "single", "direction": "to-device", "buffer": "$b", "lengthBytes": 262144}',
      '{"op": "map", "device": "nic", "kind": "single", "direction": "to-device", "buffer": "$b", "lengthBytes": 262145}',
    ]),
    show: LINE,
  },
  {
    curl: 'curl -s localhost:8080/v1/sessions/full/metrics',
    show: {
      counters: {
        bounceSlots: true,
        bounceUsedSlots: true,
        bounceUsedSlotsPeak: true,
        bounceFailures: true,
        bounceSlotsScanned: true,
      },
    },
  },
];

export const shadow: Step[] = [
  {
    curl: create(
      '{"name": "copies", "policy": {"mode": "shadow", "shadow": {"poolBytes": 65536}}, "devices": [{"name": "nic", "kind": "nic"}]}',
    ),
    show: CREATED,
  },
  {
    curl: ops('copies', [
      '{"op": "buffer", "lengthBytes": 131072, "as": "b"}',
      '{"op": "map", "device": "nic", "kind": "single", "direction": "from-device", "buffer": "$b", "lengthBytes": 1500, "as": "m"}',
      '{"op": "unmap", "mapping": "$m"}',
      '{"op": "dma", "device": "nic", "iova": "$m.iova", "lengthBytes": 64, "access": "write"}',
      '{"op": "map", "device": "nic", "kind": "single", "direction": "from-device", "buffer": "$b", "lengthBytes": 1500, "as": "again"}',
      '{"op": "map", "device": "nic", "kind": "single", "direction": "from-device", "buffer": "$b", "lengthBytes": 65536}',
      '{"op": "map", "device": "nic", "kind": "single", "direction": "from-device", "buffer": "$b", "lengthBytes": 131072, "as": "huge"}',
      '{"op": "unmap", "mapping": "$huge"}',
    ]),
    show: LINE,
  },
];

export const direct: Step[] = [
  {
    curl: create(
      '{"name": "guests", "policy": {"mode": "direct"}, "tenants": [{"name": "red", "kind": "vm"}, {"name": "blue", "kind": "vm"}], "domains": [{"name": "d", "tenant": "red"}], "devices": [{"name": "nic", "kind": "nic", "domain": "d"}]}',
    ),
    show: CREATED,
  },
  {
    curl: ops('guests', [
      '{"op": "buffer", "lengthBytes": 4096, "tenant": "red", "as": "mine"}',
      '{"op": "buffer", "lengthBytes": 4096, "tenant": "blue", "as": "theirs"}',
      '{"op": "dma", "device": "nic", "iova": "$mine.physicalAddress", "lengthBytes": 64, "access": "write"}',
      '{"op": "dma", "device": "nic", "iova": "$theirs.physicalAddress", "lengthBytes": 64, "access": "write"}',
      '{"op": "free", "buffer": "$mine"}',
      '{"op": "dma", "device": "nic", "iova": "$mine.physicalAddress", "lengthBytes": 64, "access": "write"}',
    ]),
    show: LINE,
  },
];

const guest = (name: string, policy: string): string =>
  create(
    `{"name": "${name}", "policy": ${policy}, "tenants": [{"name": "vm", "kind": "vm"}], "devices": [{"name": "nic", "kind": "nic"}]}`,
  );

export const emulated: Step[] = [
  {
    curl: guest('exits', '{"mode": "emulated", "allocator": {"kind": "rbtree"}, "invalidation": {"kind": "strict"}}'),
    show: CREATED,
  },
  {
    curl: ops('exits', [
      '{"op": "buffer", "lengthBytes": 4096, "tenant": "vm", "as": "b"}',
      '{"op": "map", "device": "nic", "kind": "single", "direction": "from-device", "buffer": "$b", "as": "m"}',
      '{"op": "unmap", "mapping": "$m"}',
    ]),
    show: LINE,
  },
];

export const paravirtual: Step[] = [
  { curl: guest('asks', '{"mode": "paravirtual", "allocator": {"kind": "rbtree"}}'), show: CREATED },
  {
    curl: ops('asks', [
      '{"op": "buffer", "lengthBytes": 8192, "tenant": "vm", "as": "b"}',
      '{"op": "map", "device": "nic", "kind": "single", "direction": "from-device", "buffer": "$b", "lengthBytes": 4096, "as": "m"}',
      '{"op": "unmap", "mapping": "$m"}',
      '{"op": "dma", "device": "nic", "iova": "$m.iova", "lengthBytes": 64, "access": "write"}',
      '{"op": "map", "device": "nic", "kind": "single", "direction": "from-device", "buffer": "$b", "offsetBytes": 4096, "lengthBytes": 4096}',
      '{"op": "dma", "device": "nic", "iova": "$m.iova", "lengthBytes": 64, "access": "write"}',
    ]),
    show: LINE,
  },
];

const REFERENCES: Shown = {
  ...LINE,
  result: {
    id: true,
    iova: true,
    physicalAddress: true,
    exposed: true,
    pages: [{ physicalAddress: true, memoryReferences: true, from: true, verdict: true, cause: true, reason: true }],
    costCycles: true,
    breakdown: { invalidation: true, vmExit: true },
    effectiveRange: true,
    timeNs: true,
  },
};

export const nested: Step[] = [
  {
    curl: guest('stages', '{"mode": "nested", "allocator": {"kind": "rbtree"}, "invalidation": {"kind": "strict"}}'),
    show: CREATED,
  },
  {
    curl: ops('stages', [
      '{"op": "buffer", "lengthBytes": 8192, "tenant": "vm", "as": "b"}',
      '{"op": "map", "device": "nic", "kind": "single", "direction": "from-device", "buffer": "$b", "as": "m"}',
      '{"op": "dma", "device": "nic", "iova": "$m.iova", "lengthBytes": 8192, "access": "write"}',
      '{"op": "unmap", "mapping": "$m"}',
      '{"op": "dma", "device": "nic", "iova": "$m.iova", "lengthBytes": 64, "access": "write"}',
      '{"op": "map", "device": "nic", "kind": "single", "direction": "from-device", "buffer": "$b", "as": "again"}',
      '{"op": "free", "buffer": "$b", "force": true}',
      '{"op": "dma", "device": "nic", "iova": "$again.iova", "lengthBytes": 64, "access": "write"}',
    ]),
    show: REFERENCES,
  },
];

export const nestedDeaf: Step[] = [
  {
    curl: guest(
      'deaf',
      '{"mode": "nested", "allocator": {"kind": "rbtree"}, "invalidation": {"kind": "strict"}, "nested": {"propagate": false}}',
    ),
    show: CREATED,
  },
  {
    curl: ops('deaf', [
      '{"op": "buffer", "lengthBytes": 8192, "tenant": "vm", "as": "b"}',
      '{"op": "map", "device": "nic", "kind": "single", "direction": "from-device", "buffer": "$b", "lengthBytes": 4096, "as": "m"}',
      '{"op": "dma", "device": "nic", "iova": "$m.iova", "lengthBytes": 64, "access": "write"}',
      '{"op": "unmap", "mapping": "$m"}',
      '{"op": "dma", "device": "nic", "iova": "$m.iova", "lengthBytes": 64, "access": "write"}',
      '{"op": "map", "device": "nic", "kind": "single", "direction": "from-device", "buffer": "$b", "offsetBytes": 4096, "lengthBytes": 4096}',
      '{"op": "invalidate", "scope": "global"}',
      '{"op": "dma", "device": "nic", "iova": "$m.iova", "lengthBytes": 64, "access": "write"}',
    ]),
    show: REFERENCES,
  },
];

export const refused: Step[] = [
  {
    curl: create('{"name": "no", "policy": {"mode": "emulated", "invalidation": {"kind": "delayed"}, "shadow": {}}}'),
    show: { status: true, code: true, errors: true },
  },
];

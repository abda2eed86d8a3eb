/** Tables and transcripts of `docs/effective-policy.md`. */
import { type Asks, options, type Target } from '../../src/core/boot/options.ts';
import { sysfsWords } from '../../src/core/boot/sysfs-words.ts';
import { policies } from '../../src/core/os/invalidation/index.ts';
import { downgradeCauses } from '../../src/core/os/invalidation/policy.ts';
import type { Shown, Step } from '../docs/curl.ts';
import { table } from '../docs/table.ts';
import { type Part, scene } from '../thread-2008/parts.ts';

const code = (text: string): string => `\`${text}\``;

/** What becomes of which policy under which cause: the policies' own declarations, causes with the same answer in one row. */
function downgradeTable(): string {
  const rows = Object.values(policies).flatMap(({ kind, downgrades }) => {
    const answers = new Map<string, string[]>();
    for (const cause of downgradeCauses) {
      const { to, instead, why, source } = downgrades[cause];
      const answer = JSON.stringify([to === null ? `stays${instead ? `; ${instead}` : ''}` : code(to), why, source]);
      answers.set(answer, [...(answers.get(answer) ?? []), code(cause)]);
    }
    return [...answers].map(([answer, causes]) => [code(kind), causes.join(', '), ...(JSON.parse(answer) as string[])]);
  });
  return table(['asked for', 'cause', 'in force', 'why', 'source'], rows);
}

/** What each target is, as a value of a member of the spec. */
const members: { [T in Target]: (value: Asks[T]) => string } = {
  mode: (mode) => `policy.mode: "${mode}"`,
  bounce: (bounce) => (bounce ? 'policy.mode: "bounce"' : ''),
  off: (off) => (off ? 'policy.mode: "passthrough"' : ''),
  intelOff: (off) => (off ? 'policy.mode: "passthrough"' : ''),
  amdOff: (off) => (off ? 'policy.mode: "passthrough"' : ''),
  lazy: (lazy) => `policy.invalidation.kind: "${lazy ? 'flush-queue' : 'strict'}"`,
  superpages: () => 'iommu.superpages: []',
  forcedac: (forcedac) => `policy.forcedac: ${forcedac}`,
  fullFlush: (fullFlush) => `policy.allocator.fullFlush: ${fullFlush}`,
  poolBytes: () => 'policy.bounce.poolBytes',
};

function optionTable(): string {
  const rows = options.flatMap(({ name, form, meanings }) => {
    const words = meanings.map(({ word, asks = {}, remark }) => {
      const asked = Object.entries(asks).map(([target, value]) => members[target as Target](value as never));
      const set = asked.filter((text) => text !== '').map(code);
      return [code(`${name}=${word}`), set.join(', ') || '-', remark ? `${code(remark.code)}: ${remark.detail}` : ''];
    });
    const slots = [
      code(`${name}=<slots>`),
      code(members.poolBytes(0)),
      'slots of 2 KiB, rounded up to segments of 128',
    ];
    return form === 'pool' ? [slots, ...words] : words;
  });
  return table(['option', 'asks for', 'warning'], rows);
}

function wordTable(): string {
  const meanings: Record<string, string> = {
    identity: `${code('policy.mode: "passthrough"')}`,
    auto: `what ${code('kernelCommandLine')} says, else ${code('flush-queue')}`,
  };
  const rows = Object.entries(sysfsWords).map(([word, kind]) => [
    code(word),
    kind === null ? meanings[word]! : `${code(`policy.invalidation.kind: "${kind}"`)}, and no passthrough`,
  ]);
  return table(['word', 'stands for'], rows);
}

const JSON_TYPE = "-H 'content-type: application/json'";
const create = (spec: string): string => `curl -s localhost:8080/v1/sessions ${JSON_TYPE} -d '${spec}'`;
const check = (spec: string): string =>
  `curl -s 'localhost:8080/v1/sessions?validateOnly=true' ${JSON_TYPE} -d '${spec}'`;
const IN_FORCE: Shown = { domainType: true, invalidation: { kind: true } };
const POLICY: Shown = { requested: IN_FORCE, effective: IN_FORCE, why: [true], warnings: [true], domains: [true] };

const guest: Step[] = [
  {
    curl: create(
      '{"name": "guest", "policy": {"invalidation": {"kind": "DMA-FQ"}}, "iommu": {"invalidation": {"cachingMode": true}}}',
    ),
    show: { state: true, policy: POLICY },
  },
];
const forced: Step[] = [
  {
    curl: check(
      '{"policy": {"invalidation": {"kind": "flush-queue"}, "force": true}, "iommu": {"invalidation": {"cachingMode": true}}}',
    ),
    show: { policy: { effective: IN_FORCE, why: [true] } },
  },
];
const line: Step[] = [
  {
    curl: check('{"kernelCommandLine": "quiet iommu.strict=0 intel_iommu=on,sp_off amd_iommu=pt"}'),
    show: { iommu: { superpages: true }, policy: POLICY },
  },
  {
    curl: check('{"kernelCommandLine": "iommu=pt", "policy": {"mode": "translate"}}'),
    show: { policy: { mode: true, warnings: [true] } },
  },
];
const MAP = '"kind": "single", "direction": "from-device", "physicalAddress": "0x200000", "lengthBytes": 4096';
const untrusted: Step[] = [
  {
    curl: create(
      '{"name": "desk", "policy": {"invalidation": {"kind": "flush-queue"}},\n "devices": [{"name": "nic", "kind": "nic"}, {"name": "dock", "kind": "custom", "untrusted": true}]}',
    ),
    show: { policy: { effective: IN_FORCE, domains: [{ domain: true, domainType: true, invalidation: true }] } },
  },
  {
    curl: `curl -s localhost:8080/v1/sessions/desk/ops -H 'content-type: application/x-ndjson' --data-binary @- <<'OPS'
${['nic', 'dock']
  .flatMap((device) => [
    `{"op": "map", "device": "${device}", ${MAP}, "as": "${device}"}`,
    `{"op": "dma", "device": "${device}", "iova": "$${device}.iova", "lengthBytes": 64, "access": "write"}`,
    `{"op": "unmap", "mapping": "$${device}"}`,
    `{"op": "dma", "device": "${device}", "iova": "$${device}.iova", "lengthBytes": 64, "access": "write"}`,
  ])
  .join('\n')}
OPS`,
    show: { line: true, op: true, result: { iova: true, exposed: true, verdict: true } },
  },
  {
    curl: 'curl -s localhost:8080/v1/sessions/desk/devices/dock',
    show: { id: true, untrusted: true, policy: true },
  },
];

export const effectivePolicyParts: Record<string, Part> = {
  downgrades: downgradeTable,
  'kernel options': optionTable,
  'sysfs words': wordTable,
  'effective policy of a guest': scene(guest),
  'effective policy forced': scene(forced),
  'effective policy of a line': scene(line),
  'effective policy untrusted': scene(untrusted),
};

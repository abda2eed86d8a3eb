/**
 * Scenarios that replay captured kernel lines: the operations are converted from the recording, plus what nobody recorded and the
 * story needs, kept apart here and marked in `docs/recorded-lines.md`.
 */
import { readFileSync } from 'node:fs';
import type { Operation } from '../../src/core/operations.ts';
import { type Conversion, type ConversionOptions, convertRecording } from '../../src/trace/recorded-operations.ts';

interface Synthesised {
  /** Right before the recording's operation of this name; at the end without. */
  before?: Operation['op'];
  operations: Operation[];
}

interface Recorded {
  name: string;
  recording: string;
  options: ConversionOptions;
  synthesised: Synthesised[];
}

const WIFI = { domain: 'wifi', devices: { '0000:c2:00.0': 'ath12k' } };
const FIRST_PAGE = '0xfe980000';
const SECOND_PAGE = '0xfe981000';

function touch(device: string, iova: string, access: 'read' | 'write', lengthBytes = 1): Operation {
  return { op: 'dma', device, iova, lengthBytes, access };
}

/** The last thing before the unmap is an access to the page that the recorded one hits later, so that the IOTLB holds it. */
const touchedLast: Synthesised = { before: 'unmap', operations: [touch('ath12k', FIRST_PAGE, 'write')] };

const RECORDED: Recorded[] = [
  { name: 'ath12k-strict', recording: 'ath12k', options: { through: 'iommu', ...WIFI }, synthesised: [] },
  {
    name: 'ath12k-touched-strict',
    recording: 'ath12k',
    options: { through: 'dma', ...WIFI },
    synthesised: [touchedLast],
  },
  {
    name: 'ath12k-deferred',
    recording: 'ath12k',
    options: { through: 'dma', ...WIFI },
    synthesised: [
      touchedLast,
      {
        operations: [
          // Not touched before the unmap: its PTE is gone, and no cached entry stands in.
          touch('ath12k', SECOND_PAGE, 'write'),
          // The freed frames have a new owner, 6.2 ms after the unmap.
          { op: 'tenant', name: 'guest', kind: 'vm' },
          { op: 'buffer', name: 'guest-memory', tenant: 'guest', lengthBytes: 524_288 },
          touch('ath12k', FIRST_PAGE, 'write'),
          // Past the 10 ms timer.
          { op: 'advance', ns: 4_000_000 },
          touch('ath12k', FIRST_PAGE, 'write'),
        ],
      },
    ],
  },
  {
    name: 'vfio-guest',
    recording: 'vfio-guest',
    options: { through: 'iommu', domain: 'guest', devices: {} },
    synthesised: [
      {
        operations: [
          touch('assigned0', '0x7c00', 'read', 512),
          touch('assigned0', '0xbff00', 'write', 512),
          touch('assigned0', '0xc1000', 'read', 64),
          touch('assigned0', '0x1fff00', 'write', 512),
          touch('assigned0', '0x3ff000', 'write', 4096),
          touch('assigned0', '0x400000', 'read', 64),
          { op: 'iommu-unmap', domain: 'guest', iova: '0x200000', lengthBytes: 4096 },
          { op: 'iommu-unmap', domain: 'guest', iova: '0x0', lengthBytes: 0x40_0000 },
          touch('assigned0', '0x3ff000', 'write', 4096),
        ],
      },
    ],
  },
];

export interface ReplayedOperation {
  operation: Operation;
  /** The line of the recording, from 1; null where synthesised. */
  line: number | null;
}

export interface Replay {
  recording: string[];
  conversion: Conversion;
  operations: ReplayedOperation[];
}

export const recordedNames: readonly string[] = RECORDED.map(({ name }) => name);

export function replayOf(name: string): Replay {
  const recorded = RECORDED.find((each) => each.name === name);
  if (recorded === undefined) throw new Error(`${name} is made by hand, not from a recording`);
  const text = readFileSync(new URL(`../trace/recordings/${recorded.recording}.txt`, import.meta.url), 'utf8');
  const conversion = convertRecording(text, recorded.options);
  const operations: ReplayedOperation[] = [...conversion.operations];
  for (const { before, operations: added } of recorded.synthesised) {
    const at =
      before === undefined ? operations.length : operations.findIndex(({ operation }) => operation.op === before);
    if (at < 0) throw new Error(`${name}: the recording has no ${before}`);
    operations.splice(at, 0, ...added.map((operation) => ({ operation, line: null })));
  }
  return { recording: text.trimEnd().split('\n'), conversion, operations };
}

export function opsText({ operations }: Replay): string {
  return operations.map(({ operation }) => `${JSON.stringify(operation)}\n`).join('');
}

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createSimulator, resolveSpec } from '../../../src/core/index.ts';
import type { Operation } from '../../../src/core/operations.ts';
import { policies } from '../../../src/core/os/invalidation/index.ts';
import { allocators } from '../../../src/core/os/iova/index.ts';
import { modes } from '../../../src/core/os/mode/index.ts';
import { presets } from '../../../src/core/presets.ts';
import { historyText } from '../../../src/trace/export/history.ts';
import { type HistoryRecord, sessionOfText } from '../../../src/trace/export/session-notes.ts';
import { recordingOf } from '../../../src/trace/memory-recording.ts';

type Plain = Record<string, unknown>;

const RUN_NS = 60_000;
/** The kernel's own buffer for one line is a page. */
const LONGEST_LINE = 4096;

/** A NIC that receives, where the preset has no traffic of its own. */
const TRAFFIC = {
  devices: [{ name: 'nic0', kind: 'nic' }],
  workloads: [{ name: 'rx', kind: 'nic-rx', device: 'nic0', ringSize: 32 }],
};

function textOf(spec: Plain, records: HistoryRecord[], labEvents = true): string {
  let text = '';
  for (const piece of historyText(resolveSpec(spec), records, { labEvents })) text += piece;
  return text;
}

/** The records of a session as its journal would have them, and its digest. */
function session(spec: Plain, doings: (Operation | { forNs: number })[]): { records: HistoryRecord[]; digest: string } {
  const simulator = createSimulator(resolveSpec(spec));
  const records: HistoryRecord[] = [];
  for (const doing of doings) {
    if ('op' in doing) {
      const outcome = simulator.apply(doing);
      if (outcome?.status !== 'refused') records.push(doing);
      continue;
    }
    assert.equal(simulator.startRun(doing).status, 'ok');
    while (!simulator.stepRun(777));
    records.push({ run: doing }, { end: 'finished', events: simulator.runEvents });
  }
  return { records, digest: simulator.digest() };
}

const OPERATIONS: Operation[] = [
  { op: 'buffer', name: 'memory', lengthBytes: 40_000 },
  {
    op: 'map',
    device: 'nic0',
    kind: 'single',
    direction: 'to-device',
    buffer: 'memory',
    lengthBytes: 9000,
    offsetBytes: 456,
  },
  {
    op: 'map',
    device: 'nic0',
    kind: 'sg',
    direction: 'from-device',
    cpu: 1,
    segments: [
      { buffer: 'memory', offsetBytes: 12_288, lengthBytes: 4096 },
      { buffer: 'memory', offsetBytes: 20_480, lengthBytes: 1000 },
    ],
  },
  { op: 'map', device: 'nic0', kind: 'coherent', direction: 'bidirectional', lengthBytes: 5000 },
  { op: 'dma', device: 'nic0', iova: '0x12345', lengthBytes: 5000, access: 'write' },
  { op: 'sync', mapping: 'map_0_0', for: 'cpu' },
  { op: 'unmap', mapping: 'map_0_0' },
  { op: 'unmap', device: 'nic0', iova: '0x7000', lengthBytes: 99, direction: 'from-device' },
  { op: 'unmap', mapping: 'map_1_0', cpu: 1 },
  { op: 'unmap', mapping: 'map_2_0' },
  { op: 'advance', ns: 11_000_000 },
];

function checkRoundTrip(spec: Plain, doings: (Operation | { forNs: number })[]): string {
  const { records, digest } = session(spec, doings);
  const text = textOf(spec, records);
  const noted = sessionOfText(text);
  assert.ok(noted !== null, 'the text says of which session it is');
  assert.equal(noted.digest, digest, 'to be watched changes nothing');
  assert.equal(textOf(noted.spec, noted.records), text, 'what was read back is written as it was');
  return text;
}

describe('a history as ftrace text', () => {
  for (const preset of Object.keys(presets)) {
    const spec = preset === 'thread-2008' ? { preset } : { preset, ...TRAFFIC };
    it(`of the preset ${preset} leads to the same digest, and to the same text`, () => {
      checkRoundTrip(spec, [{ forNs: RUN_NS }, ...OPERATIONS, { forNs: RUN_NS }]);
    });
  }

  for (const kind of Object.keys(policies)) {
    it(`of a session under ${kind} leads to the same digest, and to the same text`, () => {
      const allocator = kind === 'wrap' || kind === 'delayed' ? 'bitmap' : 'rcache';
      checkRoundTrip({ policy: { allocator: { kind: allocator }, invalidation: { kind } }, ...TRAFFIC }, [
        { forNs: RUN_NS },
        ...OPERATIONS,
      ]);
    });
  }

  for (const kind of Object.keys(allocators)) {
    it(`of a session with ${kind} leads to the same digest, and to the same text`, () => {
      checkRoundTrip({ policy: { allocator: { kind }, invalidation: { kind: 'strict' } }, ...TRAFFIC }, [
        { forNs: RUN_NS },
        ...OPERATIONS,
      ]);
    });
  }

  for (const [kind, { virtual }] of Object.entries(modes)) {
    it(`of a session in the mode ${kind} leads to the same digest, and to the same text`, () => {
      const guest = virtual
        ? {
            tenants: [{ name: 'guest', kind: 'vm' }],
            domains: [{ name: 'own', tenant: 'guest' }],
            devices: [{ name: 'nic0', kind: 'nic', domain: 'own' }],
            workloads: TRAFFIC.workloads,
          }
        : TRAFFIC;
      checkRoundTrip({ policy: { mode: kind, invalidation: { kind: 'strict' } }, ...guest }, [{ forNs: RUN_NS }]);
    });
  }

  it('has every line of an event in a form that importers read, and none that is too long', () => {
    const text = checkRoundTrip({ preset: 'thread-2008', title: 'Größe 💾 '.repeat(700) }, [
      { forNs: RUN_NS },
      ...OPERATIONS,
    ]);
    for (const line of text.trimEnd().split('\n')) assert.ok(line.length <= LONGEST_LINE, `${line.length} characters`);
    const { summary } = recordingOf(text, { strict: true });
    assert.deepEqual(summary.lines.skipped, []);
  });

  it('never goes back in time', () => {
    const text = checkRoundTrip({ preset: 'thread-2008' }, [{ forNs: 300_000 }]);
    const stamps = text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => BigInt(/ (\d+\.\d{9}): /.exec(line)![1]!.replace('.', '')));
    assert.deepEqual(
      stamps,
      stamps.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)),
    );
  });

  it('without events of ours is the same but for those', () => {
    const spec = { preset: 'thread-2008' };
    const { records } = session(spec, [{ forNs: RUN_NS }, ...OPERATIONS]);
    const without = textOf(spec, records, false);
    const filtered = textOf(spec, records)
      .split('\n')
      .filter((line) => !line.includes('iommu_lab:'))
      .join('\n');
    assert.equal(without, filtered);
    assert.equal(sessionOfText(without), null);
  });

  it('tells what the kernel would, in its words and order', () => {
    const { records } = session(TRAFFIC, OPERATIONS);
    const payloads = textOf(TRAFFIC, records, false)
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => line.replace(/^.*?\d\.\d{9}: /, ''));
    assert.deepEqual(payloads, [
      'attach_device_to_domain: IOMMU: device=0000:00:02.0',
      'map: IOMMU: iova=0x00000000ffffc000 - 0x00000000fffff000 paddr=0x0000000000101000 size=12288',
      'dma_map_phys: 0000:00:02.0 dir=TO_DEVICE dma_addr=ffffc1c8 size=9000 phys_addr=1011c8 attrs=',
      'map: IOMMU: iova=0x00000000ffffa000 - 0x00000000ffffb000 paddr=0x0000000000104000 size=4096',
      'map: IOMMU: iova=0x00000000ffffb000 - 0x00000000ffffc000 paddr=0x0000000000106000 size=4096',
      'dma_map_sg: 0000:00:02.0 dir=FROM_DEVICE nents=2/2 ents=1/1 dma_addrs={0xffffa000} sizes={0x13e8} phys_addrs={0x104000,0x106000} attrs=',
      'map: IOMMU: iova=0x00000000ffff8000 - 0x00000000ffffa000 paddr=0x000000000010e000 size=8192',
      'dma_alloc: 0000:00:02.0 dir=BIDIRECTIONAL dma_addr=ffff8000 size=8192 virt_addr=0000000000000000 flags=GFP_KERNEL attrs=',
      'io_page_fault: IOMMU:iommu-lab 0000:00:02.0 iova=0x0000000000012345 flags=0x0001',
      'io_page_fault: IOMMU:iommu-lab 0000:00:02.0 iova=0x0000000000013000 flags=0x0001',
      'dma_sync_single_for_cpu: 0000:00:02.0 dir=TO_DEVICE dma_addr=ffffc1c8 size=9000',
      'unmap: IOMMU: iova=0x00000000ffffc000 - 0x00000000fffff000 size=12288 unmapped_size=12288',
      'dma_unmap_phys: 0000:00:02.0 dir=TO_DEVICE dma_addr=ffffc1c8 size=9000 attrs=',
      'dma_unmap_phys: 0000:00:02.0 dir=FROM_DEVICE dma_addr=7000 size=99 attrs=',
      'unmap: IOMMU: iova=0x00000000ffffa000 - 0x00000000ffffc000 size=8192 unmapped_size=8192',
      'dma_unmap_sg: 0000:00:02.0 dir=FROM_DEVICE phys_addrs={0x104000,0x106000} attrs=',
      'dma_free: 0000:00:02.0 dir=BIDIRECTIONAL dma_addr=ffff8000 size=8192 virt_addr=0000000000000000 attrs=',
      'unmap: IOMMU: iova=0x00000000ffff8000 - 0x00000000ffffa000 size=8192 unmapped_size=8192',
      'qi_submit: iotlb_inv dmar0: 0xd2 0x0 0x0 0x0',
    ]);
  });

  it('of a run that was cancelled ends where that ended', () => {
    const spec = { preset: 'thread-2008' };
    const simulator = createSimulator(resolveSpec(spec));
    simulator.startRun({ forNs: 1e9 });
    simulator.stepRun(500);
    const events = simulator.runEvents;
    simulator.cancelRun();
    const text = textOf(spec, [{ run: { forNs: 1e9 } }, { end: 'cancelled', events }]);
    assert.equal(sessionOfText(text)!.digest, simulator.digest());
  });
});

describe('comments that make up a session', () => {
  it('are passed over where one is missing, twice there or damaged', () => {
    const { records } = session(TRAFFIC, OPERATIONS);
    const lines = textOf({ ...TRAFFIC, title: 'x'.repeat(9000) }, records).split('\n');
    const notes = lines.map((line, i) => (line.startsWith('# iommu_lab: session ') ? i : -1)).filter((i) => i >= 0);
    assert.ok(notes.length > 2);
    assert.equal(sessionOfText(lines.toSpliced(notes[1]!, 1).join('\n')), null);
    assert.equal(sessionOfText(lines.toSpliced(notes[1]!, 0, lines[notes[1]!]!).join('\n')), null);
    const damaged = lines.with(notes[0]!, lines[notes[0]!]!.replace('{', '['));
    assert.equal(sessionOfText(damaged.join('\n')), null);
    assert.notEqual(sessionOfText(lines.join('\n')), null);
  });
});

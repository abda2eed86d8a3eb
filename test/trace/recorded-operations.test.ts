import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { Operation } from '../../src/core/operations.ts';
import { type Conversion, convertRecording } from '../../src/trace/recorded-operations.ts';

const ATH12K = readFileSync(new URL('./recordings/ath12k.txt', import.meta.url), 'utf8');
const VFIO = readFileSync(new URL('./recordings/vfio-guest.txt', import.meta.url), 'utf8');
const WIFI = { domain: 'wifi', devices: { '0000:c2:00.0': 'ath12k' } };
const GUEST = { domain: 'guest', devices: {} };

const operationsOf = ({ operations }: Conversion): Operation[] => operations.map(({ operation }) => operation);

/** A line as ftrace writes it, with a payload. */
function line(seconds: string, payload: string): string {
  return `            qemu-7254    [077] ....... ${seconds}: ${payload}`;
}

describe('the ath12k recording', () => {
  it('becomes, through the IOMMU API, the recorded range and the recorded times', () => {
    const conversion = convertRecording(ATH12K, { through: 'iommu', ...WIFI });
    assert.deepEqual(operationsOf(conversion), [
      {
        op: 'iommu-map',
        domain: 'wifi',
        iova: '0xfe980000',
        physicalAddress: '0x10ec80000',
        lengthBytes: 524_288,
        access: 'rw',
      },
      { op: 'advance', ns: 322_869_690_000 },
      { op: 'iommu-unmap', domain: 'wifi', iova: '0xfe980000', lengthBytes: 524_288 },
      { op: 'advance', ns: 6_176_000 },
      { op: 'dma', device: 'ath12k', iova: '0xfe980000', lengthBytes: 1, access: 'write' },
    ]);
    assert.deepEqual(
      conversion.operations.map(({ line }) => line),
      [1, 4, 4, 5, 5],
    );
    assert.deepEqual(conversion.lines, { total: 5, understood: 5, skipped: [] });
    assert.deepEqual(conversion.events, { iommuMap: 1, alloc: 1, free: 1, iommuUnmap: 1, fault: 1 });
    assert.deepEqual([conversion.openMaps, conversion.unmatchedUnmaps, conversion.clockSteps], [0, 0, 0]);
    assert.equal(conversion.assumptions.length, 2);
  });

  it('becomes, through the DMA API, one buffer mapped and unmapped on the recorded CPUs', () => {
    const conversion = convertRecording(ATH12K, { through: 'dma', ...WIFI });
    const direction = 'bidirectional';
    assert.deepEqual(operationsOf(conversion), [
      { op: 'buffer', name: 'recorded-1', lengthBytes: 524_288, physicalAddress: '0x10ec80000' },
      { op: 'map', device: 'ath12k', kind: 'single', direction, cpu: 10, buffer: 'recorded-1' },
      { op: 'advance', ns: 322_869_690_000 },
      { op: 'unmap', device: 'ath12k', iova: '0xfe980000', lengthBytes: 524_288, direction, cpu: 11 },
      { op: 'free', buffer: 'recorded-1' },
      { op: 'advance', ns: 6_176_000 },
      { op: 'dma', device: 'ath12k', iova: '0xfe980000', lengthBytes: 1, access: 'write' },
    ]);
    assert.deepEqual(conversion.lines.skipped, []);
    assert.equal(conversion.openMaps, 0);
  });

  it('says of a device that it was not told about', () => {
    const { operations, lines } = convertRecording(ATH12K, { through: 'dma', domain: 'wifi', devices: {} });
    assert.deepEqual(operations, []);
    assert.deepEqual(lines.skipped, [
      { reason: 'the device 0000:c2:00.0 has no counterpart in the session', count: 3, firstLine: 2 },
    ]);
  });
});

describe('the VFIO recording', () => {
  it('begins with the unmap of something mapped earlier', () => {
    const conversion = convertRecording(VFIO, { through: 'iommu', ...GUEST });
    assert.equal(conversion.unmatchedUnmaps, 1);
    assert.equal(conversion.openMaps, 3);
    assert.deepEqual(
      operationsOf(conversion).map((operation) =>
        operation.op === 'advance' ? operation.ns : 'lengthBytes' in operation && operation.lengthBytes,
      ),
      [4096, 36_000, 786_432, 2000, 4096, 19_000, 2_097_152],
    );
  });

  it('gives nothing through the DMA API: no line of it comes from there', () => {
    const { operations, lines } = convertRecording(VFIO, { through: 'dma', ...GUEST });
    assert.deepEqual(operations, []);
    assert.deepEqual(lines.skipped, [
      { reason: 'unmap without the dma_free of its range before it', count: 1, firstLine: 1 },
      { reason: 'map without the dma_alloc of its range after it', count: 3, firstLine: 2 },
    ]);
  });
});

describe('forms of the events', () => {
  const older = line('1.0', 'map: IOMMU: iova=0x0000000000001000 paddr=0x0000000000200000 size=8192');

  it('take a map and an unmap without the end of the range, as before Linux 5.17', () => {
    const unmap = line('1.5', 'unmap: IOMMU: iova=0x0000000000001000 size=8192 unmapped_size=8192');
    const conversion = convertRecording(`${older}\n${unmap}`, { through: 'iommu', ...GUEST });
    assert.deepEqual(operationsOf(conversion), [
      {
        op: 'iommu-map',
        domain: 'guest',
        iova: '0x1000',
        physicalAddress: '0x200000',
        lengthBytes: 8192,
        access: 'rw',
      },
      { op: 'advance', ns: 500_000_000 },
      { op: 'iommu-unmap', domain: 'guest', iova: '0x1000', lengthBytes: 8192 },
    ]);
    assert.equal(conversion.openMaps, 0);
  });

  it('take a dma_alloc with a direction, and one of less than a page', () => {
    const text = [
      line('1.0', 'map: IOMMU: iova=0xfffff000 - 0x100000000 paddr=0x5000 size=4096'),
      line(
        '1.1',
        'dma_alloc: 0000:c2:00.0 dir=BIDIRECTIONAL dma_addr=fffff000 size=100 virt_addr=0 flags=GFP_KERNEL attrs=',
      ),
    ].join('\n');
    const { operations } = convertRecording(text, { through: 'dma', ...WIFI });
    assert.deepEqual(operations[0]?.operation, {
      op: 'buffer',
      name: 'recorded-1',
      lengthBytes: 100,
      physicalAddress: '0x5000',
    });
  });

  it('tell a read from a write by bit 0 of the flags alone', () => {
    const fault = (flags: string) => line('1.0', `io_page_fault: IOMMU:drv 0000:c2:00.0 iova=0x10 flags=${flags}`);
    const text = ['0x0000', '0x0001', '0x0010', '0x0021'].map(fault).join('\n');
    const accesses = operationsOf(convertRecording(text, { through: 'iommu', ...WIFI }));
    assert.deepEqual(
      accesses.map((operation) => operation.op === 'dma' && operation.access),
      ['read', 'write', 'read', 'write'],
    );
  });
});

describe('what is not understood', () => {
  it('is counted and named, with the first line of each reason', () => {
    const text = [
      '# tracer: nop',
      '',
      line('1.1', 'map: IOMMU: iova=0x1000 - 0x4000 paddr=0x200000 size=8192'),
      line('1.6', 'toString: x'),
      line('1.7', 'toString: x'),
    ].join('\n');
    const conversion = convertRecording(text, { through: 'iommu', ...WIFI });
    assert.deepEqual(conversion.operations, []);
    assert.deepEqual(conversion.lines, {
      total: 3,
      understood: 0,
      skipped: [
        { reason: 'map: the end of the range is not iova + size', count: 1, firstLine: 3 },
        { reason: 'the event toString is not understood', count: 2, firstLine: 4 },
      ],
    });
  });

  it('is an allocation in several stretches of memory, or whose free is not followed by its unmap', () => {
    const text = [
      line('1.0', 'map: IOMMU: iova=0x1000 - 0x2000 paddr=0x5000 size=4096'),
      line('1.0', 'map: IOMMU: iova=0x2000 - 0x3000 paddr=0x9000 size=4096'),
      line('1.1', 'dma_alloc: 0000:c2:00.0 dma_addr=1000 size=8192 virt_addr=0 flags=GFP_KERNEL attrs='),
      line('1.2', 'dma_free: 0000:c2:00.0 dma_addr=1000 size=8192 virt_addr=0 attrs='),
      line('1.3', 'unmap: IOMMU: iova=0x1000 - 0x3000 size=8192 unmapped_size=8192'),
      line('1.4', 'dma_free: 0000:c2:00.0 dma_addr=7000 size=4096 virt_addr=0 attrs='),
    ].join('\n');
    const { operations, lines, unmatchedUnmaps } = convertRecording(text, { through: 'dma', ...WIFI });
    assert.deepEqual(operations, []);
    assert.equal(unmatchedUnmaps, 1);
    assert.deepEqual(
      lines.skipped.map(({ reason, firstLine }) => [reason, firstLine]),
      [
        ['dma_alloc without one map of its whole range before it', 3],
        ['dma_free of an allocation that these lines do not show', 4],
        ['dma_free without the unmap of its range after it', 6],
      ],
    );
  });

  it('is a clock that steps back: nothing is advanced there', () => {
    const text = [
      line('2.0', 'map: IOMMU: iova=0x1000 paddr=0x5000 size=4096'),
      line('1.0', 'map: IOMMU: iova=0x2000 paddr=0x6000 size=4096'),
      line('1.1', 'map: IOMMU: iova=0x3000 paddr=0x7000 size=4096'),
    ].join('\n');
    const conversion = convertRecording(text, { through: 'iommu', ...GUEST });
    assert.equal(conversion.clockSteps, 1);
    assert.deepEqual(
      operationsOf(conversion).filter(({ op }) => op === 'advance'),
      [{ op: 'advance', ns: 100_000_000 }],
    );
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { importText } from '../events.ts';

const EVENT = '  fio-900     [001] .....   12.000001: map: IOMMU: iova=0x1000 - 0x2000 paddr=0x5000 size=4096';

describe('a recording of ftrace', () => {
  it('has a header, blank lines and notes of buffers, which are comments', () => {
    const text = ['# tracer: nop', '#', '##### CPU 3 buffer started ####', '', '   ', '\0\0\0', EVENT].join('\n');
    const { summary } = importText(text);
    assert.equal(summary.format, 'ftrace');
    assert.equal(summary.recognisedBy, 'it has the header "# tracer: nop"');
    assert.deepEqual(summary.lines, { total: 7, understood: 1, comments: 3, blank: 3, skipped: [] });
  });

  it('says where events were lost, and how many if it knows', () => {
    const text = [EVENT, 'CPU:2 [LOST 33 EVENTS]', 'CPU:1 [LOST EVENTS]', EVENT].join('\n');
    const { events, summary } = importText(text, { format: 'ftrace' });
    assert.deepEqual(events.slice(1, 3), [
      { kind: 'lost', timeNs: 0, cpu: 2, detail: 33, line: 2 },
      { kind: 'lost', timeNs: 0, cpu: 1, line: 3 },
    ]);
    assert.deepEqual([summary.lostEvents, summary.lines.understood], [33, 4]);
    assert.deepEqual(summary.warnings, ['events were lost, the recording does not say how many']);
  });

  it('has no CPU that cannot be, in lost events either', () => {
    const { events, summary } = importText('CPU:99999 [LOST 3 EVENTS]', { format: 'ftrace' });
    assert.deepEqual(events, []);
    assert.equal(summary.lines.skipped[0]?.reason, 'a CPU beyond 8191');
  });

  it('may have call chains, graphs and lines that the kernel gave up on, skipped for what they are', () => {
    const text = [
      EVENT,
      '  fio-900     [001] .....   12.000002: <stack trace>',
      ' => iommu_map',
      ' => __iommu_dma_map',
      ' 0)   1.234 us    |  iommu_map();',
      ' 1)               |  dma_map_page_attrs() {',
      ' ------------------------------------------',
      'CPU 1: [LINE TOO BIG]',
      'wrapped by mail paddr=0x000000010ec80000',
    ].join('\n');
    const { summary } = importText(text, { format: 'ftrace' });
    assert.deepEqual(summary.lines.skipped, [
      { reason: 'a call chain', count: 3, firstLine: 2 },
      { reason: 'function_graph', count: 3, firstLine: 5 },
      { reason: 'a line that the kernel gave up on', count: 1, firstLine: 8 },
      { reason: 'no line of an event', count: 1, firstLine: 9 },
    ]);
  });

  it('is recognised although most of its lines are call chains', () => {
    const stack = [
      '  fio-900     [001] .....   12.000002: <stack trace>',
      ' => iommu_map',
      ' => __iommu_dma_map',
      ' => dma_map_page_attrs',
    ];
    const { summary } = importText([EVENT, ...stack, EVENT, ...stack].join('\n'));
    assert.equal(summary.format, 'ftrace');
  });

  it('hands on the comments that our own exports leave', () => {
    const { notes, summary } = importText(
      ['# tracer: nop', '# iommu_lab: session 1/1 {}', '# iommu_labs: no', EVENT].join('\n'),
    );
    assert.deepEqual(notes, [['session 1/1 {}', 2]]);
    assert.equal(summary.lines.comments, 3);
  });

  it('pairs a request of a disk with its end, a buffer with its free', () => {
    const at = (payload: string): string => `  fio-900     [001] .....   12.000001: ${payload}`;
    const { events } = importText(
      [
        at('block_rq_issue: 8,0 R 4096 () 64 + 8 [fio]'),
        at('iommu_lab:buffer: buffer=3 owner=0 paddr=0x1000 size=4096 ps=0'),
        at('block_rq_complete: 8,0 R () 64 + 8 [0]'),
        at('iommu_lab:free: buffer=3 ps=0'),
        at('iommu_lab:free: buffer=3 ps=0'),
      ].join('\n'),
      { format: 'ftrace', strict: true },
    );
    assert.deepEqual(
      events.map(({ partner }) => partner),
      [undefined, undefined, 0, 1, undefined],
    );
  });
});

describe('a report of trace-cmd', () => {
  it('has a header and CPUs that are empty, which are comments, and lost events', () => {
    const text = [
      'version = 7',
      'CPU 2 is empty',
      'cpus=4',
      '  fio-900   [001]   12.000001: map:                  IOMMU: iova=0x1000 - 0x2000 paddr=0x5000 size=4096',
      'CPU:1 [17 EVENTS DROPPED]',
      '  fio-900   [001] d..1   12.000002: unmap:                IOMMU: iova=0x1000 - 0x2000 size=4096 unmapped_size=4096',
      '  fio-900   [001]   12.000003: dma_map_phys:         [FAILED TO PARSE] dma_addr=0x1000',
    ].join('\n');
    const { events, summary } = importText(text);
    assert.equal(summary.format, 'trace-cmd');
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['iommuMap', 'lost', 'iommuUnmap'],
    );
    assert.equal(events[2]!.partner, 0);
    assert.deepEqual([summary.lines.comments, summary.lostEvents], [3, 17]);
    assert.equal(summary.lines.skipped.length, 1);
  });
});

describe('a script of perf', () => {
  it('has call chains between, which are skipped, and names the subsystem', () => {
    const text = [
      'fio   900 [001]    12.000001: iommu:map: IOMMU: iova=0x1000 - 0x2000 paddr=0x5000 size=4096',
      '\tffffffff8109b8d4 iommu_map+0x34 ([kernel.kallsyms])',
      '\t    7f0000001234 main+0x12 (/usr/bin/fio)',
      '',
      'fio   900 [001]    12.000002:          1 dma:dma_map_phys: 0000:3b:00.0 dir=TO_DEVICE dma_addr=1000 size=4096 phys_addr=5000 attrs=',
      '\tffffffff8109b8d4 dma_map_page_attrs+0x34 ([kernel.kallsyms])',
      '',
    ].join('\n');
    const { events, summary } = importText(text);
    assert.equal(summary.format, 'perf-script');
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['iommuMap', 'map'],
    );
    assert.equal(events[1]!.call, 0);
    assert.deepEqual(summary.lines, {
      total: 6,
      understood: 2,
      comments: 0,
      blank: 1,
      skipped: [{ reason: 'a call chain', count: 3, firstLine: 2 }],
    });
  });
});

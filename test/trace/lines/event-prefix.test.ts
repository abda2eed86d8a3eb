import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EventPrefix } from '../../../src/trace/lines/event-prefix.ts';

interface Read {
  pid: number;
  cpu: number;
  time: [number, number];
  name: string;
  event: string;
  payload: string;
}

function read(text: string, form: 'ftrace' | 'perf' = 'ftrace'): Read | null {
  const bytes = Buffer.from(text);
  const prefix = new EventPrefix();
  // Something before and after it, which it must not touch.
  const around = Buffer.concat([Buffer.from('9-9 [9] '), bytes, Buffer.from('9:9:9')]);
  const start = 8;
  const end = start + bytes.length;
  const ok = form === 'perf' ? prefix.readPerf(around, start, end) : prefix.readFtrace(around, start, end);
  if (!ok) return null;
  const { pid, cpu, seconds, nanoseconds, nameStart, eventStart, nameEnd, payloadStart } = prefix;
  const text2 = (from: number, to: number) => around.subarray(from, to).toString();
  return {
    pid,
    cpu,
    time: [seconds, nanoseconds],
    name: text2(nameStart, nameEnd),
    event: text2(eventStart, nameEnd),
    payload: text2(payloadStart, end),
  };
}

describe('what stands before an event of ftrace', () => {
  it('has four to eight flag characters, or none', () => {
    for (const flags of ['....  ', '..... ', '....... ', 'd..2. ', 'dNh#1... ', ''])
      assert.deepEqual(read(`  fio-900     [001] ${flags}   12.000001: map: IOMMU: x`), {
        pid: 900,
        cpu: 1,
        time: [12, 1000],
        name: 'map',
        event: 'map',
        payload: 'IOMMU: x',
      });
  });

  it('may have the process in parentheses, and the subsystem before the event', () => {
    const told = read('  fio-900   (    899) [001] .....    12.5: iommu:unmap: IOMMU: x');
    assert.deepEqual(
      [told?.pid, told?.name, told?.event, told?.time],
      [900, 'iommu:unmap', 'unmap', [12, 500_000_000]],
    );
    for (const group of ['(-------)', '(------)', '(  12345)'])
      assert.equal(read(`  fio-900   ${group} [001] .....    12.5: unmap: IOMMU: x`)?.pid, 900);
  });

  it('names tasks with blanks, dashes, slashes, colons, brackets and parentheses', () => {
    for (const task of [
      '(udev-worker)',
      'kworker/u64:0',
      'irq/26-AMD-Vi',
      'a - 7 b',
      '<idle>',
      'tmux: server',
      'x-1 [001] y',
      '-',
      '[0]-5 [',
    ])
      assert.deepEqual(
        [read(`${task}-154 [006] ..... 3.25: map: x`)?.pid, read(`${task}-154 [006] ..... 3.25: map: x`)?.cpu],
        [154, 6],
        task,
      );
  });

  it('has six or nine digits of fraction, and keeps all nine', () => {
    assert.deepEqual(read('a-1 [000] ..... 9999999999.000000002: map: x')?.time, [9_999_999_999, 2]);
    assert.deepEqual(read('a-1 [000] ..... 1.000002: map: x')?.time, [1, 2000]);
    assert.equal(read('a-1 [000] ..... 10000000000.000000001: map: x'), null, 'eleven digits of seconds are 317 years');
    assert.equal(read('a-1 [000] ..... 1.0000000001: map: x'), null);
  });

  it('pads the payload, as trace-cmd does, or has none', () => {
    assert.equal(read('a-1  [000]   336.054743: bprint:               frwr_map')?.payload, 'frwr_map');
    assert.equal(read('a-1  [000]   336.054743: bprint:')?.payload, '');
  });

  it('is missing from headers, wrapped mail and all that is like it', () => {
    for (const text of [
      '# tracer: nop',
      'paddr=0x000000010ec80000 size=524288',
      '',
      'a-1 [000] ..... 1.0 map: x',
      'a-1 [000] ..... 1.0: map x',
      'a-1 [000] ..... 1.0: : x',
      'a-1 [000] ..... 1: map: x',
      'a-1 [] ..... 1.0: map: x',
      'a-1 [0000000] ..... 1.0: map: x',
      'a [000] ..... 1.0: map: x',
      '-1 [000] ..... 1.0: map: x',
      'a-99999999999 [000] ..... 1.0: map: x',
      'a-1[000] ..... 1.0: map: x',
      'a-1 [000]..... 1.0: map: x',
      'a-1 [000] .......... 1.0: map: x',
      'a-1 [000] ..... 1.0: map:x',
      'a-1 [000] ..... 1.0:',
      'a-1 [000] .....',
      'a-1 [000]',
      'a-1 [',
    ])
      assert.equal(read(text), null, text);
  });
});

describe('what stands before an event of perf script', () => {
  it('has the pid, or pid and thread, after a task that may have blanks', () => {
    for (const [text, pid] of [
      ['     randread.pl  2522 [000]  6011.824759: ', 2522],
      [' my own task 7  2522/2523 [000]  6011.824759: ', 2523],
      ['swapper     0 [000]  6011.824759: ', 0],
    ] as const) {
      const told = read(`${text}block:block_rq_issue: 254,16`, 'perf');
      assert.deepEqual(told, {
        pid,
        cpu: 0,
        time: [6011, 824_759_000],
        name: 'block:block_rq_issue',
        event: 'block_rq_issue',
        payload: '254,16',
      });
    }
  });

  it('may have no CPU, and a period before the event', () => {
    assert.deepEqual(read(' fio  900  12.000001:          1 dma:dma_map_phys: x', 'perf'), {
      pid: 900,
      cpu: -1,
      time: [12, 1000],
      name: 'dma:dma_map_phys',
      event: 'dma_map_phys',
      payload: 'x',
    });
  });

  it('is missing from call chains and from lines of ftrace', () => {
    for (const text of [
      '\tffffffff8109b8d4 dma_map_page_attrs+0x34 ([kernel.kallsyms])',
      '            ffffffff8109b8d4 dma_map_page_attrs+0x34 ([kernel.kallsyms])',
      '',
      '  fio-900     [001] .....   12.000001: map: IOMMU: x',
      '900 [001] 12.000001: map: x',
    ])
      assert.equal(read(text, 'perf'), null, text);
  });
});

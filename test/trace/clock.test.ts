import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diceOf } from '../../tools/prove/dice.ts';
import { importText } from './events.ts';

const unmap = (cpu: number, time: string, iova = 0): string =>
  `  task-1 [${String(cpu).padStart(3, '0')}] ..... ${time}: unmap: IOMMU: iova=0x${iova.toString(16)} size=4096 unmapped_size=0`;

describe('the clock of a recording', () => {
  it('counts from the first event, exactly, and keeps times that step back', () => {
    const { raw, summary } = importText(
      [unmap(0, '9007199.254740993'), unmap(1, '9007199.254740992'), unmap(0, '9007200.000000000')].join('\n'),
    );
    assert.deepEqual(
      raw.map(({ timeNs }) => timeNs),
      [0, -1, 745_259_007],
    );
    assert.deepEqual(summary.origin, { seconds: 9_007_199, nanoseconds: 254_740_993 });
    assert.deepEqual([summary.clockSteps, summary.clockStepsOnCpu], [1, 0]);
  });

  it('tells a step between two CPUs from one of a CPU by itself', () => {
    const { summary } = importText(
      [unmap(0, '2.000000'), unmap(1, '1.000000'), unmap(0, '2.000001'), unmap(0, '1.500000')].join('\n'),
    );
    assert.deepEqual([summary.clockSteps, summary.clockStepsOnCpu], [2, 1]);
  });

  it('skips what is more than 104 days away, in either direction, and CPUs that cannot be', () => {
    const { raw, summary } = importText(
      [
        unmap(0, '9999999.000000'),
        unmap(0, '1.000000'),
        unmap(0, '9999999999.000000'),
        unmap(99_999, '9999999.1'),
      ].join('\n'),
      { format: 'ftrace' },
    );
    assert.equal(raw.length, 1);
    assert.deepEqual(summary.lines.skipped, [
      { reason: 'more than 104 days from the first event', count: 2, firstLine: 2 },
      { reason: 'a CPU beyond 8191', count: 1, firstLine: 4 },
    ]);
  });
});

describe('CPUs are merged by time, when that is asked for', () => {
  /** Each CPU's lines in order, written out of order by up to `disorder` lines. */
  function recording(seed: number, count: number, disorder: number): string[] {
    const dice = diceOf(seed);
    const lines = Array.from({ length: count }, (_, i) => ({ at: i + dice(disorder), i }));
    lines.sort((a, b) => a.at - b.at || a.i - b.i);
    // Ties among times are common.
    return lines.map(({ i }) => unmap(i % 4, `5.${String(Math.floor(i / 3)).padStart(6, '0')}`, i * 4096));
  }

  it('as a stable sort of all of them would, while the window is as wide as the disorder', () => {
    for (let seed = 1; seed < 20; seed++) {
      const text = recording(seed, 500, 30).join('\n');
      const recorded = importText(text, { format: 'ftrace' });
      const merged = importText(text, { format: 'ftrace', options: { order: 'merged', mergeWindow: 100 } });
      const sorted = recorded.raw.toSorted((a, b) => a.timeNs - b.timeNs);
      assert.deepEqual(
        merged.raw.map(({ iovaPage, timeNs, line }) => [iovaPage, timeNs, line]),
        sorted.map(({ iovaPage, timeNs, line }) => [iovaPage, timeNs, line]),
      );
      assert.ok(recorded.summary.clockSteps > 0);
      assert.equal(merged.summary.clockSteps, recorded.summary.clockSteps, 'steps are those of the recording');
      assert.deepEqual(merged.summary.warnings, []);
    }
  });

  it('and what comes later than the window is passed on late, and counted', () => {
    const lines = [
      ...Array.from({ length: 20 }, (_, i) => unmap(0, `5.${String(i + 10).padStart(6, '0')}`)),
      unmap(1, '5.000001'),
    ];
    const { raw, summary } = importText(lines.join('\n'), {
      format: 'ftrace',
      options: { order: 'merged', mergeWindow: 4 },
    });
    assert.equal(raw.length, 21);
    assert.equal(
      raw.findIndex(({ line }) => line === 21),
      16,
    );
    assert.match(summary.warnings.join(), /1 event came later than the window/);
  });

  it('with the ranges of their lists, and partners as of the new order', () => {
    const sg = (time: string, what: string): string => `  task-1 [000] ..... ${time}: ${what}`;
    const map = 'dma_map_sg: d dir=TO_DEVICE dma_addrs={0x1000} sizes={0x2000} phys_addrs={0x10000,0x30000} attrs=';
    const text = [
      sg('1.000002', 'dma_unmap_sg: d dir=TO_DEVICE phys_addrs={0x10000,0x30000} attrs='),
      sg('1.000001', map),
    ].join('\n');
    const { events, summary } = importText(text, { format: 'ftrace', options: { order: 'merged' } });
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['mapSg', 'segment', 'segment', 'segment', 'unmapSg', 'segment', 'segment'],
    );
    assert.equal(events[4]!.partner, 0);
    assert.deepEqual([events[1]!.iova, events[2]!.physical, events[6]!.physical], ['0x1000', '0x10000', '0x30000']);
    assert.equal(summary.unmatchedUnmaps, 0);
  });
});

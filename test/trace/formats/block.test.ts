import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MOST_IN_TICK } from '../../../src/trace/formats/block-rows.ts';
import { ImportError } from '../../../src/trace/import-error.ts';
import { importText } from '../events.ts';

describe('text of blkparse', () => {
  const D = '  8,64  11     2956    33.791612977 90790  D  WS 7614368 + 8 [fio]';

  it('gives the requests that are handed over and come back; other actions are understood and give nothing', () => {
    const text = [
      '  8,64  11     2950    33.791600000 90790  A  WS 7614368 + 8 <- (8,65) 7612320',
      '  8,64  11     2951    33.791601000 90790  Q  WS 7614368 + 8 [fio]',
      '  8,64  11     2952    33.791602000 90790  G  WS 7614368 + 8 [fio]',
      '  8,64  11     2953    33.791603000 90790  P   N [fio]',
      '  8,64  11     2954    33.791604000 90790  U   N [fio] 1',
      '  8,64  11     2955    33.791605000 90790  m   N cfq900S / alloced',
      D,
      '  8,64  11     2957    33.799933777     0  C  WS 7614368 + 8 [0]',
      '  8,64  11     2958    33.799940000     0  D  FN [kworker/0:1H]',
      '  8,64  11     2959    33.799941000     0  D   D 4096 + 8 [fstrim]',
      '  8,64  11     2960    33.799942000     0  C FWS 4096 + 0 [0]',
    ].join('\n');
    const { events, summary } = importText(text, { strict: true });
    assert.equal(summary.format, 'blkparse');
    assert.deepEqual(
      events.map(({ kind, partner, timeNs }) => [kind, partner, timeNs]),
      [
        ['ioStart', undefined, 0],
        ['ioEnd', 0, 8_320_800],
      ],
    );
    assert.equal(summary.lines.understood, 11);
    assert.deepEqual(summary.warnings, ['flushes, discards and the like move no data and become no event (3 times)']);
  });

  it('ends at its summaries, whatever comes after', () => {
    for (const first of [
      'CPU0 (8,64):',
      'Total (8,64):',
      'Throughput (R/W): 0KiB/s / 1KiB/s',
      'Events (8,64): 3 entries',
    ]) {
      const { events, summary } = importText([D, first, ' Reads Queued: 0, 0KiB', D].join('\n'), {
        format: 'blkparse',
        strict: true,
      });
      assert.equal(events.length, 1);
      assert.deepEqual([summary.lines.understood, summary.lines.comments], [1, 3]);
    }
  });

  it('that is cut or no such text is skipped', () => {
    for (const [line, reason] of [
      ['  8,64  11     2956    33.791612977 90790  D  WS 76143', 'cut before its end'],
      ['  8,64  11     2956    33.791612977 90790  D  WS 7614368 8 [fio]', 'no length'],
      ['  8,64  11     2956    33.791612977 90790  D  WS 7614368 + 8', 'cut before its end'],
      ['  8,64  11     2956    33.791612 90790  D  WS 7614368 + 8 [fio]', 'no time'],
      ['  8,64  11     2956    33.791612977 90790  Z  WS 7614368 + 8 [fio]', 'an action that there is not'],
      ['  864  11     2956    33.791612977 90790  D  WS 7614368 + 8 [fio]', 'no line of blkparse'],
    ] as const) {
      const { summary } = importText(line, { format: 'blkparse' });
      assert.equal(summary.lines.skipped[0]?.reason, reason, line);
    }
  });
});

describe('tables of block traces', () => {
  it('of MSR tell the end of an I/O as well, in the order of time', () => {
    const text = [
      'Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime',
      '128166372003061629,hm,0,Write,7014912,4096,26',
      '128166372003061639,hm,1,Read,512,4096,10',
    ].join('\n');
    const { events, devices, summary } = importText(text, { strict: true });
    assert.equal(summary.format, 'msr');
    assert.deepEqual(devices, ['hm,0', 'hm,1']);
    assert.deepEqual(
      events.map(({ kind, timeNs, line, partner }) => [kind, timeNs, line, partner]),
      [
        ['ioStart', 0, 2, undefined],
        ['ioStart', 1000, 3, undefined],
        ['ioEnd', 2000, 3, 1],
        ['ioEnd', 2600, 2, 0],
      ],
    );
  });

  it('of CloudPhysics spread rows of the same second over it evenly', () => {
    const text = [
      'version,time,op,size,lbn',
      '1,33898,2a,512,1',
      '1,33898,28,512,2',
      '1,33899,8a,512,3',
      '1,33899,88,512,4',
      '1,33899,2a,512,5',
      '1,33899,1b,512,5',
    ];
    const { events, summary } = importText(text.join('\n'));
    assert.equal(summary.format, 'cloudphysics');
    assert.deepEqual(
      events.map(({ timeNs, write }) => [timeNs, write]),
      [
        [0, 0],
        [500_000_000, 1],
        [1_000_000_000, 0],
        [1_333_333_333, 1],
        [1_666_666_666, 0],
      ],
    );
    assert.deepEqual(summary.lines.skipped, [
      { reason: 'an op that is no read or write of SCSI', count: 1, firstLine: 7 },
    ]);
  });

  it('spread more rows than are held, in order and within the second', () => {
    const count = MOST_IN_TICK * 3 + 5;
    const rows = Array.from({ length: count }, (_, i) => `1,7,2a,512,${i}`);
    const { raw, summary } = importText([...rows, '1,8,2a,512,0'].join('\n'), { format: 'cloudphysics' });
    assert.equal(raw.length, count + 1);
    assert.equal(summary.clockSteps, 0);
    assert.deepEqual(
      raw.map(({ detail }) => detail),
      [...rows.keys(), 0],
    );
    assert.ok(raw[count - 1]!.timeNs < 1e9);
    assert.equal(raw[count]!.timeNs, 1e9);
  });

  const CSV = { format: 'csv', strict: true };
  it('with columns that the user names, by name or by number, in units of their own', () => {
    const columns = { time: 'when', op: 'what', offset: 'where', size: 'much', response: 'took', device: 'disk' };
    const text = ['when;what;where;much;took;disk', '1.5;"R";2;1;0.25;sda', '2;write;0;2;1;sdb'].join('\n');
    const options = {
      columns,
      delimiter: 'semicolon',
      timeUnit: 'ms',
      responseUnit: 'us',
      offsetUnit: 'pages',
      sizeUnit: 'sectors',
    };
    const expected = [
      { kind: 'ioStart', timeNs: 0, device: 'sda', lengthBytes: 512, direction: 2, write: 1, detail: 16, line: 2 },
      {
        kind: 'ioEnd',
        timeNs: 250,
        device: 'sda',
        lengthBytes: 512,
        direction: 2,
        write: 1,
        detail: 16,
        line: 2,
        partner: 0,
      },
      {
        kind: 'ioStart',
        timeNs: 500_000,
        device: 'sdb',
        lengthBytes: 1024,
        direction: 1,
        write: 0,
        detail: 0,
        line: 3,
      },
      {
        kind: 'ioEnd',
        timeNs: 501_000,
        device: 'sdb',
        lengthBytes: 1024,
        direction: 1,
        write: 0,
        detail: 0,
        line: 3,
        partner: 2,
      },
    ];
    assert.deepEqual(importText(text, { ...CSV, options }).events, expected);
    const numbered = { time: '1', op: '2', offset: '3', size: '4', response: '5', device: '6' };
    const without = importText(text.split('\n').slice(1).join('\n'), {
      ...CSV,
      options: { ...options, columns: numbered, header: false },
    });
    assert.deepEqual(
      without.events,
      expected.map((each) => ({ ...each, line: each.line - 1 })),
    );
  });

  it('read times of any size exactly', () => {
    const columns = { time: '1', op: '2', offset: '3', size: '4' };
    for (const [timeUnit, first, second, difference] of [
      ['ns', '1700000000000000001', '1700000000000000003', 2],
      ['100ns', '128166372003061629', '128166372003061630', 100],
      ['us', '1700000000000000', '1700000000000000.5', 500],
      ['ms', '5', '1005.000001', 1_000_000_001],
      ['s', '0.000000001', '7', 6_999_999_999],
    ] as const) {
      const { raw } = importText(`${first},R,0,512\n${second},R,0,512`, {
        ...CSV,
        options: { columns, header: false, timeUnit },
      });
      assert.equal(raw[1]!.timeNs, difference, timeUnit);
    }
  });

  it('are refused by name without a column that they need, or with one that is not there', () => {
    for (const [options, pointer] of [
      [{}, '/columns'],
      [{ columns: { time: 'a', op: 'b', offset: 'c' } }, '/columns/size'],
      [{ columns: { time: 'a', op: 'b', offset: 'c', size: 'd' } }, '/columns/size'],
      [{ columns: { time: 'a', op: 'b', offset: 'c', size: 'e', colour: 'f' } }, '/columns/colour'],
      [{ columns: { time: 'a', op: 'b', offset: 'c', size: 'e' }, timeUnit: 'fortnight' }, '/timeUnit'],
      [{ columns: { time: 'a', op: 'b', offset: 'c', size: 'e' }, tickNs: -1 }, '/tickNs'],
      [{ columns: { time: 'a', op: 'b', offset: 'c', size: 'e' }, tickNs: 0.5 }, '/tickNs'],
      [{ columns: [] }, '/columns'],
      [{ columns: { time: 1, op: 'b', offset: 'c', size: 'e' } }, '/columns/time'],
      [{ columns: { time: 'a', op: 'b', offset: 'c', size: 'e' }, header: false }, '/columns/time'],
    ] as const)
      assert.throws(
        () => importText('a,b,c,e\n1,R,0,512', { format: 'csv', options }),
        (error) => error instanceof ImportError && error.code === 'invalid-options' && error.pointer === pointer,
        pointer,
      );
  });
});

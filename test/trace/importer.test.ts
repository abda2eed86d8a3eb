import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { MOST_REASONS, OTHER_REASONS } from '../../src/trace/account.ts';
import { formats } from '../../src/trace/formats/index.ts';
import { ImportError } from '../../src/trace/import-error.ts';
import { createImporter } from '../../src/trace/importer.ts';
import { MOST_DEVICES } from '../../src/trace/intake.ts';
import { bytesOf, importBytes, importText, isBalanced } from './events.ts';
import { FIXTURES } from './fixtures.ts';

const ATH12K = readFileSync(new URL('./recordings/ath12k.txt', import.meta.url));
const at = (payload: string): string => `  fio-900     [001] .....   12.000001: ${payload}`;

describe('an import', () => {
  it('tells what was understood of the ath12k recording', () => {
    const { summary, events } = importBytes(ATH12K, { strict: true });
    assert.deepEqual(summary, {
      format: 'ftrace',
      recognisedBy: '5 of its first 5 lines have a task, a CPU, flags and a time',
      bytes: ATH12K.length,
      lines: { total: 5, understood: 5, comments: 0, blank: 0, skipped: [] },
      events: { alloc: 1, free: 1, iommuMap: 1, iommuUnmap: 1, fault: 1 },
      devices: ['0000:c2:00.0'],
      openMaps: 0,
      unmatchedUnmaps: 0,
      lostEvents: 0,
      clockSteps: 0,
      clockStepsOnCpu: 0,
      origin: { seconds: 4, nanoseconds: 878_076_000 },
      warnings: [],
    });
    assert.deepEqual(
      events.map(({ kind, timeNs, partner, call }) => [kind, timeNs, partner, call]),
      [
        ['iommuMap', 0, undefined, undefined],
        ['alloc', 3000, undefined, 0],
        ['free', 322_869_687_000, 1, undefined],
        ['iommuUnmap', 322_869_690_000, 0, 2],
        ['fault', 322_875_866_000, undefined, undefined],
      ],
    );
  });

  it('is the same wherever a chunk ends, of every format', () => {
    for (const format of ['ftrace', 'trace-cmd', 'perf-script', 'blkparse', 'msr', 'cloudphysics'] as const) {
      const text = FIXTURES.filter((each) => each.format === format)
        .map(({ line }) => line)
        .join('\n');
      const whole = importText(text, { format });
      for (const chunk of [1, 7, 64, 1000]) {
        const pieces = importText(text, { format, chunk });
        assert.deepEqual(pieces.events, whole.events);
        assert.deepEqual(pieces.summary, whole.summary);
      }
    }
  });

  it('in strict mode ends at the first line that is not understood, with its number and the reason', () => {
    const text = [
      '# tracer: nop',
      at('map: IOMMU: iova=0x1000 paddr=0x5000 size=4096'),
      '',
      at('sched_switch: x'),
      at('sched_switch: x'),
    ].join('\n');
    const importer = createImporter({ format: 'ftrace', strict: true, sink: { event() {}, device: () => 0 } });
    assert.throws(
      () => importer.write(bytesOf(text)),
      (error) =>
        error instanceof ImportError &&
        error.code === 'not-understood' &&
        error.line === 4 &&
        error.message === 'line 4: the event sched_switch is not understood',
    );
    assert.throws(() => importer.write(bytesOf('x')), /has ended/);
    assert.equal(importer.summary().events.iommuMap, 1);
  });

  it('ends with what the sink throws', () => {
    const importer = createImporter({
      format: 'ftrace',
      sink: {
        event() {
          throw new Error('the disk is full');
        },
        device: () => 0,
      },
    });
    assert.throws(() => importer.write(ATH12K), /the disk is full/);
    assert.throws(() => importer.end(), /has ended/);
  });

  it('counts reasons beyond the first as one, and refuses more devices than there can be', () => {
    const unknown = Array.from({ length: MOST_REASONS + 10 }, (_, i) => at(`event_${i}: x`));
    const { summary } = importText([...unknown, ...unknown].join('\n'), { format: 'ftrace' });
    assert.equal(summary.lines.skipped.length, MOST_REASONS + 1);
    assert.deepEqual(summary.lines.skipped.at(-1), { reason: OTHER_REASONS, count: 20, firstLine: MOST_REASONS + 1 });
    assert.ok(isBalanced(summary));

    const attach = Array.from({ length: MOST_DEVICES + 3 }, (_, i) =>
      at(`attach_device_to_domain: IOMMU: device=dev${i}`),
    );
    const many = importText(attach.join('\n'), { format: 'ftrace' });
    assert.equal(many.devices.length, MOST_DEVICES);
    assert.equal(many.summary.lines.skipped[0]?.count, 3);
  });

  it('refuses names of devices that cannot be printed or are too long', () => {
    const of = (name: string) =>
      importText(at(`attach_device_to_domain: IOMMU: device=${name}`), { format: 'ftrace' }).summary.lines.skipped[0]
        ?.reason;
    assert.equal(of('a\u0001'), 'attach_device_to_domain: the name of a device has bytes that cannot be printed');
    assert.equal(of('é'), 'attach_device_to_domain: the name of a device has bytes that cannot be printed');
    assert.equal(of('x'.repeat(129)), 'attach_device_to_domain: the name of a device is too long');
    assert.equal(of('x'.repeat(128)), undefined);
  });

  it('refuses formats and options that there are not, by name', () => {
    const create = (format: string, options: Record<string, unknown> = {}) =>
      createImporter({ format, options, sink: { event() {}, device: () => 0 } });
    for (const format of ['', 'toString', 'constructor', 'etl'])
      assert.throws(() => create(format), /there is no format .*; there are auto, /);
    assert.throws(
      () => create('ftrace', { colour: 'red' }),
      (error) => error instanceof ImportError && error.pointer === '/colour',
    );
    assert.throws(
      () => create('auto', { columns: {} }),
      (error) => error instanceof ImportError && error.pointer === '/columns',
    );
    assert.throws(
      () => create('ftrace', { order: 'random' }),
      (error) => error instanceof ImportError && error.pointer === '/order',
    );
    assert.throws(
      () => create('ftrace', { mergeWindow: 65_537 }),
      (error) => error instanceof ImportError && error.pointer === '/mergeWindow',
    );
  });
});

describe('what a recording is', () => {
  it('is told by its beginning', () => {
    for (const format of Object.keys(formats)) {
      const lines = FIXTURES.filter((each) => each.format === format && each.synthetic === undefined).map(
        ({ line }) => line,
      );
      if (lines.length === 0) continue;
      if (format === 'trace-cmd') lines.unshift('cpus=8');
      const { summary } = importText(lines.join('\n'));
      assert.equal(summary.format, format);
      assert.ok(summary.recognisedBy!.length > 10);
    }
  });

  it('is told although the first 64 KiB are cut in the middle of a line', () => {
    const line = at('map: IOMMU: iova=0x1000 - 0x2000 paddr=0x5000 size=4096');
    const text = Array.from({ length: 3000 }, () => line).join('\n');
    const { summary } = importText(text, { chunk: 1000 });
    assert.equal(summary.lines.understood, 3000);
    assert.equal(summary.bytes, text.length);
  });

  it('is refused when it is none of them, and what was tried is named', () => {
    for (const text of ['', '# only a comment\n', 'Dear list,\n\nit does not work.\n', '\0\0\0\0', 'a,b,c\n1,2,3\n'])
      assert.throws(
        () => importText(text),
        (error) =>
          error instanceof ImportError &&
          error.code === 'unrecognised' &&
          Object.values(formats).every(
            ({ kind, recognisedBy }) => recognisedBy === null || error.message.includes(kind),
          ),
        JSON.stringify(text),
      );
  });
});

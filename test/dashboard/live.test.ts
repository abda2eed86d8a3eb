/** The form of a run, the log, and the spec of a new session. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EventLog, forensicsInWords } from '../../src/dashboard/live/log.ts';
import { nanosecondsOf, requestOf } from '../../src/dashboard/live/run-request.ts';
import type { Frame } from '../../src/dashboard/resume.ts';
import { change, freeName, listAt, packSpec, readSpec } from '../../src/dashboard/sessions/spec.ts';

describe('the form of a run', () => {
  it('takes times with their unit, and nanoseconds without', () => {
    const cases: [string, number | null][] = [
      ['100 ms', 100e6],
      ['1.5s', 1.5e9],
      ['3 us', 3000],
      ['3µs', 3000],
      ['2 MIN', 120e9],
      ['1_000', 1000],
      ['1e3 ns', 1000],
      ['', null],
      ['ms', null],
      ['-1 s', null],
      ['1 week', null],
    ];
    for (const [text, ns] of cases) assert.equal(nanosecondsOf(text), ns, text);
  });

  it('makes the request that was meant, or says what is wrong', () => {
    assert.deepEqual(requestOf('forNs', '1 ms', ''), { forNs: 1e6 });
    assert.deepEqual(requestOf('untilNs', '2 s', ''), { untilNs: 2e9 });
    assert.deepEqual(requestOf('operations', '100,000', ''), { operations: 100_000 });
    assert.deepEqual(requestOf('above', '0', ' verdicts.stale '), { until: { metric: 'verdicts.stale', above: 0 } });
    assert.deepEqual(requestOf('below', '-1', 'iops'), { until: { metric: 'iops', below: -1 } });
    for (const [stop, amount] of [
      ['forNs', 'soon'],
      ['forNs', '0'],
      ['operations', ''],
      ['operations', 'many'],
      ['above', '1'],
    ] as const)
      assert.ok('problem' in requestOf(stop, amount, ''), `${stop} ${amount}`);
  });
});

const frame = (type: Frame['type'], data: unknown): Frame => ({ type, epoch: 'a', sequence: 1, timeNs: 7, data });

describe('the log', () => {
  it('has the newest first, and no more than it keeps, whatever comes at once', () => {
    const log = new EventLog();
    const items = Array.from({ length: 900 }, (_, i) => ({ sequence: i, timeNs: i, type: 'e' }));
    log.take(frame('events', { items, dropped: 5 }));
    log.take(frame('events', { items: [{ sequence: 900, timeNs: 900, type: 'last' }], dropped: 2 }));
    const lines = log.lines();
    assert.deepEqual([lines[0]?.what, lines[1]?.timeNs, lines.length, log.dropped], ['last', 899, 60, 7]);
    assert.equal(new Set(lines.map(({ serial }) => serial)).size, 60);
  });

  it('keeps a rare line through a flood of others, and tells a blocked access once', () => {
    const log = new EventLog();
    const verdicts = ['stale', 'fault'].map((verdict) => ({
      timeNs: 1,
      device: 'dev_0',
      iova: '0x1',
      lengthBytes: 8,
      access: 'read',
      verdict,
    }));
    log.take(frame('verdicts', { items: verdicts }));
    const faults = Array.from({ length: 500 }, (_, i) => ({ timeNs: i, name: 'f', message: 'm', code: 5 }));
    log.take(frame('faults', { items: faults }));
    assert.deepEqual(
      log.lines().flatMap(({ kind, what }) => (kind === 'verdict' ? [what] : [])),
      ['stale'],
    );
    assert.equal(log.lines().at(-1)?.what, 'stale');
    log.clear();
    assert.deepEqual(log.lines(), []);
  });

  it('has a fault as the kernel prints it, and what happened to the address before', () => {
    const log = new EventLog();
    const message =
      'DMAR: [DMA Write NO_PASID] Request device [00:02.0] fault addr 0xffd07000 [fault reason 0x05] PTE Write access is not set';
    const forensics = {
      lastMap: { timeNs: 1, sinceNs: 16_414, direction: 'to-device' },
      lastUnmap: { timeNs: 2, sinceNs: 862 },
      verdict: 'use after unmap',
    };
    log.take(
      frame('faults', { items: [{ timeNs: 280_000, code: 5, name: 'write-not-permitted', message, forensics }] }),
    );
    const [line] = log.lines();
    assert.deepEqual([line?.kind, line?.what, line?.text], ['fault', 'write-not-permitted', message]);
    assert.equal(
      line?.more.replaceAll('\u202f', ' '),
      'use after unmap: mapped 16.4 µs before (to-device), unmapped 862 ns before',
    );
    assert.equal(
      forensicsInWords({ code: 1, name: 'n', message: 'm', forensics: { lastMap: null, lastUnmap: null } }),
      'never mapped',
    );
  });

  it('tells a run once for each of its states, not for its progress', () => {
    const log = new EventLog();
    const run = { id: 'run_1', state: 'running', timeNs: 0, result: null };
    for (const progress of [0, 0.3, 0.9]) log.take(frame('runs', { ...run, progress }));
    log.take(frame('runs', { ...run, id: 'run_2', progress: 0 }));
    log.take(frame('runs', { ...run, state: 'failed', progress: 1, problem: { detail: 'why' } }));
    assert.deepEqual(
      log.lines().map(({ text, more }) => `${text} ${more}`.trim()),
      ['run_1 failed why', 'run_2 running', 'run_1 running'],
    );
  });
});

describe('the spec of a new session', () => {
  it('is read from text when it is an object, and told apart from what is none', () => {
    assert.deepEqual(readSpec(' '), { spec: {} });
    assert.deepEqual(readSpec('{"seed": 1}'), { spec: { seed: 1 } });
    for (const text of ['{', '[]', '1', 'null', '"x"']) assert.ok('problem' in readSpec(text), text);
  });

  it('changes in one place, and has a link while that is not too long', () => {
    const spec = { preset: 'thread-2008', policy: { allocator: { kind: 'rbtree' } } };
    assert.deepEqual(change(spec, ['policy', 'allocator'], undefined), { preset: 'thread-2008' });
    assert.deepEqual(readSpec(packSpec(spec)!), { spec });
    assert.equal(packSpec({ title: 'x'.repeat(5_000) }), undefined);
    assert.equal(listAt(spec, 'devices'), undefined);
    assert.equal(freeName('nic', [{ name: 'nic0' }, { name: 'nic2' }]), 'nic1');
  });
});

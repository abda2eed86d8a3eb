/** What a worker keeps of a session's stream, and what it tells the page of it and when; points on their way to the plotter. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import fc from 'fast-check';
import type { Metrics, Run } from '../../src/api/contract-types.ts';
import { Book } from '../../src/dashboard/live/book.ts';
import { KEPT, type LineKind } from '../../src/dashboard/live/log.ts';
import type { FromReader } from '../../src/dashboard/live/wire.ts';
import { Feed } from '../../src/dashboard/parts/feed.ts';
import { PointSender, tellPoints } from '../../src/dashboard/parts/points.ts';
import type { Frame } from '../../src/dashboard/resume.ts';

const ALL: LineKind[] = ['fault', 'verdict', 'event', 'run', 'gap'];
const VERDICTS = { ok: 0, fault: 0, stale: 0 };

const frame = (type: Frame['type'], data: unknown): Frame => ({ type, epoch: 'a', sequence: 1, timeNs: 7, data });
const metrics = (timeNs: number, ok = 0): Frame =>
  frame('metrics', { timeNs, verdicts: { ...VERDICTS, ok }, counters: { faults: ok } } satisfies Metrics);
const faults = (...names: string[]): Frame =>
  frame('faults', { items: names.map((name) => ({ timeNs: 1, code: 5, name, message: name })) });
const run = (id: string, state: Run['state'], more: Partial<Run> = {}): Run => ({
  ...{ id, state, timeNs: 0, progress: 0, result: null },
  ...more,
});

function begin(runs: Run[] = []): { book: Book; told: FromReader[]; of: (type: string) => FromReader[] } {
  const told: FromReader[] = [];
  const book = new Book(
    { machine: { cpus: 1, cpuGhz: 1 }, metrics: { timeNs: 0, verdicts: VERDICTS }, runs },
    (message) => told.push(message),
  );
  book.want({ kinds: ALL, most: 20, held: false });
  told.length = 0;
  return { book, told, of: (type) => told.filter((message) => message.type === type) };
}

/** Timers that are set by timers have their turn. */
function pass(ms: number): void {
  for (let step = 0; step < ms; step += 10) mock.timers.tick(10);
}

function linesIn(message: FromReader | undefined): string[] {
  return message?.type === 'lines' ? message.lines.map(({ text }) => text) : assert.fail();
}

describe('the book of a stream', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
  afterEach(() => mock.timers.reset());

  it('tells the first news soon, and then no more often than once a second', () => {
    const { book, of } = begin();
    let ms = 0;
    const times: number[] = [];
    for (; ms < 5_000; ms += 100) {
      book.take(metrics((ms + 1) * 1e6, ms));
      const before = of('metrics').length;
      pass(100);
      if (of('metrics').length > before) times.push(ms);
    }
    assert.deepEqual(times, [0, 1_000, 2_000, 3_000, 4_000]);
    const last = of('metrics').at(-1);
    assert.ok(last?.type === 'metrics');
    assert.equal(last.shown.verdicts.ok, 4_000);
    // Of 100 ms in which 100 came.
    assert.ok(Math.abs(last.shown.verdictsPerSecond[0]! - 1_000) < 1e-6);
    // What came after that is told as well, and then nothing any more.
    pass(10_000);
    const count = of('metrics').length;
    pass(10_000);
    assert.equal(of('metrics').length, count);
  });

  it('tells at once that a run begins or ends, and later how far it is', () => {
    const { book, of } = begin([run('run_1', 'finished', { result: { operations: 3 } })]);
    book.take(frame('runs', run('run_2', 'running')));
    assert.deepEqual(of('run'), [{ type: 'run', run: run('run_2', 'running') }]);
    for (const progress of [0.1, 0.2, 0.3]) book.take(frame('runs', run('run_2', 'running', { progress })));
    assert.equal(of('run').length, 1);
    pass(100);
    assert.deepEqual(of('run').slice(1), [{ type: 'run', run: run('run_2', 'running', { progress: 0.3 }) }]);
    const result = { operations: 9 };
    book.take(frame('runs', run('run_2', 'finished', { progress: 1, result })));
    // A reply to its start, and a frame without its result, that come behind its end.
    book.takeRun(run('run_2', 'running'));
    book.take(frame('runs', run('run_2', 'finished', { progress: 1 })));
    pass(2_000);
    const [, , ended, again, ...more] = of('run').map((message) => message.type === 'run' && message.run);
    assert.deepEqual(ended, run('run_2', 'finished', { progress: 1, result }));
    assert.deepEqual([again, more], [ended, []]);
  });

  it('lets a flood by a few lines at a time, and tells all that is kept when it is over', () => {
    const { book, of } = begin();
    const names = (from: number) => Array.from({ length: 30 }, (_, i) => `f${from + i}`);
    book.take(faults(...names(0)));
    pass(400);
    assert.deepEqual(linesIn(of('lines').at(-1)), names(0).toReversed().slice(0, 5));
    book.take(faults(...names(30)));
    pass(1_000);
    const second = [...names(30).toReversed().slice(0, 5), ...names(0).toReversed().slice(0, 5)];
    assert.deepEqual(linesIn(of('lines').at(-1)), second);
    pass(1_000);
    assert.deepEqual(linesIn(of('lines').at(-1)), names(30).toReversed().slice(0, 20));
    const count = of('lines').length;
    pass(10_000);
    assert.equal(of('lines').length, count);
  });

  it('holds the lines that are there, all that are kept of the kinds that are wanted', () => {
    const { book, of } = begin();
    book.take(faults(...Array.from({ length: 90 }, (_, i) => `f${i}`)));
    book.gap('Missing.');
    book.want({ kinds: ALL, most: 2 * KEPT, held: true });
    const held = linesIn(of('lines').at(-1));
    assert.deepEqual([held.length, held[0], held.at(-1)], [KEPT + 1, 'Missing.', 'f30']);
    book.take(faults('later'));
    pass(5_000);
    assert.deepEqual(linesIn(of('lines').at(-1)), held);
    book.want({ kinds: ['gap'], most: 2 * KEPT, held: true });
    assert.deepEqual(linesIn(of('lines').at(-1)), ['Missing.']);
    book.want({ kinds: ALL, most: 2, held: false });
    assert.deepEqual(linesIn(of('lines').at(-1)), ['later', 'Missing.']);
  });

  it('forgets all at a reset, also of charts that are drawn', () => {
    const { book, told } = begin();
    const seen: (number | 'clear')[] = [];
    const listener = { add: (x: number) => seen.push(x), clear: () => seen.push('clear') };
    for (const name of ['exposed', 'faults']) book.feed(name).listen(listener);
    book.take(metrics(5e9, 3));
    book.take(faults('f'));
    book.restart();
    assert.deepEqual(seen, [5, 5, 'clear', 'clear']);
    pass(5_000);
    assert.deepEqual(
      told.map((message) => (message.type === 'lines' ? [message.type, message.lines.length] : message.type)),
      ['epoch', ['lines', 0]],
    );
  });
});

describe('points on their way to the plotter', () => {
  it('are told as they were added, chart by chart, in one message of a task; charts that are gone are passed over', async () => {
    const step = fc.tuple(
      fc.integer({ min: 1, max: 4 }),
      fc.oneof(fc.constant('clear' as const), fc.array(fc.double(), { maxLength: 3 })),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 8 }), { maxLength: 5 }), async (tasks) => {
        const sent: Float64Array[] = [];
        const sender = new PointSender((points) => sent.push(points));
        const added: unknown[] = [];
        let x = 0;
        for (const task of tasks) {
          for (const [chart, what] of task) {
            if (what === 'clear') sender.of(chart).clear();
            else sender.of(chart).add(++x, what);
            if (chart !== 4) added.push([chart, what === 'clear' ? what : [x, ...what]]);
          }
          await Promise.resolve();
        }
        assert.equal(sent.length, tasks.length);
        const told: unknown[] = [];
        const listener = (chart: number) => ({
          add: (at: number, values: ArrayLike<number>) => told.push([chart, [at, ...Array.from(values)]]),
          clear: () => told.push([chart, 'clear']),
        });
        for (const points of sent) tellPoints(points, (chart) => (chart === 4 ? undefined : listener(chart)));
        assert.deepEqual(told, added);
      }),
      { numRuns: 100 },
    );
  });

  it('are told first of what a feed has kept, then as they come, until nobody listens', () => {
    const feed = new Feed(2, 3);
    for (let x = 1; x <= 4; x++) feed.add(x, [x, -x]);
    const told: number[][] = [];
    const stop = feed.listen({
      add: (x, values) => told.push([x, ...Array.from(values)]),
      clear: () => told.push([]),
    });
    feed.add(5, [5]);
    feed.clear();
    stop();
    feed.add(6, [6, 6]);
    assert.deepEqual(told, [[2, 2, -2], [3, 3, -3], [4, 4, -4], [5, 5], []]);
  });
});

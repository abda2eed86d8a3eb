/** A stream that is cut off goes on where it was. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  delayMs,
  endInWords,
  type Frame,
  gapInWords,
  isFinal,
  isFrame,
  type Message,
  Resume,
} from '../../src/dashboard/resume.ts';

const hello = (epoch: string, sequence: number) => ({ type: 'hello' as const, epoch, sequence });
const frame = (epoch: string, sequence: number): Frame => ({ type: 'metrics', epoch, sequence, timeNs: 0, data: {} });

describe('what is asked for', () => {
  it('is at first what comes next, or some frames from before', () => {
    assert.deepEqual(new Resume().subscribe(hello('a', 50), ['metrics'], 100), {
      type: 'subscribe',
      topics: ['metrics'],
      everyMs: 100,
      epoch: 'a',
      fromSequence: 51,
    });
    assert.equal(new Resume().subscribe(hello('a', 50), ['runs'], 100, 20).fromSequence, 31);
    assert.equal(new Resume().subscribe(hello('a', 5), ['runs'], 100, 20).fromSequence, 1);
  });

  it('is later what follows the last frame, in its epoch, wherever the session is now', () => {
    const resume = new Resume();
    resume.subscribe(hello('a', 7), ['metrics'], 100);
    for (const sequence of [8, 12, 10]) resume.take(frame('a', sequence));
    const again = resume.subscribe(hello('b', 3), ['metrics'], 100);
    assert.deepEqual([again.epoch, again.fromSequence], ['a', 13]);
  });

  it('is not what came before the first frame, when the connection ended before one', () => {
    const resume = new Resume();
    resume.subscribe(hello('a', 7), ['metrics'], 100);
    assert.equal(resume.subscribe(hello('a', 9), ['metrics'], 100).fromSequence, 8);
  });

  it('begins again in a new epoch, told or found', () => {
    const told = new Resume();
    told.subscribe(hello('a', 7), ['metrics'], 100);
    told.take({ type: 'epoch', epoch: 'b', previous: 'a' });
    assert.deepEqual([told.epoch, told.sequence], ['b', 0]);
    const found = new Resume();
    found.subscribe(hello('a', 7), ['metrics'], 100);
    found.take({ type: 'gap', epoch: 'a', from: 8, to: null, reason: 'other-epoch' });
    found.take(frame('b', 4));
    assert.deepEqual([found.epoch, found.sequence], ['b', 4]);
  });

  it('is not asked for twice, when it is known to be gone', () => {
    const resume = new Resume();
    resume.subscribe(hello('a', 7), ['metrics'], 100);
    resume.take({ type: 'gap', epoch: 'a', from: 8, to: 40, reason: 'slow-reader' });
    assert.equal(resume.sequence, 40);
  });
});

describe('cut off at every place', () => {
  it('gets each frame once, and a gap for what is no longer kept', () => {
    const KEPT = 20;
    for (let cut = 0; cut < 40; cut++) {
      for (let away = 0; away < 40; away += 3) {
        const resume = new Resume();
        const got: number[] = [];
        const gone: number[] = [];
        let newest = 0;
        const serve = (from: number) => {
          const oldest = Math.max(1, newest - KEPT + 1);
          const messages: Message[] = [];
          if (from < oldest) messages.push({ type: 'gap', epoch: 'a', from, to: oldest - 1, reason: 'evicted' });
          for (let at = Math.max(from, oldest); at <= newest; at++) messages.push(frame('a', at));
          for (const message of messages) {
            resume.take(message);
            if (isFrame(message)) got.push(message.sequence);
            else for (let at = from; at < oldest; at++) gone.push(at);
          }
        };
        resume.subscribe(hello('a', 0), ['metrics'], 100);
        newest = cut;
        serve(1);
        newest += away;
        serve(resume.subscribe(hello('a', newest), ['metrics'], 100).fromSequence as number);
        assert.deepEqual(
          [...gone, ...got].sort((a, b) => a - b),
          Array.from({ length: newest }, (_, i) => i + 1),
          `cut at ${cut}, away for ${away}`,
        );
      }
    }
  });
});

describe('in words', () => {
  it('a gap says what is missing and why', () => {
    const gap = { type: 'gap' as const, epoch: 'a', from: 4, to: 9 };
    assert.equal(
      gapInWords({ ...gap, reason: 'evicted' }),
      'Missing: frames 4 to 9; the session no longer keeps them.',
    );
    assert.equal(
      gapInWords({ ...gap, reason: 'slow-reader', dropped: { metrics: 3, faults: 1, runs: 0 } }),
      'Missing: 3 of metrics, 1 of faults; this page did not read fast enough.',
    );
    assert.match(gapInWords({ ...gap, to: null, reason: 'other-epoch' }), /frames from 4 on; the session was reset/);
    assert.match(gapInWords({ ...gap, from: null, to: null, reason: 'new-one' }), /some frames; new-one\./);
  });

  it('an end says why, and whether it is of use to come back', () => {
    for (const code of [1001, 1006, 4000, 4001, 4002]) assert.equal(isFinal(code), false, String(code));
    for (const code of [4500, 4501, 4502, 4503, 4504]) {
      assert.equal(isFinal(code), true, String(code));
      assert.doesNotMatch(endInWords(code), /\d/);
    }
    assert.equal(endInWords(1234, 'because'), 'because');
  });
});

it('it comes back later from time to time, but within a quarter of a minute', () => {
  assert.deepEqual(
    [0, 1, 2, 3].map((attempt) => delayMs(attempt, 1)),
    [500, 1000, 2000, 4000],
  );
  assert.equal(delayMs(60, 1), 15_000);
  assert.equal(delayMs(60, 0), 7_500);
});

/** A stream that is read a little in each frame, and messages that are read when somebody asks for what is in them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Inbox } from '../../src/dashboard/inbox.ts';
import { EventLog, type LogLine, towards } from '../../src/dashboard/live/log.ts';
import { type Frame, isFrame, messageOf } from '../../src/dashboard/resume.ts';

class Clock {
  hidden = false;
  private asked: (() => void)[] = [];
  next(work: () => void): void {
    this.asked.push(work);
  }
  isHidden(): boolean {
    return this.hidden;
  }
  worked(): void {}
  /** @returns whether anybody waited for it */
  frame(): boolean {
    const all = this.asked;
    this.asked = [];
    for (const each of all) each();
    return all.length > 0;
  }
}

function reader(): { clock: Clock; inbox: Inbox; read: string[] } {
  const clock = new Clock();
  const read: string[] = [];
  return { clock, read, inbox: new Inbox((text) => read.push(text), clock) };
}

const long = (name: string) => name.padEnd(60_000, '.');

describe('what a stream has sent', () => {
  it('is read at once when it is little, and one by one when it is much', () => {
    const { clock, inbox, read } = reader();
    for (const name of ['a', 'b', 'c']) inbox.push(name);
    assert.deepEqual(read, ['a', 'b', 'c']);
    for (const name of ['d', 'e', 'f']) inbox.push(long(name));
    assert.equal(read.length, 3);
    for (const name of ['d', 'e', 'f']) {
      clock.frame();
      assert.equal(read.at(-1), long(name));
    }
    assert.equal(read.length, 6);
  });

  it('is read at once in a frame that has read nothing yet, however long it is', () => {
    const { inbox, read } = reader();
    inbox.push(long('a'));
    inbox.push('b');
    assert.deepEqual(read, [long('a')]);
  });

  it('is read whole where nobody looks, when it is told to, and never when it is forgotten', () => {
    const { clock, inbox, read } = reader();
    for (const name of ['a', 'b', 'c']) inbox.push(long(name));
    clock.hidden = true;
    inbox.push('d');
    assert.equal(read.length, 4);
    clock.hidden = false;
    for (const name of ['e', 'f', 'g']) inbox.push(long(name));
    inbox.drain();
    assert.equal(read.length, 7);
    for (const name of ['h', 'i']) inbox.push(long(name));
    inbox.clear();
    while (clock.frame());
    assert.equal(read.includes(long('i')), false);
  });

  it('that begins with a long history is there after some frames', () => {
    const { clock, inbox, read } = reader();
    for (let i = 0; i < 300; i++) inbox.push(long(`${i}`));
    let frames = 0;
    while (read.length < 300) {
      clock.frame();
      frames++;
    }
    assert.ok(frames <= 30, `${frames}`);
  });

  it('is read in order, all of it, whatever comes when', () => {
    const step = fc.oneof(
      fc.integer({ min: 1, max: 60_000 }),
      fc.constant('frame' as const),
      fc.constant('drain' as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { clock, inbox, read } = reader();
        const sent: string[] = [];
        for (const each of steps) {
          if (each === 'frame') clock.frame();
          else if (each === 'drain') inbox.drain();
          else {
            sent.push(`${sent.length}`.padEnd(each, '.'));
            inbox.push(sent.at(-1) as string);
          }
        }
        while (clock.frame());
        assert.deepEqual(read, sent);
      }),
      { numRuns: 60 },
    );
  });
});

describe('a message', () => {
  const faults = (names: string[], sequence = 7): string =>
    JSON.stringify({
      type: 'faults',
      epoch: 'a',
      sequence,
      timeNs: 12,
      data: { items: names.map((name) => ({ timeNs: 1, code: 5, name, message: 'm' })), dropped: 0 },
    });

  it('is the same whether it is read now or when it is asked for', () => {
    const texts = [
      faults(['x', 'y']),
      '{"type":"verdicts","epoch":"e","sequence":1,"timeNs":0,"data":{"items":[],"dropped":0}}',
      '{"type":"verdicts","sequence":1,"epoch":"e","timeNs":0,"data":{}}',
      '{"type":"faults","epoch":"a\\"b","sequence":1,"timeNs":0,"data":{}}',
      '{"type":"metrics","epoch":"e","sequence":1,"timeNs":0,"data":{"timeNs":5}}',
      '{"type":"pong"}',
    ];
    for (const text of texts) {
      const message = messageOf(text);
      const plain = JSON.parse(text) as Frame;
      const { type, epoch, sequence, timeNs } = message as Frame;
      assert.deepEqual(
        { type, epoch, sequence, timeNs, data: isFrame(message) ? message.data : undefined },
        { ...{ epoch: undefined, sequence: undefined, timeNs: undefined, data: undefined }, ...plain },
      );
      assert.equal(isFrame(message), 'data' in plain, text);
    }
  });

  it('that is no JSON is told when it is read', () => {
    assert.throws(() => messageOf('{"type":'), SyntaxError);
    const late = messageOf('{"type":"faults","epoch":"a","sequence":1,"timeNs":1,"data":{') as Frame;
    assert.throws(() => late.data, SyntaxError);
  });

  it('of the log is read for the lines that are shown, and not before', () => {
    const log = new EventLog();
    let read = 0;
    const counted = (sequence: number): Frame => {
      const message = messageOf(
        faults(
          Array.from({ length: 50 }, (_, i) => `${sequence}-${i}`),
          sequence,
        ),
      ) as Frame;
      return Object.create(message, {
        data: {
          get() {
            read++;
            return message.data;
          },
        },
      }) as Frame;
    };
    for (let sequence = 1; sequence <= 10; sequence++) log.take(counted(sequence));
    assert.equal(read, 0);
    const lines = log.lines();
    assert.equal(read, 2);
    assert.deepEqual([lines[0]?.what, lines[50]?.what, lines.length], ['10-49', '9-49', 60]);
    assert.deepEqual(log.lines(), lines);
    assert.equal(read, 2);
  });
});

describe('the lines of a log', () => {
  const line = (serial: number): LogLine => ({ serial, kind: 'fault', timeNs: 0, what: '', text: '', more: '' });
  const list = (from: number, to: number) => Array.from({ length: from - to + 1 }, (_, i) => line(from - i));

  it('come a few at a time, the oldest of the new ones first, until they are those that are wanted', () => {
    const wanted = list(30, 11);
    let shown: readonly LogLine[] = list(20, 1);
    const newest: number[] = [];
    while (shown !== wanted) {
      shown = towards(shown, wanted, 4);
      newest.push(shown[0]?.serial as number);
      assert.equal(shown.length, 20);
    }
    assert.deepEqual(newest, [24, 28, 30]);
  });

  it('are those that are wanted at once where few or none are new, or none are left', () => {
    assert.equal(towards(list(20, 1), list(19, 10), 4).length, 10);
    assert.deepEqual(towards(list(20, 1), [], 4), []);
    assert.equal(towards([], list(9, 1), 4).length, 4);
  });
});

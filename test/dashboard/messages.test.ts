/** Messages of a stream that are read when somebody asks for what is in them, and the lines of a log that come a few at a time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EventLog, type LogLine, towards } from '../../src/dashboard/live/log.ts';
import { type Frame, isFrame, messageOf } from '../../src/dashboard/resume.ts';

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

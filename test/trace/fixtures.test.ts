import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { payloads } from '../../src/trace/payloads/index.ts';
import { importText, isBalanced } from './events.ts';
import { FIXTURES } from './fixtures.ts';

const shown = (line: string): string => line.trim().replaceAll(/\s+/g, ' ').slice(0, 90);

describe('a line that was printed, or made up from its format, becomes what it says', () => {
  for (const { format, line, becomes, time, source, synthetic } of FIXTURES)
    it(`${format}${synthetic ? ', synthetic' : ''}: ${shown(line)}`, () => {
      assert.ok(source.length > 0);
      for (const ended of [line, `${line}\n`, `${line}\r\n`]) {
        const { events, summary } = importText(ended, { format });
        assert.ok(isBalanced(summary));
        if (typeof becomes === 'string') {
          assert.deepEqual(summary.lines.skipped, [{ reason: becomes, count: 1, firstLine: 1 }]);
          assert.deepEqual(events, []);
          continue;
        }
        assert.deepEqual(summary.lines.skipped, []);
        assert.deepEqual(
          events.map(({ timeNs, line: number, ...rest }) => {
            assert.equal(number, 1);
            assert.ok((timeNs as number) >= 0);
            return rest;
          }),
          becomes ?? [],
        );
        if (time !== undefined && becomes !== null)
          assert.deepEqual(summary.origin, { seconds: time[0], nanoseconds: time[1] });
      }
    });

  it('and every event that is understood has such a line', () => {
    const missing = payloads.filter(({ name }) => !FIXTURES.some(({ line }) => line.includes(` ${name}: `)));
    assert.deepEqual(
      missing.map(({ name }) => name),
      [],
    );
  });
});

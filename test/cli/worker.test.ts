/** `worker`: what it refuses before it looks for a queue. That it computes is shown with a real Redis (`test-redis/`). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Command, lab } from './command.ts';

describe('worker refuses, with 2 and without repeating a password,', () => {
  const cases: [string, string[], Record<string, string>, RegExp][] = [
    ['no address', [], {}, /Where is the queue\? Say --redis/],
    ['an address that is none', ['--redis', 'http://user:secret@host'], {}, /The address of the queue is none/],
    [
      'one of the environment',
      [],
      { IOMMU_LAB_REDIS_URL: 'redis://:secret@host/a/b' },
      /The address of the queue is none/,
    ],
    [
      'a number of jobs',
      ['--redis', 'redis://h', '--concurrency', 'all'],
      {},
      /--concurrency is "all"; allowed is a whole/,
    ],
  ];
  for (const [what, words, env, says] of cases)
    test(what, async () => {
      const { code, out, err } = await lab(['worker', ...words], { env });
      assert.deepEqual([code, out], [2, '']);
      assert.match(err, says);
      assert.ok(!err.includes('secret'));
    });
});

test('a worker without its queue goes on trying, and ends with 0 when it is told to', async () => {
  const command = new Command(['worker', '--redis', 'redis://127.0.0.1:1', '--concurrency', '1']);
  await command.hears(/cannot be worked off|ECONNREFUSED/);
  command.child.kill('SIGTERM');
  const { code, out } = await command.ended();
  assert.deepEqual([code, out], [0, '']);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redisAddress, Troubles } from '../../../src/lab/queue/redis.ts';

test('an address has host, port, database, user, password and TLS, each as URLs write them', () => {
  assert.deepEqual(redisAddress('redis://queue.example'), {
    options: { host: 'queue.example', port: 6379, db: 0 },
    shown: 'redis://queue.example:6379',
  });
  assert.deepEqual(redisAddress('rediss://lab:p%40%3A%2Fss@[fd00::1]:7000/3'), {
    options: {
      host: 'fd00::1',
      port: 7000,
      db: 3,
      username: 'lab',
      password: 'p@:/ss',
      tls: { servername: 'fd00::1' },
    },
    shown: 'rediss://[fd00::1]:7000/3',
  });
});

test('what is shown of an address never has user or password', () => {
  const { shown } = redisAddress('redis://someone:s3cret@h:1/0')!;
  assert.equal(shown, 'redis://h:1/0');
});

test('what is no address, or says what would be ignored, is none', () => {
  for (const text of [
    '',
    'h:6379',
    'http://h',
    'redis://',
    'redis://h/x',
    'redis://h/1/2',
    'redis://h?family=6',
    'redis://h#x',
    'redis://h:99999',
    'redis://:%zz@h',
    7,
    null,
    ['redis://h'],
  ])
    assert.equal(redisAddress(text), null, String(text));
});

test('trouble that goes on is told once, other trouble at once, and the latest is known until it is over', () => {
  const told: unknown[] = [];
  const logger = { info() {}, error() {}, warn: (fields: object) => told.push(fields) };
  const troubles = new Troubles(logger, 'the queue is away');
  for (let i = 0; i < 1000; i++) troubles.tell(new Error('ECONNREFUSED'));
  troubles.tell(new Error('OOM'));
  assert.deepEqual(told, [{ reason: 'ECONNREFUSED' }, { reason: 'OOM' }]);
  assert.equal(troubles.latest, 'OOM');
  troubles.over();
  assert.equal(troubles.latest, '');
});

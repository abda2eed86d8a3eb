import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopbackName, isWildcard, parseAuthority } from '../../src/server/host-names.ts';

test('a Host is read whatever its case, final dot, brackets and port', () => {
  assert.deepEqual(parseAuthority('LocalHost:8080'), { name: 'localhost', port: '8080' });
  assert.deepEqual(parseAuthority('localhost.'), { name: 'localhost', port: '' });
  assert.deepEqual(parseAuthority('[::1]:80'), { name: '::1', port: '80' });
  assert.deepEqual(parseAuthority('127.0.0.1:'), { name: '127.0.0.1', port: '' });
  for (const text of [
    '',
    'a b',
    'user@localhost',
    'localhost:99999',
    '::1',
    '[::1',
    '[zz]',
    'localhost/x',
    '.',
    'localhost:80:80',
  ]) {
    assert.equal(parseAuthority(text), null, text);
  }
});

test('loopback is localhost and below, 127.0.0.0/8 and ::1 in every spelling, and nothing that only looks like it', () => {
  for (const name of [
    'localhost',
    'a.localhost',
    '127.0.0.1',
    '127.9.8.7',
    '::1',
    '0:0:0:0:0:0:0:1',
    '::ffff:127.0.0.1',
  ]) {
    assert.equal(isLoopbackName(name), true, name);
  }
  for (const name of [
    'localhost.evil.example',
    'notlocalhost',
    '127.0.0.1.evil.example',
    '128.0.0.1',
    '0.0.0.0',
    '::',
    '::2',
    '1::1',
  ]) {
    assert.equal(isLoopbackName(name), false, name);
  }
});

test('a wildcard is an address of zeros only', () => {
  for (const host of ['0.0.0.0', '::', '0:0:0:0:0:0:0:0']) assert.equal(isWildcard(host), true, host);
  for (const host of ['::1', '127.0.0.1', 'localhost', '0.0.0.1']) assert.equal(isWildcard(host), false, host);
});

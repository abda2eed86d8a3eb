import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { fill, hashOf, match, placeOf } from '../../src/dashboard/router.ts';

describe('a place', () => {
  it('is read from what stands behind #, and anything else is the start page', () => {
    assert.deepEqual(placeOf('#/sessions/a?state=idle&name=b*'), {
      path: '/sessions/a',
      query: { state: 'idle', name: 'b*' },
    });
    for (const hash of ['', '#', '#main', 'x', '#?a=1']) assert.equal(placeOf(hash).path, '/', hash);
  });

  it('comes back from its own link, whatever stands in the query', () => {
    const value = fc.string({ minLength: 1, unit: 'grapheme' });
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), value), (query) => {
        assert.deepEqual(placeOf(hashOf('/sessions', query)), { path: '/sessions', query: { ...query } });
      }),
    );
  });

  it('has one link: what is empty is left out', () => {
    assert.equal(hashOf('/sessions', { state: '', name: undefined }), '#/sessions');
  });
});

describe('a pattern', () => {
  it('takes names from a path, and refuses one of another length or with other words', () => {
    assert.deepEqual(match('/sessions/:session/live', '/sessions/first/live'), { session: 'first' });
    assert.deepEqual(match('/sessions', '/sessions/'), {});
    for (const path of ['/sessions', '/sessions/first', '/sessions/first/space', '/sessions/first/live/x'])
      assert.equal(match('/sessions/:session/live', path), null, path);
  });

  it('refuses what is no percent-encoding, instead of throwing', () => {
    assert.equal(match('/sessions/:session', '/sessions/%zz'), null);
  });

  it('is filled with what it takes', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (session) => {
        assert.deepEqual(match('/s/:session/x', fill('/s/:session/x', { session })), { session });
      }),
    );
  });
});

/** The address: what is written into it leaves alone where a link has led meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Place } from '../../src/dashboard/router.ts';

/** Of a module for browsers, whose types these tests do not have. */
interface LocationModule {
  place: { value: Place };
  go(path: string): void;
  setQuery(change: Record<string, string>): void;
}

test('a query that comes behind a followed link changes neither where it leads nor what it chose', async () => {
  let heard = (): void => undefined;
  const location = { hash: '#/new?view=json' };
  const history = { replaceState: (_state: null, _title: string, hash: string) => void (location.hash = hash) };
  const window = { addEventListener: (_name: string, listener: () => void) => void (heard = listener) };
  Object.assign(globalThis, { location, history, window });
  const module = new URL('../../src/dashboard/location.ts', import.meta.url);
  const { go, place, setQuery } = (await import(module.href)) as LocationModule;

  setQuery({ spec: '{}' });
  assert.deepEqual(place.value, { path: '/new', query: { view: 'json', spec: '{}' } });
  // A click on the tab, of which the page has not heard when the check of the spec ends.
  location.hash = '#/new?spec=%7B%7D';
  setQuery({ spec: '{"a":1}' });
  heard();
  assert.deepEqual(place.value, { path: '/new', query: { spec: '{"a":1}' } });
  go('/sessions');
  setQuery({ spec: '{"a":2}' });
  heard();
  assert.deepEqual(place.value, { path: '/sessions', query: {} });
});

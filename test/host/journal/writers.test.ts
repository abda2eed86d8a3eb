/** Writers in other threads: the main thread hears of their writes, and one that has lost something loses all that follows. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { JournalClient } from '../../../src/host/journal/client.ts';
import { JournalDatabase } from '../../../src/host/journal/database.ts';
import { Journal } from '../../../src/host/journal/journal.ts';
import type { Change, SessionRow } from '../../../src/host/journal/rows.ts';
import { until } from '../hosts.ts';
import { folderFor } from './folders.ts';

const row = (number: number): SessionRow => ({
  number,
  id: `ses_${number}`,
  owner: 'local',
  createdAt: '2026-01-01T00:00:00.000Z',
  coreVersion: '1',
  spec: {},
});
const append = (number: number, text: string): Change => ({
  do: 'append',
  number,
  body: new TextEncoder().encode(text),
  reset: false,
});

test('after a write that failed none of the same writer is kept, and another writer goes on', async (t) => {
  const path = join(folderFor(t), 'sessions.sqlite');
  const troubles: (string | null)[] = [];
  const journal = await Journal.open(path, 'never', {
    trouble: (reason) => troubles.push(reason),
    died: assert.fail,
    sizes() {},
  });
  assert.equal(await journal.write({ do: 'add', session: row(1) }, { do: 'add', session: row(2) }), null);
  const told: string[] = [];
  const clientOf = (name: string): JournalClient =>
    new JournalClient(journal.port((ticket, failure) => told.push(`${name}${ticket} ${failure === null}`)));
  const [one, other] = [clientOf('one'), clientOf('other')];
  one.send([append(1, 'first\n')]);
  await until('the first is there', () => told.length === 1);
  // A number that is taken.
  one.send([append(1, 'second\n'), { do: 'add', session: row(2) }]);
  await until('the second is refused', () => told.length === 2);
  one.send([append(1, 'third\n')]);
  one.send([append(1, 'fourth\n')]);
  other.send([append(2, 'fifth\n')]);
  await until('the others are heard of', () => told.some((each) => each.startsWith('other')));
  const { bodies } = await journal.read({ of: 'stretch', number: 1, after: 0 });
  assert.deepEqual(
    bodies.map((body) => new TextDecoder().decode(body)),
    ['first\n'],
  );
  // Of one failure, which is the writer's end.
  assert.deepEqual(told, ['one1 true', 'one2 false', 'other1 true']);
  assert.equal(troubles.length, 1);
  await journal.close();
  const database = new JournalDatabase(path, 'never');
  database.sessions();
  assert.equal(database.stretch(2, 0).bodies.length, 1);
  assert.equal(database.stretch(1, 0).bodies.length, 1);
  database.close();
});

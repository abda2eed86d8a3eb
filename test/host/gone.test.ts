/** What is read in parts and is deleted or reset in between: a reason, and never parts of two histories. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reasonOf } from '../../routes/problem-replies.ts';
import { Gone } from '../../src/host/gone.ts';
import { type HistoryRecord, historyOf } from '../../src/host/history.ts';
import type { HostProblem } from '../../src/host/host.ts';
import type { Journal } from '../../src/host/journal/journal.ts';
import type { Stretch } from '../../src/host/journal/rows.ts';
import { accepted, textOf } from './hosts.ts';
import { folderFor, hostOn } from './journal/folders.ts';

const advance = { op: 'advance', ns: 1 } as const;
const isGone =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof Gone && error.problem.code === code && reasonOf(error) === error.problem;

async function all(records: AsyncIterable<HistoryRecord[]>): Promise<HistoryRecord[]> {
  const told: HistoryRecord[] = [];
  for await (const some of records) told.push(...some);
  return told;
}

test('a history whose session is deleted before it is read says that there is no such session', async (t) => {
  const host = await hostOn(t, folderFor(t));
  await accepted(host.create({ name: 's' }));
  await accepted(host.apply('s', advance));
  const { records } = await accepted(host.history('s'));
  assert.deepEqual(await all(records), [advance]);
  const late = await accepted(host.history('s'));
  await accepted(host.delete('s'));
  // Another of that name is not the same.
  await accepted(host.create({ name: 's' }));
  await assert.rejects(all(late.records), isGone('unknown-session'));
});

test('a snapshot that is deleted before it is downloaded says that there is no such snapshot', async (t) => {
  const host = await hostOn(t, folderFor(t));
  for (const withState of [true, false]) {
    await accepted(host.create({ name: 's' }));
    await accepted(host.apply('s', advance));
    const { id } = await accepted(host.takeSnapshot('s', {}));
    const text = await accepted(host.downloadSnapshot('s', id, withState));
    await accepted(host.deleteSnapshot('s', id));
    await assert.rejects(textOf(text), isGone('unknown-snapshot'));
    const other = await accepted(host.takeSnapshot('s', {}));
    const late = await accepted(host.downloadSnapshot('s', other.id, withState));
    await accepted(host.delete('s'));
    await assert.rejects(textOf(late), isGone('unknown-snapshot'));
  }
});

test('a history whose session is reset while it is read does not go on with what comes after', async () => {
  const stretches = (...bases: number[]): Journal => {
    const body = new TextEncoder().encode(`${JSON.stringify(advance)}\n`);
    const read = async ({ after }: { after: number }): Promise<Stretch> => {
      const base = bases[after];
      if (base === undefined) throw new Error('there is no session number 1');
      return { bodies: [body], base, inherited: false, after: after + 1 < 3 ? after + 1 : null };
    };
    return { read } as unknown as Journal;
  };
  const there = (): null => null;
  assert.equal((await all(historyOf(stretches(1, 1, 1), 1, there))).length, 3);
  await assert.rejects(all(historyOf(stretches(1, 1, 5), 1, there)), isGone('session-reset'));
  const deleted = (): HostProblem => ({ code: 'unknown-session', detail: '' });
  await assert.rejects(all(historyOf(stretches(1, 1), 1, deleted)), isGone('unknown-session'));
  await assert.rejects(all(historyOf(stretches(1, 1), 1, there)), /there is no session number 1/);
});

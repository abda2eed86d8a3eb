/** The audit log as a file: order, pages, rotation, what a crash or a full disk leaves. */
import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type AuditEntry, AuditLog, type AuditPosition } from '../../src/access/audit.ts';
import { temporaryFolder } from './guarded-server.ts';

const entry = (status: number, pad = ''): AuditEntry => ({
  time: '2026-01-01T00:00:00.000Z',
  principal: 'alice',
  credential: 'tok_1',
  action: `advanceTime${pad}`,
  status,
  requestId: 'r',
});

function allOf(log: AuditLog, limit: number): number[] {
  const seen: number[] = [];
  let before: AuditPosition | undefined;
  for (;;) {
    const { items, next } = log.page(limit, before);
    seen.push(...items.map(({ status }) => status));
    if (next === null) return seen;
    assert.equal(items.length, limit);
    before = next;
  }
}

test('pages of any size tell all lines once, newest first, across files and blocks', (context) => {
  const folder = temporaryFolder(context);
  const log = new AuditLog(folder, { fileBytes: 100_000, files: 99 });
  // Long ones go over the blocks in which a file is read backwards.
  for (let i = 0; i < 400; i++) {
    log.append(entry(i, 'é'.repeat((i * 37) % 1500)));
    log.flush();
  }
  assert.ok(readdirSync(folder).length > 2);
  const expected = Array.from({ length: 400 }, (_, i) => 399 - i);
  for (const limit of [1, 7, 399, 400, 1000]) assert.deepEqual(allOf(log, limit), expected, String(limit));
  const { next } = log.page(5);
  log.append(entry(1000));
  assert.deepEqual(
    log.page(2, next!).items.map(({ status }) => status),
    [394, 393],
    'what comes meanwhile shifts nothing',
  );
  log.close();
});

test('a full file is followed by another, and the oldest goes', (context) => {
  const folder = temporaryFolder(context);
  const log = new AuditLog(folder, { fileBytes: 200, files: 3 });
  for (let i = 0; i < 20; i++) {
    log.append(entry(i));
    log.flush();
  }
  log.close();
  const numbers = readdirSync(folder)
    .map((name) => Number(/[0-9]+/.exec(name)?.[0]))
    .sort((a, b) => a - b);
  assert.equal(numbers.length, 3);
  assert.deepEqual(numbers, [numbers[0]!, numbers[0]! + 1, numbers[0]! + 2]);
  const again = new AuditLog(folder, { fileBytes: 200, files: 3 });
  const seen = allOf(again, 100);
  assert.equal(seen[0], 19);
  // A cursor into a file that has gone is at the end.
  assert.deepEqual(again.page(10, { file: 1, offset: 50 }).items, []);
});

test('a line that a crash cut short is passed over, and the next one is whole', (context) => {
  const folder = temporaryFolder(context);
  const log = new AuditLog(folder);
  log.append(entry(1));
  log.close();
  appendFileSync(join(folder, 'audit-1.jsonl'), '{"time":"2026-01-01T00:0');
  const next = new AuditLog(folder);
  next.append(entry(2));
  assert.deepEqual(allOf(next, 10), [2, 1]);
  next.close();
  assert.equal(readFileSync(join(folder, 'audit-1.jsonl'), 'utf8').trim().split('\n').length, 3);
});

test('where nothing can be written the server goes on, and is told once; the next line says how many are missing', (context) => {
  const folder = temporaryFolder(context);
  rmSync(folder, { recursive: true });
  writeFileSync(folder, 'a file where the folder was');
  const errors: unknown[] = [];
  const log = new AuditLog(folder, {}, (error) => errors.push(error));
  for (let i = 0; i < 3; i++) {
    log.append(entry(i));
    log.flush();
  }
  assert.equal(errors.length, 1);
  rmSync(folder);
  const place = temporaryFolder(context);
  Object.assign(log, { folder: place });
  log.append(entry(9));
  const { items } = log.page(10);
  assert.equal(items[0]?.status, 9);
  assert.equal((items[1] as unknown as { missing: number }).missing, 3);
  log.close();
});

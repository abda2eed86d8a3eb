/** Who goes when: jobs that have a worker to themselves, and jobs for which there is room in Redis. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { jobIdOf, keyOfId } from '../../../src/lab/queue/bounds.ts';
import { signOf, slotsOf } from '../../../src/lab/queue/commands.ts';
import { Room } from '../../../src/lab/queue/room.ts';
import { Turns } from '../../../src/lab/queue/turns.ts';

test('one that is to be alone waits for all before it, and all after it wait for its end', async () => {
  const turns = new Turns();
  const inside: string[] = [];
  const leave: Record<string, () => void> = {};
  const enter = (name: string, alone: boolean) =>
    turns.enter(alone).then((left) => {
      inside.push(name);
      leave[name] = () => {
        inside.splice(inside.indexOf(name), 1);
        left();
        left();
      };
    });
  for (const [name, alone] of [
    ['a', false],
    ['b', false],
    ['C', true],
    ['d', false],
    ['E', true],
    ['F', true],
  ] as const)
    enter(name, alone);
  const now = async () => {
    await turn();
    return inside.join('');
  };
  assert.equal(await now(), 'ab');
  leave.a!();
  assert.equal(await now(), 'b');
  leave.b!();
  assert.equal(await now(), 'C');
  leave.C!();
  assert.equal(await now(), 'd');
  leave.d!();
  assert.equal(await now(), 'E');
  leave.E!();
  assert.equal(await now(), 'F');
  leave.F!();
  enter('g', false);
  enter('h', false);
  assert.equal(await now(), 'gh');
});

test('there is room for so many bytes, in order, and for one that is larger than all of it', () => {
  const room = new Room(10);
  const entered: string[] = [];
  const enter = (id: string, bytes: number) => room.enter(id, bytes, () => entered.push(id));
  enter('a', 6);
  enter('b', 5);
  enter('c', 1);
  assert.deepEqual([entered, room.has('a'), room.has('b')], [['a'], true, false]);
  room.leave('a');
  assert.deepEqual(entered, ['a', 'b', 'c']);
  enter('huge', 100);
  room.leave('b');
  assert.equal(room.has('huge'), false);
  room.leave('c');
  assert.equal(room.has('huge'), true);
  enter('d', 1);
  enter('e', 10);
  room.leave('d');
  room.leave('huge');
  assert.deepEqual([room.has('d'), room.has('e')], [false, true]);
});

test('a worker counts for what its sign says, within reason', () => {
  assert.equal(slotsOf(signOf(8, 'host-1-x')), 8);
  assert.equal(slotsOf('9999:x'), 1024);
  for (const sign of ['', 'x', '0:x', '-1:x', '12345:x', ' 8:x', '8']) assert.equal(slotsOf(sign), 0, sign);
});

test("an id is a job's key and the core's version, and nothing else is an id", () => {
  const key = '0123456789abcdef'.repeat(4);
  assert.equal(keyOfId(jobIdOf(key)), key);
  for (const id of [
    key,
    `${key}-0`,
    `${jobIdOf(key)}\n`,
    `../${jobIdOf(key)}`,
    jobIdOf(key.toUpperCase()),
    '',
    7,
    undefined,
  ])
    assert.equal(keyOfId(id), null, String(id));
});

/** Tapes of a thread: open as long as somebody uses them, so many at most, and read on by whoever still has one that is not. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { RecordedEvents } from '../../src/core/devices/replay/source.ts';
import { Tapes } from '../../src/host/recordings.ts';
import { tracesFolder } from '../../src/trace/archive/uses.ts';
import { accepted, runEnd } from './hosts.ts';
import { folderFor, hostOn } from './journal/folders.ts';
import { tapeIn } from './tapes.ts';

const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Files of tapes that this process has open, its threads included; null where that cannot be seen. */
function openHandles(where: string): number | null {
  let names: string[];
  try {
    names = readdirSync('/proc/self/fd');
  } catch {
    return null;
  }
  return names.filter((name) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${name}`);
      return path.startsWith(where) && path.includes('.tape');
    } catch {
      // Closed since, as the folder that was read is.
      return false;
    }
  }).length;
}

function timesOf(tape: RecordedEvents): number[] {
  return Array.from({ length: tape.count }, (_, i) => {
    tape.load(i);
    return tape.timeNs;
  });
}

const SKIP = openHandles(folder) === null ? { skip: 'open files cannot be seen here' } : {};

describe('tapes of a thread', SKIP, () => {
  const digests = Array.from({ length: 6 }, (_, i) => tapeIn(folder, 2000 + i));

  test('are open once for all who use them, until the last one leaves', () => {
    const tapes = new Tapes(folder);
    const of = (session: string) => tapes.of(session).open(digests[0]!)!;
    assert.equal(of('ses_1'), of('ses_2'));
    of('ses_1');
    assert.equal(openHandles(folder), 1);
    tapes.leave('ses_1');
    assert.equal(openHandles(folder), 1);
    tapes.leave('ses_1');
    tapes.leave('ses_3');
    assert.equal(openHandles(folder), 1);
    tapes.leave('ses_2');
    assert.equal(openHandles(folder), 0);
    of('ses_4');
    assert.equal(openHandles(folder), 1);
    tapes.leave('ses_4');
  });

  test('are so many at most; those that no session uses go first, then those that were wanted longest ago', () => {
    const tapes = new Tapes(folder, 3);
    tapes.of('ses_1').open(digests[0]!);
    tapes.of(null).open(digests[1]!);
    tapes.of('ses_1').open(digests[2]!);
    assert.equal(openHandles(folder), 3);
    tapes.of('ses_2').open(digests[3]!);
    assert.equal(openHandles(folder), 3);
    const known = tapes.of('ses_1').open(digests[0]!);
    tapes.of('ses_1').open(digests[4]!);
    // The one that ses_1 has wanted twice is still the same.
    assert.equal(tapes.of('ses_1').open(digests[0]!), known);
    assert.equal(openHandles(folder), 3);
    for (const session of ['ses_1', 'ses_2']) tapes.leave(session);
    assert.equal(openHandles(folder), 0);
  });

  test('are read to their end by who still has one that is parked, and hold no file between two reads', () => {
    const [fresh, parked] = [new Tapes(folder, 1), new Tapes(folder, 1)];
    const expected = timesOf(fresh.of('ses_1').open(digests[0]!)!);
    fresh.leave('ses_1');
    const tape = parked.of('ses_1').open(digests[0]!)!;
    tape.load(0);
    parked.of('ses_1').open(digests[1]!);
    assert.equal(openHandles(folder), 1);
    assert.deepEqual(timesOf(tape), expected);
    assert.equal(openHandles(folder), 1);
    parked.leave('ses_1');
    assert.equal(openHandles(folder), 0);
  });
});

test('a worker closes the tape of a session that rests or is deleted, and opens it again', SKIP, async (t) => {
  const data = folderFor(t);
  const where = tracesFolder(data);
  const recording = tapeIn(where, 300);
  const host = await hostOn(t, data, { traces: where, workers: 1, limits: { idleMs: 200 } });
  const spec = (name: string) => ({
    name,
    devices: [{ name: 'nic0', kind: 'replay' }],
    workloads: [{ kind: 'replay', device: 'nic0', trace: 'it', recording }],
  });
  const settles = async (count: number) => {
    for (let i = 0; i < 400 && openHandles(where) !== count; i++) await new Promise((done) => setTimeout(done, 25));
    assert.equal(openHandles(where), count);
  };
  const first = await accepted(host.create(spec('first')));
  assert.equal(openHandles(where), 1);
  const second = await accepted(host.create(spec('second')));
  assert.equal(openHandles(where), 1);
  // Both rest after a while.
  await settles(0);
  await accepted(host.startRun(first.id, { forNs: 1_000_000 }));
  assert.equal(openHandles(where), 1);
  await runEnd(host, first.id, 'run_1');
  await accepted(host.delete(first.id));
  await accepted(host.delete(second.id));
  await settles(0);
});

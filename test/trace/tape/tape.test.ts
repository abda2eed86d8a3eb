import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { ABSENT, EVENT_KINDS, type EventKind, type RecordedEvent } from '../../../src/trace/event.ts';
import { openTape, TapeError, TapeReader, TapeWriter } from '../../../src/trace/tape.ts';
import { blankEvent, dice, randomEvent } from './events.ts';

const folder = mkdtempSync(join(tmpdir(), 'tape-'));
after(() => rmSync(folder, { recursive: true }));
let files = 0;
const newPath = () => join(folder, `${++files}.tape`);

const DEVICES = ['0000:c2:00.0', '0000:00:1f.2', 'dmar0', 'ünïcode "device"'];

interface Written {
  path: string;
  events: RecordedEvent[];
  /** Both ways. */
  partners: number[];
  joined: number[];
  digest: string;
}

const isHalf = (kind: number) => kind === EVENT_KINDS.iommuMap || kind === EVENT_KINDS.iommuUnmap;

/** @returns the tape's path and, in plain memory, what it should hold */
function write(count: number, seed: number): Written {
  const path = newPath();
  const throwDice = dice(seed);
  const writer = new TapeWriter(path);
  for (const name of DEVICES) writer.device(name);
  const events: RecordedEvent[] = [];
  const partners: number[] = Array(count).fill(ABSENT);
  const joined: number[] = Array(count).fill(ABSENT);
  const siblings: [number, number][] = [];
  for (let index = 0; index < count; index++) {
    const event = randomEvent(throwDice, DEVICES.length, index + 1);
    // Half of them lead back not far, the others anywhere.
    const back = () => index - 1 - throwDice(Math.max(1, throwDice(2) === 0 ? Math.min(index, 50) : index));
    const begun = throwDice(3) > 0 ? back() : ABSENT;
    if (begun >= 0 && partners[begun] === ABSENT) {
      event.partner = begun;
      partners[begun] = index;
      partners[index] = begun;
    }
    const first = throwDice(2) > 0 ? back() : ABSENT;
    const ofFirst = events[first];
    if (isHalf(event.kind) && ofFirst !== undefined && ofFirst.call === ABSENT) {
      // Of a call before it, or of one that is still to come and that its first half will know.
      event.call = first;
      if (isHalf(ofFirst.kind)) siblings.push([index, first]);
      else joined[index] = first;
    } else if (ofFirst !== undefined && isHalf(ofFirst.kind) && ofFirst.call === ABSENT && joined[first] === ABSENT) {
      event.call = first;
      joined[first] = index;
    }
    events.push({ ...event });
    assert.equal(writer.count, index);
    writer.event(event);
  }
  for (const [half, first] of siblings) joined[half] = joined[first] as number;
  const seal = writer.seal({ lines: count });
  assert.equal(seal.records, count);
  assert.equal(seal.bytes, readFileSync(path).length);
  return { path, events, partners, joined, digest: seal.digest };
}

function refusal(code: string, offset?: number | null): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof TapeError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, new RegExp(`^${error.path}`));
    if (offset !== undefined) assert.equal(error.offset, offset);
    return true;
  };
}

describe('A tape', () => {
  it('gives back every field of every event, in order and at random, whatever fits its cache', () => {
    // None, one, a page less one, a page, a page and one, more than are written at a time, and more than stay in memory.
    for (const count of [0, 1, 779, 780, 781, 780 * 17 + 5, 780 * 530]) {
      const { path, events, partners, joined, digest } = write(count, 7 + count);
      const tape = new TapeReader(path, 2);
      const into = blankEvent();
      assert.equal(tape.count, count);
      assert.equal(tape.digest, digest);
      assert.deepEqual(tape.devices, DEVICES);
      assert.deepEqual(tape.summary, { lines: count });
      for (let index = 0; index < count; index++) {
        tape.read(index, into);
        // `deepEqual` of each of many takes long.
        if (index % 97 === 0) assert.deepEqual({ ...into }, events[index]);
        else assert.equal(Object.values(into).join(), Object.values(events[index] as RecordedEvent).join());
        assert.equal(tape.partner, partners[index]);
        assert.equal(tape.joined, joined[index]);
      }
      const throwDice = dice(99);
      for (let turn = 0; turn < Math.min(count, 500); turn++) {
        const index = throwDice(count);
        tape.read(index, into);
        assert.deepEqual({ ...into }, events[index]);
        assert.equal(tape.partner, partners[index]);
        assert.equal(tape.joined, joined[index]);
      }
      tape.verify();
      assert.throws(() => tape.read(count, into), RangeError);
      assert.throws(() => tape.read(-1, into), RangeError);
      tape.close();
    }
  });

  it('has a digest that depends on its events and devices and on nothing else', () => {
    assert.equal(write(1000, 3).digest, write(1000, 3).digest);
    assert.notEqual(write(1000, 3).digest, write(1000, 4).digest);
    const digestWith = (names: string[], summary: unknown) => {
      const writer = new TapeWriter(newPath());
      for (const name of names) writer.device(name);
      writer.event(blankEvent());
      return writer.seal(summary).digest;
    };
    assert.equal(digestWith(['a'], {}), digestWith(['a'], { other: 'summary' }));
    assert.notEqual(digestWith(['a'], {}), digestWith(['b'], {}));
  });

  it('finds links that came a million at a time and later than the pages that they belong to', () => {
    const path = newPath();
    const writer = new TapeWriter(path);
    const half = 1_300_000;
    const event = { ...blankEvent(), kind: EVENT_KINDS.iommuMap as EventKind };
    for (let index = 0; index < half; index++) writer.event(event);
    // Backwards, so that they do need sorting: those of the first 900,000 come when their pages are on the disk.
    event.kind = EVENT_KINDS.unmap;
    const endOf = new Map<number, number>();
    const callOf = new Map<number, number>();
    for (let begun = half - 1; begun >= 0; begun--) {
      if (begun % 5 === 0) continue;
      event.partner = begun;
      event.call = begun % 1000 === 1 ? begun : ABSENT;
      endOf.set(begun, writer.count);
      if (event.call !== ABSENT) callOf.set(begun, writer.count);
      writer.event(event);
    }
    writer.seal({});
    const tape = new TapeReader(path);
    for (let index = 0; index < half; index += 331) {
      tape.load(index);
      assert.equal(tape.partner, endOf.get(index) ?? ABSENT, `event ${index}`);
    }
    for (let index = 1; index < half; index += 500) {
      tape.load(index);
      assert.equal(tape.joined, callOf.get(index) ?? ABSENT, `event ${index}`);
    }
    tape.verify();
    tape.close();
    assert.ok(!existsSync(`${path}.late`));
  });

  it('keeps who ended an event first, where two say that they did', () => {
    const writer = new TapeWriter(newPath());
    writer.event(blankEvent());
    writer.event({ ...blankEvent(), kind: EVENT_KINDS.unmap, partner: 0 });
    writer.event({ ...blankEvent(), kind: EVENT_KINDS.unmap, partner: 0 });
    writer.seal({});
    const tape = openTape(join(folder, `${files}.tape`));
    const partners = [0, 1, 2].map((index) => {
      tape.load(index);
      return tape.partner;
    });
    assert.deepEqual(partners, [1, 0, 0]);
    tape.close();
  });

  it('keeps the notes of our own exports, as many as there may be', () => {
    const path = newPath();
    const writer = new TapeWriter(path);
    writer.note('seed=7', 3);
    writer.note('x'.repeat(70_000), 4);
    for (let line = 5; line < 2_000; line++) writer.note('again', line);
    writer.seal({});
    const { notes } = openTape(path);
    assert.deepEqual(notes.slice(0, 2), [
      { text: 'seed=7', line: 3 },
      { text: 'again', line: 5 },
    ]);
    assert.equal(notes.length, 1000);
  });

  it('numbers devices as they are first seen', () => {
    const writer = new TapeWriter(newPath());
    assert.deepEqual([writer.device('a'), writer.device('b'), writer.device('a')], [0, 1, 0]);
    writer.abandon();
  });

  it('tells damage anywhere, with file and offset', () => {
    const { path } = write(780 * 3, 11);
    const whole = readFileSync(path);
    const readAll = () => {
      const tape = openTape(path);
      try {
        const into = blankEvent();
        for (let index = 0; index < tape.count; index++) tape.read(index, into);
        tape.verify();
      } finally {
        tape.close();
      }
    };
    const throwDice = dice(5);
    const spots = [0, 9, 4095, 4096, 4096 + 65_535, 4096 + 65_536 + 1, whole.length - 1, whole.length - 96];
    for (let turn = 0; turn < 200; turn++) spots.push(throwDice(whole.length));
    for (const spot of spots) {
      const damaged = Buffer.from(whole);
      damaged[spot] = (damaged[spot] as number) ^ (1 << throwDice(8));
      writeFileSync(path, damaged);
      assert.throws(readAll, (error) => error instanceof TapeError && error.message.startsWith(path), `byte ${spot}`);
    }
    const inPage = Buffer.from(whole);
    inPage[4096 + 65_536 + 100] ^= 1;
    writeFileSync(path, inPage);
    assert.throws(readAll, refusal('damaged', 4096 + 65_536));
    writeFileSync(path, whole);
    readAll();
  });

  it('tells pages that changed places, though each fits its sum', () => {
    const { path } = write(780 * 2, 12);
    const bytes = readFileSync(path);
    const first = Buffer.from(bytes.subarray(4096, 4096 + 65_536));
    bytes.copy(bytes, 4096, 4096 + 65_536, 4096 + 2 * 65_536);
    first.copy(bytes, 4096 + 65_536);
    writeFileSync(path, bytes);
    assert.throws(() => openTape(path).read(0, blankEvent()), refusal('damaged', 4096));
  });

  it('that was cut short is refused, wherever it was cut', () => {
    const { path } = write(780 + 3, 13);
    const { length } = readFileSync(path);
    for (const cut of [1, 95, 96, 200, 65_536, 100_000, length - 4096, length - 10, length]) {
      const short = write(780 + 3, 13).path;
      truncateSync(short, length - cut);
      assert.throws(
        () => openTape(short),
        (error) => error instanceof TapeError && (error.code === 'unsealed' || error.code === 'damaged'),
        `${cut} bytes less`,
      );
    }
  });

  it('of another version is refused by name', () => {
    const { path } = write(3, 14);
    const bytes = readFileSync(path);
    bytes.writeUInt32LE(2, 8);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 4092)), 4092);
    writeFileSync(path, bytes);
    assert.throws(() => openTape(path), refusal('other-version', null));
    assert.throws(() => openTape(path), /of version 2, and this release reads version 1/);
  });

  it('has its name only once it is sealed, and leaves nothing when it is abandoned', () => {
    const path = newPath();
    const writer = new TapeWriter(path);
    writer.event(blankEvent());
    assert.ok(!existsSync(path));
    writer.abandon();
    writer.abandon();
    assert.ok(!existsSync(path) && !existsSync(`${path}.part`));
    assert.throws(() => openTape(path), refusal('unusable'));
  });

  it('ends where it may not grow, and says so', () => {
    const writer = new TapeWriter(newPath(), 65_536 * 16);
    const event = blankEvent();
    assert.throws(() => {
      for (let index = 0; index < 780 * 40; index++) writer.event(event);
    }, refusal('too-large'));
    writer.abandon();
    const crowded = new TapeWriter(newPath());
    assert.throws(() => {
      for (let index = 0; index <= 65_536; index++) crowded.device(`d${index}`);
    }, refusal('too-large'));
    assert.throws(() => crowded.device('x'.repeat(257)), refusal('too-large'));
    crowded.abandon();
  });

  it('takes no event that could not be read back', () => {
    const writer = new TapeWriter(newPath());
    const bad: Partial<RecordedEvent>[] = [
      { timeNs: Number.NaN },
      { lengthBytes: Number.POSITIVE_INFINITY },
      { cpu: 2 ** 31 },
      { pid: 0.5 },
      { device: 0 },
      { timePs: 1000 },
      { iovaOffset: 4096 },
      { physicalOffset: -2 },
      { direction: 4 },
      { write: 2 },
      { kind: 256 as never },
      { partner: 0 },
      { partner: -2 },
      { call: 0.5 },
    ];
    for (const fields of bad) assert.throws(() => writer.event({ ...blankEvent(), ...fields }), RangeError);
    assert.equal(writer.count, 0);
    writer.abandon();
  });
});

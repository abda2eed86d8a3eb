import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ImportError } from '../../../src/trace/import-error.ts';
import {
  blockOf,
  captures,
  interfaceOf,
  packetOf,
  pcapOf,
  sectionOf,
} from '../../../tools/prove/trace-lines/captures.ts';
import { importBytes, isBalanced } from '../events.ts';

const SENT = Buffer.from([0, 4, 9, 9]);
const RECEIVED = Buffer.from([0, 0, 9, 9, 9]);

describe('a capture of packets', () => {
  for (const { format, name, bytes } of captures)
    it(`${format}, ${name}, is recognised, and the same wherever a chunk ends`, () => {
      const whole = importBytes(bytes, { strict: true });
      assert.equal(whole.summary.format, format);
      assert.ok(whole.events.length >= 2);
      for (let chunk = 1; chunk < 70; chunk += 3) {
        const { events, summary } = importBytes(bytes, { format, strict: true, chunk });
        assert.deepEqual(events, whole.events);
        assert.deepEqual(summary.lines, whole.summary.lines);
      }
    });

  it('of pcap tells time and original length, and the direction of cooked packets', () => {
    for (const littleEndian of [true, false])
      for (const nanoseconds of [true, false]) {
        const packets = [
          { seconds: 100, fraction: 5, original: 1500, data: SENT },
          { seconds: 101, fraction: 999_999, original: 60, data: RECEIVED },
          { seconds: 99, fraction: 0, original: 9000, data: Buffer.alloc(0) },
        ];
        const { events, summary } = importBytes(pcapOf(packets, { littleEndian, nanoseconds, linkType: 113 }), {
          strict: true,
        });
        const unit = nanoseconds ? 1 : 1000;
        assert.deepEqual(events, [
          { kind: 'packet', timeNs: 0, lengthBytes: 1500, direction: 1, write: 0, line: 1 },
          { kind: 'packet', timeNs: 1e9 + 999_994 * unit, lengthBytes: 60, direction: 2, write: 1, line: 2 },
          { kind: 'packet', timeNs: -1e9 - 5 * unit, lengthBytes: 9000, line: 3 },
        ]);
        assert.deepEqual(summary.origin, { seconds: 100, nanoseconds: 5 * unit });
        assert.equal(summary.clockSteps, 1, 'times may run backwards');
      }
  });

  it('of Ethernet says nothing of the direction, and says so', () => {
    const { events, summary } = importBytes(pcapOf([{ seconds: 1, fraction: 1, original: 60, data: RECEIVED }]));
    assert.deepEqual(events, [{ kind: 'packet', timeNs: 0, lengthBytes: 60, line: 1 }]);
    assert.deepEqual(summary.warnings, ['Ethernet packets do not say whether they were sent or received']);
  });

  it('of pcapng has a clock for each interface, and blocks that are passed over', () => {
    for (const littleEndian of [true, false]) {
      const bytes = Buffer.concat([
        sectionOf(littleEndian),
        interfaceOf(littleEndian, 113, { name: 'eth0' }),
        interfaceOf(littleEndian, 1, { resolution: 9 }),
        interfaceOf(littleEndian, 1, { resolution: 128 + 20 }),
        packetOf(littleEndian, { units: 1_700_000_000_000_001n, original: 1500, data: SENT }),
        blockOf(5, Buffer.alloc(64), littleEndian),
        packetOf(littleEndian, { from: 1, units: 1_700_000_000_000_001_234n, original: 60, data: RECEIVED }),
        packetOf(littleEndian, { from: 2, units: (1_700_000_001n << 20n) + (1n << 19n), original: 61, data: RECEIVED }),
        blockOf(3, Buffer.alloc(8), littleEndian),
        packetOf(littleEndian, { from: 9, units: 0n, original: 61, data: RECEIVED }),
      ]);
      const { events, summary } = importBytes(bytes);
      assert.deepEqual(events, [
        { kind: 'packet', timeNs: 0, device: 'eth0', lengthBytes: 1500, direction: 1, write: 0, line: 5 },
        { kind: 'packet', timeNs: 234, lengthBytes: 60, line: 7 },
        { kind: 'packet', timeNs: 1_499_999_000, lengthBytes: 61, line: 8 },
      ]);
      assert.deepEqual(summary.lines, {
        total: 10,
        understood: 3,
        comments: 5,
        blank: 0,
        skipped: [
          { reason: 'a simple packet block, which has no time', count: 1, firstLine: 9 },
          { reason: 'a packet of an interface that there is not', count: 1, firstLine: 10 },
        ],
      });
    }
  });

  it('that is cut anywhere says at which byte it ends, unless it is between two packets', () => {
    for (const { format, bytes } of captures)
      for (let length = 1; length < bytes.length; length++) {
        const { summary, events } = importBytes(bytes.subarray(0, length), { format });
        assert.ok(isBalanced(summary));
        const isWhole = summary.lines.skipped.length === 0;
        if (!isWhole) assert.match(summary.lines.skipped[0]!.reason, new RegExp(`^damaged at byte ${length}: `));
        assert.ok(isWhole || events.length <= importBytes(bytes, { format }).events.length);
      }
  });

  it('that is damaged says where, and what follows is not read', () => {
    const good = { seconds: 1, fraction: 1, original: 60, data: RECEIVED };
    const bytes = Buffer.from(pcapOf([good, good, good]));
    const second = 24 + 16 + RECEIVED.length;
    bytes.writeUInt32LE(0x7fffffff, second + 8);
    const { events, summary } = importBytes(bytes);
    assert.equal(events.length, 1);
    assert.equal(summary.lines.skipped[0]?.reason, `damaged at byte ${second}: a packet of 2147483647 bytes`);
    assert.throws(
      () => importBytes(bytes, { strict: true }),
      (error) => error instanceof ImportError && error.line === 2,
    );

    const section = sectionOf(true);
    const packet = Buffer.from(packetOf(true, { units: 1n, original: 60, data: SENT }));
    packet.writeUInt32LE(5, packet.length - 4);
    const broken = Buffer.concat([section, interfaceOf(true, 1), packet, packet]);
    const { summary: of } = importBytes(broken);
    assert.match(of.lines.skipped[0]!.reason, /^damaged at byte 48: a block with two lengths/);
  });
});

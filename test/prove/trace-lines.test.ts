import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createImporter } from '../../src/trace/importer.ts';
import { diceOf } from '../../tools/prove/dice.ts';
import { readByRegex } from '../../tools/prove/trace-lines/oracle.ts';
import { wellFormed } from '../../tools/prove/trace-lines/well-formed.ts';
import { differenceOf, proveTraceLines } from '../../tools/prove/trace-lines.ts';

describe('recordings', () => {
  it('around the grammar crash nothing, and every line is accounted for', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'trace-lines-'));
    try {
      const { complaints, lines, compared, captures } = await proveTraceLines({
        count: 10_000,
        from: 0,
        seed: 1,
        folder,
      });
      assert.deepEqual(complaints, []);
      assert.ok(lines >= 10_000 && compared >= 1000 && captures >= 100);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('that are read wrongly would be seen', () => {
    const dice = diceOf(5);
    for (let i = 0; i < 50; i++) {
      const line = wellFormed(dice, 1);
      const told = readByRegex(line)!;
      const events: Parameters<typeof differenceOf>[1][number][] = [];
      const devices: string[] = [];
      const importer = createImporter({
        format: 'ftrace',
        sink: { event: (event) => void events.push({ ...event }), device: (name) => devices.push(name) - 1 },
      });
      importer.write(Buffer.from(line));
      importer.end();
      assert.equal(differenceOf(told, events, devices, told.at), '');
      for (const [name, by] of [
        ['timeNs', 1],
        ['cpu', 1],
        ['pid', 1],
        ['kind', 1],
      ] as const) {
        const [first, ...rest] = events;
        const changed = { ...first!, [name]: first![name] + by } as (typeof events)[number];
        assert.notEqual(differenceOf(told, [changed, ...rest], devices, told.at), '', name);
      }
    }
  });
});

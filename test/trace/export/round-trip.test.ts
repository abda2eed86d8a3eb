import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { createSimulator, resolveSpec } from '../../../src/core/index.ts';
import { presets } from '../../../src/core/presets.ts';
import { historyText } from '../../../src/trace/export/history.ts';
import { recordingText } from '../../../src/trace/export/recording.ts';
import type { HistoryRecord } from '../../../src/trace/export/session-notes.ts';
import { SessionNotes } from '../../../src/trace/export/session-notes.ts';
import { createImporter } from '../../../src/trace/importer.ts';
import { type MemoryRecording, recordingOf, recordingsOf } from '../../../src/trace/memory-recording.ts';

import { openTape, TapeWriter } from '../../../src/trace/tape.ts';

type Plain = Record<string, unknown>;

const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const MS = 1_000_000;
/** Longer than the timers of lazy policies take. */
const RUN = { forNs: 11 * MS };
const RECORDS: HistoryRecord[] = [{ run: RUN }, { end: 'finished', events: 0 }];

/** A preset with traffic: where it has none of its own, a NIC that receives. */
function trafficOf(preset: string): Plain {
  if (preset === 'thread-2008') return { preset };
  return {
    preset,
    devices: [{ name: 'nic0', kind: 'nic' }],
    workloads: [{ name: 'rx', kind: 'nic-rx', device: 'nic0', gbps: 1, ringSize: 64 }],
  };
}

function textOf(spec: Plain, labEvents: boolean, recording?: MemoryRecording): string {
  const options = { labEvents, ...(recording !== undefined && { recordings: recordingsOf(recording) }) };
  return [...historyText(resolveSpec(spec), RECORDS, options)].join('');
}

const withoutNotes = (text: string) =>
  text
    .split('\n')
    .filter((line) => !line.startsWith('# iommu_lab: '))
    .join('\n');

/** Calls of the DMA API, without where the memory is. */
function callsOf(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => / dma_(map|unmap|alloc|free)/.test(line))
    .map((line) => line.replace(/^.*?\d\.\d{9}: /, '').replace(/ phys_addrs?=\S+/, ''));
}

/** Texts of many megabytes: what is told of a difference is its first line. */
function assertSame(actual: string, expected: string): void {
  if (actual === expected) return;
  const [is, should] = [actual.split('\n'), expected.split('\n')];
  const at = should.findIndex((line, i) => line !== is[i]);
  assert.fail(`line ${at + 1} is ${is[at]} and should be ${should[at]}; ${is.length} lines for ${should.length}`);
}

describe('export, import, export', () => {
  for (const preset of Object.keys(presets))
    for (const labEvents of [true, false])
      it(`of ${preset} ${labEvents ? 'with' : 'without'} events of ours is the same to the byte`, () => {
        const text = textOf(trafficOf(preset), labEvents);
        const { recording, summary } = recordingOf(text, { strict: true });
        assert.deepEqual(summary.lines.skipped, []);
        assert.equal(summary.unmatchedUnmaps, 0);
        assert.equal(summary.clockSteps, 0);
        const again = [...recordingText(recording, { labEvents, origin: summary.origin })].join('');
        assertSame(again, withoutNotes(text));
      });

  it('by way of a tape, as a server has it, is the same to the byte', () => {
    for (const preset of Object.keys(presets)) {
      const text = textOf(trafficOf(preset), true);
      const path = join(folder, 'new.tape');
      const writer = new TapeWriter(path);
      const importer = createImporter({ format: 'ftrace', strict: true, sink: writer });
      importer.write(new TextEncoder().encode(text));
      importer.end();
      const summary = importer.summary();
      writer.seal(summary);
      const tape = openTape(path);
      const again = [...recordingText(tape, { labEvents: true, origin: summary.origin })].join('');
      assertSame(again, withoutNotes(text));
      tape.close();
    }
  });

  it('of events with device TLBs and of a register interface is the same to the byte', () => {
    const devices = [{ name: 'nic0', kind: 'nic', bdf: '3b:02.1', deviceTlb: { entries: 64 } }];
    const workloads = [{ kind: 'nic-rx', device: 'nic0', gbps: 1, ringSize: 16 }];
    for (const spec of [
      { devices, workloads, policy: { invalidation: { kind: 'strict' } } },
      { ...trafficOf('rcache-today'), iommu: { invalidation: { interface: 'register' } } },
    ]) {
      const text = textOf(spec, true);
      const { recording, summary } = recordingOf(text, { strict: true });
      const queued = !('iommu' in spec);
      assert.equal(text.includes('qi_submit'), queued);
      assert.equal(text.includes('dev_tlb_inv'), queued);
      const again = [...recordingText(recording, { labEvents: true, origin: summary.origin, queued })].join('');
      assertSame(again, withoutNotes(text));
    }
  });

  it('of what a real kernel recorded keeps addresses, sizes, times and order', () => {
    for (const name of ['ath12k', 'vfio-guest']) {
      const real = readFileSync(new URL(`../recordings/${name}.txt`, import.meta.url), 'utf8');
      const first = recordingOf(real);
      const text = [...recordingText(first.recording, { labEvents: false, origin: first.summary.origin })].join('');
      const second = recordingOf(text, { strict: true });
      assert.deepEqual(second.summary.origin, first.summary.origin);
      assert.equal(second.recording.count, first.recording.count);
      for (let i = 0; i < first.recording.count; i++) {
        const { line: _line, pid: _pid, direction: _direction, ...was } = first.recording.original(i);
        const { line: _other, pid: _task, direction: _word, ...is } = second.recording.original(i);
        assert.deepEqual(is, was);
      }
    }
  });
});

describe('an imported export', () => {
  for (const preset of Object.keys(presets)) {
    it(`of ${preset} with events of ours is that session again, digest included`, () => {
      const spec = trafficOf(preset);
      const simulator = createSimulator(resolveSpec(spec));
      simulator.startRun(RUN);
      while (!simulator.stepRun(999));
      const { recording } = recordingOf(textOf(spec, true));
      const notes = new SessionNotes();
      for (const note of recording.notes) notes.note(note);
      const noted = notes.get()!;
      assert.equal(noted.digest, simulator.digest());
      const again = [...historyText(resolveSpec(noted.spec), noted.records, { labEvents: true })].join('');
      assertSame(again, textOf(spec, true));
    });

    for (const labEvents of [true, false])
      it(`of ${preset} ${labEvents ? 'with' : 'without'} events of ours is replayed as the same maps and unmaps at the same addresses`, () => {
        const spec = trafficOf(preset);
        const text = textOf(spec, labEvents);
        const { recording } = recordingOf(text);
        const replay = {
          kind: 'replay',
          device: 'nic0',
          trace: 'it',
          recording: recording.digest,
          accesses: [{ rule: 'none' }],
          ...(preset === 'thread-2008' && { devices: { '0000:00:03.0': 'disk0' } }),
        };
        const again = textOf({ ...spec, workloads: [replay] }, labEvents, recording);
        const calls = callsOf(text);
        assert.ok(calls.length > 1000, `${calls.length} calls`);
        assertSame(callsOf(again).join('\n'), calls.join('\n'));
      });
  }
});

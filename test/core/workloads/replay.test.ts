/** replay: recorded calls made again; what is synthesised; state that is kept, saved and found again. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { RECORDED } from '../../../src/core/devices/replay/source.ts';
import { createSimulator, resolveSpec, restoreSimulator } from '../../../src/core/index.ts';
import type { RunRequest } from '../../../src/core/operations.ts';
import { SpecError } from '../../../src/core/spec-error.ts';
import { EVENT_KINDS } from '../../../src/trace/event.ts';
import { type MemoryRecording, recordingOf, recordingsOf } from '../../../src/trace/memory-recording.ts';

import { DEV, line, map, traffic, unmap } from '../../trace/lines.ts';

type Plain = Record<string, unknown>;

const MS = 1_000_000;
const ATH12K = readFileSync(new URL('../../trace/recordings/ath12k.txt', import.meta.url), 'utf8');
const VFIO = readFileSync(new URL('../../trace/recordings/vfio-guest.txt', import.meta.url), 'utf8');

interface ReplayReport {
  event: number;
  events: number;
  finished: boolean;
  maps: number;
  unmaps: number;
  sameAddress: number;
  live: number;
  accesses: { recorded: number; faults: number; synthesised: number };
  invalidations: number;
  lagNs: { last: number; max: number };
  memory: { folded: number; moved: number };
  skipped: Record<string, number>;
}

function specOf(recording: MemoryRecording, fields: Plain = {}, spec: Plain = {}): ReturnType<typeof resolveSpec> {
  return resolveSpec({
    policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'strict' } },
    devices: [{ name: 'dev', kind: 'replay' }],
    ...spec,
    workloads: [{ kind: 'replay', device: 'dev', trace: 'it', recording: recording.digest, ...fields }],
  });
}

function machineOf(text: string, fields: Plain = {}, spec: Plain = {}) {
  const { recording } = recordingOf(text, {
    format: (fields.format as string | undefined) ?? 'auto',
    options: (fields.options as Plain) ?? {},
  });
  const { format: _format, options: _options, ...own } = fields;
  const resolved = specOf(recording, own, spec);
  const surroundings = { recordings: recordingsOf(recording) };
  const sim = createSimulator(resolved, surroundings);
  const run = (request: RunRequest, slice = 1000) => {
    assert.equal(sim.startRun(request).status, 'ok');
    while (!sim.stepRun(slice));
    const result = sim.runResult() as {
      workloads: (Plain & { replay: ReplayReport; verdicts: Record<string, number>; operations: number })[];
    };
    return result.workloads[0]!;
  };
  return { sim, run, recording, resolved, surroundings };
}

describe('codes of events', () => {
  it('stand for one kind each, and fit a byte of the tape', () => {
    const codes = Object.values(EVENT_KINDS);
    assert.equal(new Set(codes).size, codes.length);
    for (const code of codes) assert.ok(Number.isInteger(code) && code > 0 && code < 64);
  });
  it('of those that a replay acts on are as tapes have them that were written before', () => {
    assert.deepEqual(
      [RECORDED.map, RECORDED.unmapSg, RECORDED.iommuMap, RECORDED.fault, RECORDED.access, RECORDED.call],
      [1, 4, 11, 13, 19, 26],
    );
    assert.equal(EVENT_KINDS.group, 32);
  });
});

describe('the Wi-Fi device that goes on writing', () => {
  const expected: [string, 'ascending' | 'descending', 'fault' | 'stale'][] = [
    ['strict', 'ascending', 'fault'],
    ['strict', 'descending', 'fault'],
    ['flush-queue', 'ascending', 'fault'],
    ['flush-queue', 'descending', 'stale'],
    ['deferred-2008', 'ascending', 'fault'],
    ['deferred-2008', 'descending', 'stale'],
  ];
  for (const [kind, order, verdict] of expected)
    it(`under ${kind} has its write ${verdict === 'fault' ? 'blocked' : 'let through'} when its pages were touched in ${order} order`, () => {
      const { sim, run } = machineOf(
        ATH12K,
        { accesses: [{ rule: 'every-page', order }] },
        { policy: { allocator: { kind: 'rcache' }, invalidation: { kind } } },
      );
      const { replay, verdicts } = run({ forNs: 400e9 });
      assert.deepEqual(replay.accesses, { recorded: 0, faults: 1, synthesised: 128 });
      assert.deepEqual(
        [verdicts.ok, verdicts.fault, verdicts.stale],
        [128, verdict === 'fault' ? 1 : 0, verdict === 'stale' ? 1 : 0],
      );
      const faults = (
        sim.read({ read: 'faults' }) as unknown as {
          result: { items: { forensics: { lastUnmap: { sinceNs: number } } }[] };
        }
      ).result.items;
      if (verdict === 'stale') assert.deepEqual(faults, []);
      else {
        // 6.176 ms after `unmap`, 6.179 after the `dma_free` that it is half of, less what the unmap itself takes here.
        const { sinceNs } = faults[0]!.forensics.lastUnmap;
        assert.ok(sinceNs > 6_100_000 && sinceNs <= 6_179_000, `${sinceNs} ns`);
      }
    });

  it('is hidden by no policy once its timer has fired', () => {
    const late = ATH12K.replace('327.753942', '327.763942');
    const { run } = machineOf(
      late,
      { accesses: [{ rule: 'every-page', order: 'descending' }] },
      { policy: { invalidation: { kind: 'deferred-2008' } } },
    );
    assert.equal(run({ forNs: 400e9 }).verdicts.fault, 1);
  });
});

describe('recorded calls', () => {
  it('are made in their order and at their times, and the recorded addresses are counted where they come out again', () => {
    const { run, sim } = machineOf(map(100, 'fffff000', 4096, '40000000') + unmap(350, 'fffff000', 4096), {
      accesses: [{ rule: 'none' }],
    });
    const seen: [string, number][] = [];
    const { dma, clock } = sim as unknown as {
      dma: Record<string, (...given: unknown[]) => unknown>;
      clock: { timeNs: number };
    };
    for (const name of ['map', 'unmap']) {
      const call = dma[name]!.bind(dma);
      dma[name] = (...given) => {
        seen.push([name, clock.timeNs]);
        return call(...given);
      };
    }
    const { replay, operations } = run({ forNs: MS });
    assert.deepEqual(seen, [
      ['map', 0],
      ['unmap', 250_000],
    ]);
    assert.equal(replay.sameAddress, 1);
    assert.equal(operations, 2);
    assert.equal(replay.finished, true);
  });

  it('are as fast as the CPUs go in a closed loop, in the same order', () => {
    const text = traffic(200);
    const paced = machineOf(text).run({ forNs: 10 * MS });
    const { sim, run } = machineOf(text, { pace: 'closed-loop' });
    const closed = run({ operations: 400 });
    assert.equal(closed.replay.finished, true);
    assert.deepEqual([closed.replay.maps, closed.replay.unmaps], [paced.replay.maps, paced.replay.unmaps]);
    assert.ok(sim.timeNs < 13 * 200 * 1000, `${sim.timeNs} ns`);
  });

  it('are slower by `speed`, and only those of the window are made', () => {
    const text = traffic(100);
    const { sim, run } = machineOf(text, { speed: 0.5, window: { fromNs: 130_000, toNs: 260_000 } });
    const { replay } = run({ operations: 1000 });
    assert.equal(replay.maps, 10);
    assert.ok(replay.skipped.unmatchedUnmaps! > 0, 'the window begins in the middle');
    assert.ok(sim.timeNs > 200_000 && sim.timeNs <= 2 * (130_000 + 45_000) + 10_000, `${sim.timeNs} ns`);
  });

  it('of several devices go to those that are named', () => {
    const other = '0000:5e:00.0';
    const text = map(1, 'fffff000', 4096, '40000000') + map(2, 'fffff000', 4096, '50000000', 0, 'TO_DEVICE', other);
    const { sim, run } = machineOf(
      text,
      { devices: { [other]: 'second' } },
      {
        devices: [
          { name: 'dev', kind: 'replay' },
          { name: 'second', kind: 'replay' },
        ],
      },
    );
    run({ forNs: MS });
    const items = (
      sim.read({ read: 'mappings' }) as unknown as { result: { items: { device: string; direction: string }[] } }
    ).result.items;
    assert.deepEqual(
      items.map(({ device, direction }) => [device, direction]),
      [
        ['dev_0', 'from-device'],
        ['dev_1', 'to-device'],
      ],
    );
    const outcome = sim.apply({ op: 'device-remove', device: 'second' });
    assert.equal(outcome?.status === 'refused' && outcome.problem.code, 'in-use');
  });

  it('with physical addresses beyond the memory, or in what others have, are made elsewhere and counted', () => {
    const text = map(1, 'fffff000', 4096, '8db400000') + map(2, 'ffffe000', 4096, '100000');
    const { sim, run } = machineOf(text, {}, { machine: { memoryBytes: 2 ** 30 } });
    assert.equal(
      sim.apply({ op: 'buffer', lengthBytes: 4096, physicalAddress: '0x100000' })?.status === 'ok',
      false,
      'a table is there',
    );
    const { replay } = run({ forNs: MS });
    assert.deepEqual(replay.memory, { folded: 1, moved: 1 });
  });

  it('of frames that are mapped again are of another buffer: what is stale then reaches that', () => {
    const text =
      map(100, 'fffff000', 4096, '40000000') + unmap(200, 'fffff000', 4096) + map(300, 'ffffe000', 4096, '40000000');
    const verdicts = (extra: string) =>
      machineOf(
        text.slice(0, extra === '' ? text.indexOf('\n', text.indexOf('unmap')) + 1 : undefined),
        { accesses: [{ rule: 'last-page' }, { rule: 'late', afterUnmapNs: 500_000 }] },
        { policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'flush-queue' } } },
      ).run({ forNs: 5 * MS }).verdicts;
    assert.equal(verdicts('').stale, 1);
    assert.equal(verdicts('again')['stale-reused'], 1);
  });

  it('of lists have a segment for each entry; where entries were merged, to the end of their pages', () => {
    const list = (nents: string, iovas: string, sizes: string, physical: string) =>
      line(
        5,
        `dma_map_sg: ${DEV} dir=TO_DEVICE nents=${nents} ents=1/1 dma_addrs={${iovas}} sizes={${sizes}} phys_addrs={${physical}} attrs=`,
      );
    const text =
      list('2/2', '0xfffdf800', '0x1400', '0x40000800,0x50000000') +
      line(9, `dma_unmap_sg: ${DEV} dir=TO_DEVICE phys_addrs={0x40000800,0x50000000} attrs=`);
    const { sim, run } = machineOf(text.slice(0, text.indexOf('\n') + 1));
    run({ forNs: MS });
    const items = (
      sim.read({ read: 'mappings' }) as unknown as { result: { items: { segments: { lengthBytes: number }[] }[] } }
    ).result.items;
    assert.deepEqual(
      items[0]!.segments.map(({ lengthBytes }) => lengthBytes),
      [0x1400],
    );
    const both = machineOf(text).run({ forNs: MS });
    assert.deepEqual([both.replay.maps, both.replay.unmaps, both.replay.live], [1, 1, 0]);
  });

  it('whose map lies before the recording are counted', () => {
    const { replay } = machineOf(unmap(1, 'fffff000', 4096)).run({ forNs: MS });
    assert.equal(replay.skipped.unmatchedUnmaps, 1);
  });

  it('at addresses of their own (VFIO) are written there', () => {
    const { sim, run } = machineOf(VFIO);
    const { replay, verdicts } = run({ forNs: MS });
    assert.equal(replay.maps, 3);
    assert.equal(replay.skipped.unmatchedUnmaps, 1);
    assert.equal(verdicts.fault, 0);
    const outcome = sim.apply({ op: 'dma', device: 'dev', iova: '0x200000', lengthBytes: 8, access: 'read' });
    assert.equal(outcome?.status === 'ok' && outcome.result.verdict, 'ok');
    assert.equal(sim.apply({ op: 'workload-remove', workload: 'wl_0' })?.status, 'ok');
    const after = sim.apply({ op: 'dma', device: 'dev', iova: '0x200000', lengthBytes: 8, access: 'read' });
    assert.equal(after?.status === 'ok' && after.result.verdict, 'fault');
  });
});

describe('invalidations of a recording', () => {
  it('are what drops translations under a policy that never does', () => {
    const text =
      map(100, 'fffff000', 4096, '40000000') +
      unmap(200, 'fffff000', 4096) +
      line(300, 'qi_submit: iotlb_inv dmar1: 0x100e2 0x0 0x0 0x0') +
      line(400, `io_page_fault: IOMMU:x ${DEV} iova=0x00000000fffff000 flags=0x0001`);
    const of = (invalidations: string) =>
      machineOf(
        text,
        { invalidations, accesses: [{ rule: 'last-page' }] },
        { policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'never' } } },
      ).run({ forNs: MS });
    assert.equal(of('simulated').verdicts.stale, 1);
    assert.equal(of('recorded').verdicts.fault, 1);
    assert.equal(of('recorded').replay.invalidations, 1);
  });
});

describe('other recordings', () => {
  it('of block I/O become lists of pages, mapped from dispatch to completion', () => {
    const text =
      '  8,64  11     2956    33.791612977 90790  D  WS 7614368 + 16 [fio]\n  8,64  11     2957    33.799933777     0  C  WS 7614368 + 16 [0]\n';
    const { sim, run } = machineOf(text, { format: 'blkparse' });
    const { replay, verdicts } = run({ forNs: 20 * MS });
    assert.deepEqual([replay.maps, replay.unmaps, replay.live], [1, 1, 0]);
    assert.equal(verdicts.ok, 2);
    const counts = (sim.read({ read: 'metrics' }) as unknown as { result: { counts: Record<string, number> } }).result
      .counts;
    assert.equal(counts.dmaReads, 2, 'a write to the disk is read from memory');
    assert.equal(counts.mapSgCalls, 1);
  });
});

describe('the state of a replay', () => {
  const fields = { accesses: [{ rule: 'every-page' }, { rule: 'late', afterUnmapNs: 20_000 }] };
  const policy = { policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'flush-queue' } } };

  it('is the same however its run is cut', () => {
    const digests = [1, 7, 1000].map((slice) => {
      const { sim, run } = machineOf(traffic(300), fields, policy);
      run({ forNs: 6 * MS }, slice);
      return sim.digest();
    });
    assert.deepEqual(digests, [digests[0], digests[0], digests[0]]);
  });

  it('differs between recordings that differ in one address', () => {
    const digests = [traffic(10), traffic(10).replace('f0001', 'f00ff').replace('f0001', 'f00ff')].map((text) =>
      machineOf(text).sim.digest(),
    );
    assert.notEqual(digests[0], digests[1]);
  });

  it('goes on from an image as if nothing had happened, in the middle of a run and between two', () => {
    for (const steps of [0, 1, 57, 333]) {
      const { sim, resolved, surroundings } = machineOf(traffic(300), fields, policy);
      sim.startRun({ forNs: 6 * MS });
      if (steps > 0) sim.stepRun(steps);
      const restored = restoreSimulator(resolved, sim.save(), undefined, surroundings);
      assert.equal(restored.digest(), sim.digest());
      for (const each of [sim, restored]) while (!each.stepRun(100));
      assert.equal(restored.digest(), sim.digest());
      for (const each of [sim, restored]) {
        each.startRun({ forNs: MS });
        while (!each.stepRun(100));
      }
      assert.equal(restored.digest(), sim.digest());
      assert.deepEqual(restored.runResult(), sim.runResult());
    }
  });

  it('goes on in the next run where the last one ended, whatever time lies between', () => {
    const once = machineOf(traffic(100), { accesses: [{ rule: 'none' }] });
    once.run({ forNs: 3 * MS });
    const { sim, run } = machineOf(traffic(100), { accesses: [{ rule: 'none' }] });
    const first = run({ forNs: MS });
    assert.ok(first.replay.maps > 0 && first.replay.maps < 100);
    sim.apply({ op: 'advance', ns: 5e9 });
    const second = run({ forNs: 2 * MS });
    assert.equal(first.replay.maps + second.replay.maps, 100);
    assert.equal(second.replay.finished, true);
  });

  it('survives that the base of the clock moves in a pause of the recording', () => {
    const hours = 3600 * 1e6;
    const text =
      map(1, 'fffff000', 4096, '40000000') +
      unmap(3 * hours, 'fffff000', 4096) +
      map(3 * hours + 5, 'fffff000', 4096, '40000000');
    const { sim, run } = machineOf(text, { accesses: [{ rule: 'last-page' }] });
    const { replay, verdicts } = run({ operations: 3 });
    assert.deepEqual([replay.maps, replay.unmaps], [2, 1]);
    assert.ok(verdicts.ok! >= 1);
    assert.ok(Math.abs(sim.timeNs - 3 * hours * 1000) < 10_000, `${sim.timeNs}`);
  });

  it('is given back when the workload goes', () => {
    const { sim, run } = machineOf(traffic(50));
    run({ forNs: 400_000 });
    assert.equal(sim.apply({ op: 'workload-remove', workload: 'wl_0' })?.status, 'ok');
    assert.equal(sim.liveMappings, 0);
  });
});

describe('a replay is refused', () => {
  const wrong = (fields: Plain, recordings = true): string => {
    const { recording } = recordingOf(ATH12K);
    try {
      createSimulator(specOf(recording, fields), recordings ? { recordings: recordingsOf(recording) } : {});
    } catch (error) {
      assert.ok(error instanceof SpecError, String(error));
      return error.problems.map(({ path, message }) => `${path}: ${message}`).join('; ');
    }
    return '';
  };
  it('without its recording, by a name that says which', () => {
    assert.match(wrong({}, false), /^\/workloads\/0\/trace: the recording with the digest [0-9a-f]{64} is not here/);
    assert.match(wrong({ recording: undefined }), /^\/workloads\/0\/trace: names no recording/);
  });
  it('with a device that is not there, or a window that ends before it begins', () => {
    assert.equal(
      wrong({ devices: { '0000:c2:00.0': 'nobody' } }),
      '/workloads/0/devices/0000:c2:00.0: no device "nobody"',
    );
    assert.match(wrong({ window: { fromNs: 5, toNs: 5 } }), /^\/workloads\/0\/window\/toNs/);
    assert.equal(wrong({ devices: { constructor: 'dev', __proto__: 'dev' } }), '');
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ABSENT } from '../../src/trace/event.ts';
import { diceOf } from '../../tools/prove/dice.ts';
import { type Imported, importText } from './events.ts';

/** A line of ftrace: `time` in microseconds. */
function line(time: number, payload: string, { cpu = 0, pid = 1 } = {}): string {
  const seconds = Math.floor(time / 1e6);
  return `  task-${pid} [${String(cpu).padStart(3, '0')}] ..... ${seconds}.${String(time % 1e6).padStart(6, '0')}: ${payload}`;
}
const wide = (value: number): string => `0x${value.toString(16).padStart(16, '0')}`;
const iommuMap = (iova: number, size = 4096, paddr = 0x10_0000): string =>
  `map: IOMMU: iova=${wide(iova)} - ${wide(iova + size)} paddr=${wide(paddr)} size=${size}`;
const iommuUnmap = (iova: number, size = 4096): string =>
  `unmap: IOMMU: iova=${wide(iova)} - ${wide(iova + size)} size=${size} unmapped_size=${size}`;
const dmaMap = (device: string, iova: number, size = 2048): string =>
  `dma_map_phys: ${device} dir=TO_DEVICE dma_addr=${iova.toString(16)} size=${size} phys_addr=100000 attrs=`;
const dmaUnmap = (device: string, iova: number, size = 2048): string =>
  `dma_unmap_phys: ${device} dir=TO_DEVICE dma_addr=${iova.toString(16)} size=${size} attrs=`;
const dmaAlloc = (device: string, iova: number, size = 4096): string =>
  `dma_alloc: ${device} dma_addr=${iova.toString(16)} size=${size} virt_addr=000000006cadbcb1 flags=GFP_KERNEL attrs=`;
const dmaFree = (device: string, iova: number, size = 4096): string =>
  `dma_free: ${device} dma_addr=${iova.toString(16)} size=${size} virt_addr=000000006cadbcb1 attrs=`;
const list = (values: readonly number[]): string => `{${values.map((each) => `0x${each.toString(16)}`).join(',')}}`;
const mapSg = (device: string, iova: number, physical: readonly number[]): string =>
  `dma_map_sg: ${device} dir=TO_DEVICE dma_addrs=${list([iova])} sizes=${list([physical.length * 4096])} phys_addrs=${list(physical)} attrs=`;
const unmapSg = (device: string, physical: readonly number[]): string =>
  `dma_unmap_sg: ${device} dir=TO_DEVICE phys_addrs=${list(physical)} attrs=`;

/** [partner, call] of each event that is no segment. */
function links({ raw, events }: Imported): [number, number][] {
  return raw.filter((_, i) => events[i]!.kind !== 'segment').map(({ partner, call }) => [partner, call]);
}

function of(...lines: string[]): Imported {
  return importText(lines.map((each, i) => (each.startsWith('  task') ? each : line(i, each))).join('\n'), {
    format: 'ftrace',
    strict: true,
  });
}

const A = '0000:3b:00.0';
const B = '0000:3c:00.0';

describe('lines of one call are told', () => {
  it('a map by the iommu:map before it, an unmap by the iommu:unmap before it', () => {
    const imported = of(iommuMap(0x1000), dmaMap(A, 0x1000), iommuUnmap(0x1000), dmaUnmap(A, 0x1000));
    assert.deepEqual(links(imported), [
      [ABSENT, ABSENT],
      [ABSENT, 0],
      [0, ABSENT],
      [1, 2],
    ]);
    assert.deepEqual([imported.summary.openMaps, imported.summary.unmatchedUnmaps], [0, 0]);
  });

  it('an iommu:unmap by the dma_free before it', () => {
    const imported = of(iommuMap(0x1000), dmaAlloc(A, 0x1000), dmaFree(A, 0x1000), iommuUnmap(0x1000));
    assert.deepEqual(links(imported), [
      [ABSENT, ABSENT],
      [ABSENT, 0],
      [1, ABSENT],
      [0, 2],
    ]);
    assert.deepEqual([imported.summary.openMaps, imported.summary.unmatchedUnmaps], [0, 0]);
  });

  it('a scatter list by the first of several iommu:map, and its unmap by its physical list', () => {
    const physical = [0x10_0000, 0x30_0000];
    const imported = of(
      iommuMap(0x1000, 4096, physical[0]),
      iommuMap(0x2000, 4096, physical[1]),
      mapSg(A, 0x1000, physical),
      iommuUnmap(0x1000, 8192),
      unmapSg(A, physical),
    );
    // Events 2 to 5 are the list and its three ranges.
    assert.deepEqual(links(imported), [
      [ABSENT, ABSENT],
      [ABSENT, ABSENT],
      [ABSENT, 0],
      [0, ABSENT],
      [2, 6],
    ]);
    assert.deepEqual([imported.summary.openMaps, imported.summary.unmatchedUnmaps], [0, 0]);
  });

  it('an unmapped list that nobody knows by the address of the iommu:unmap before it', () => {
    const imported = of(
      iommuMap(0x1000, 8192),
      mapSg(A, 0x1000, [0x10_0000, 0x10_1000]),
      iommuUnmap(0x1000, 8192),
      unmapSg(A, [0x10_0000]),
    );
    assert.deepEqual(links(imported).at(-1), [1, 5]);
    assert.equal(imported.summary.openMaps, 0);
  });

  it('not by lines of another CPU or another task', () => {
    for (const other of [{ cpu: 1 }, { pid: 2 }]) {
      const imported = of(
        line(1, iommuMap(0x1000)),
        line(2, dmaMap(A, 0x1000), other),
        line(3, iommuUnmap(0x1000)),
        line(4, dmaUnmap(A, 0x1000), other),
      );
      assert.deepEqual(
        links(imported).map(([, call]) => call),
        [ABSENT, ABSENT, ABSENT, ABSENT],
      );
    }
  });

  it('though lines of other CPUs stand between', () => {
    const imported = of(
      line(1, iommuMap(0x1000)),
      line(2, iommuMap(0x9000), { cpu: 1 }),
      line(3, dmaMap(B, 0x9000), { cpu: 1 }),
      line(4, dmaMap(A, 0x1000)),
    );
    assert.deepEqual(
      links(imported).map(([, call]) => call),
      [ABSENT, ABSENT, 1, 0],
    );
  });

  it('not across events that were lost', () => {
    const text = [line(1, iommuMap(0x1000)), 'CPU:0 [LOST 3 EVENTS]', line(2, dmaMap(A, 0x1000))].join('\n');
    const imported = importText(text, { format: 'ftrace' });
    assert.deepEqual(links(imported).at(-1), [ABSENT, ABSENT]);
    assert.equal(imported.summary.lostEvents, 3);
  });
});

describe('an unmap', () => {
  it('ends the map of its own device, where another has the same address', () => {
    const imported = of(dmaMap(A, 0x1000), dmaMap(B, 0x1000), dmaUnmap(A, 0x1000), dmaUnmap(B, 0x1000));
    assert.deepEqual(links(imported).slice(2), [
      [0, ABSENT],
      [1, ABSENT],
    ]);
  });

  it('of two translations at one address ends that of the dma_free before it', () => {
    const imported = of(
      iommuMap(0x1000),
      dmaAlloc(A, 0x1000),
      iommuMap(0x1000),
      dmaAlloc(B, 0x1000),
      dmaFree(A, 0x1000),
      iommuUnmap(0x1000),
      dmaFree(B, 0x1000),
      iommuUnmap(0x1000),
    );
    assert.deepEqual(links(imported).slice(4), [
      [1, ABSENT],
      [0, 4],
      [3, ABSENT],
      [2, 6],
    ]);
  });

  it('puts right which translation ended, once the dma_unmap after it has said', () => {
    const imported = of(
      iommuMap(0x1000),
      dmaMap(A, 0x1000),
      iommuMap(0x1000),
      dmaMap(B, 0x1000),
      iommuUnmap(0x1000),
      dmaUnmap(A, 0x1000),
      iommuUnmap(0x1000),
      dmaUnmap(B, 0x1000),
    );
    // The first iommu:unmap is a guess, the newest; the second knows.
    assert.deepEqual(links(imported).slice(4), [
      [2, ABSENT],
      [1, 4],
      [2, ABSENT],
      [3, 6],
    ]);
  });

  it('of an IOMMU without a DMA API prefers the task that mapped', () => {
    const imported = of(
      line(1, iommuMap(0x0), { pid: 10 }),
      line(2, iommuMap(0x0), { pid: 20 }),
      line(3, iommuUnmap(0x0), { pid: 10 }),
      line(4, iommuUnmap(0x0), { pid: 20 }),
    );
    assert.deepEqual(
      links(imported)
        .slice(2)
        .map(([partner]) => partner),
      [0, 1],
    );
  });

  it('ends several maps that lie in its range, holes between them or not, or the beginning of one', () => {
    const several = of(iommuMap(0x1000), iommuMap(0x2000, 8192), iommuMap(0x10_0000), iommuUnmap(0x1000, 0x20_0000));
    assert.deepEqual(links(several).at(-1), [0, ABSENT]);
    assert.equal(several.summary.openMaps, 0);
    const part = of(iommuMap(0x1000, 8192), iommuUnmap(0x1000), iommuUnmap(0x2000));
    assert.deepEqual(
      links(part).map(([partner]) => partner),
      [ABSENT, 0, 0],
    );
    assert.deepEqual([part.summary.openMaps, part.summary.unmatchedUnmaps], [0, 0]);
  });

  it('without a map is counted once for the call, however many lines tell of it', () => {
    for (const lines of [
      [iommuUnmap(0x1000), dmaUnmap(A, 0x1000)],
      [dmaFree(A, 0x1000), iommuUnmap(0x1000)],
      [iommuUnmap(0x1000), unmapSg(A, [0x10_0000])],
      [iommuUnmap(0x1000)],
      [dmaUnmap(A, 0x1000)],
    ])
      assert.equal(of(...lines).summary.unmatchedUnmaps, 1, lines.join('; '));
  });

  it('tells mappings apart that share a page, where there is no IOMMU', () => {
    const imported = of(dmaMap(A, 0x1000), dmaMap(A, 0x1800), dmaUnmap(A, 0x1000), dmaUnmap(A, 0x1800));
    assert.deepEqual(
      links(imported)
        .slice(2)
        .map(([partner]) => partner),
      [0, 1],
    );
  });
});

describe('of many calls at random', () => {
  it('every unmap is given the map that it ends, and every line its call', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const { text, expected, open } = scene(seed, 3000);
      const imported = importText(text, { format: 'ftrace', strict: true, chunk: 777 });
      const told = imported.raw.filter((_, i) => imported.events[i]!.kind !== 'segment');
      assert.equal(told.length, expected.length);
      // In numbers of lines, as the scene knows no segments.
      const lineOf = (index: number) => (index === ABSENT ? ABSENT : imported.raw[index]!.line - 1);
      told.forEach((event, i) => {
        const { partner, call } = expected[i]!;
        assert.deepEqual([lineOf(event.partner), lineOf(event.call)], [partner, call], `seed ${seed}, line ${i + 1}`);
      });
      assert.equal(imported.summary.openMaps, open);
      assert.equal(imported.summary.unmatchedUnmaps, 0);
    }
  });
});

interface Expected {
  partner: number;
  call: number;
}

/**
 * Devices in domains of their own, on several CPUs, whose calls' lines interleave with those of other CPUs. Each device has addresses of
 * its own, since at equal ones `iommu:unmap` is a guess.
 */
function scene(seed: number, calls: number): { text: string; expected: Expected[]; open: number } {
  const dice = diceOf(seed);
  const text: string[] = [];
  const expected: Expected[] = [];
  interface Live {
    device: string;
    iova: number;
    kind: number;
    physical: number[];
    at: number[];
  }
  const live: Live[] = [];
  let made = 0;
  const queues = Array.from({ length: 4 }, () => [] as { payload: string; told: (at: number) => Expected }[]);
  const begin = (cpu: number): void => {
    const queue = queues[cpu]!;
    made++;
    const isUnmap = live.length > 0 && dice(2) === 0;
    const none = () => ({ partner: ABSENT, call: ABSENT });
    if (!isUnmap) {
      const number = dice(4);
      const device = `0000:0${number}:00.0`;
      const mine: Live = {
        device,
        iova: (number * 0x10_0000 + made * 8) * 4096,
        kind: dice(3),
        physical: Array.from({ length: 1 + dice(4) }, (_, i) => (made * 64 + i * 2) * 4096),
        at: [],
      };
      const first: number[] = [];
      const runs = mine.kind === 2 ? mine.physical : [mine.physical[0]!];
      runs.forEach((physical, i) => {
        const told = (at: number): Expected => {
          first.push(at);
          return none();
        };
        queue.push({ payload: iommuMap(mine.iova + i * 4096, 4096, physical), told });
      });
      const payload = [dmaMap(device, mine.iova), dmaAlloc(device, mine.iova), mapSg(device, mine.iova, mine.physical)][
        mine.kind
      ]!;
      const told = (at: number): Expected => {
        mine.at = [first[0]!, at];
        live.push(mine);
        return { partner: ABSENT, call: first[0]! };
      };
      queue.push({ payload, told });
      return;
    }
    const [mine] = live.splice(dice(live.length), 1) as [Live];
    const size = mine.kind === 2 ? mine.physical.length * 4096 : 4096;
    let before = ABSENT;
    const lower = {
      payload: iommuUnmap(mine.iova, size),
      told: (at: number): Expected => {
        const call = before;
        before = at;
        return { partner: mine.at[0]!, call };
      },
    };
    const payload = [
      dmaUnmap(mine.device, mine.iova),
      dmaFree(mine.device, mine.iova),
      unmapSg(mine.device, mine.physical),
    ][mine.kind]!;
    const upper = {
      payload,
      told: (at: number): Expected => {
        const call = before;
        before = at;
        return { partner: mine.at[1]!, call };
      },
    };
    queue.push(...(mine.kind === 1 ? [upper, lower] : [lower, upper]));
  };
  while (made < calls || queues.some((queue) => queue.length > 0)) {
    const cpu = dice(queues.length);
    const queue = queues[cpu]!;
    if (queue.length === 0) {
      if (made >= calls) continue;
      begin(cpu);
    }
    const { payload, told } = queue.shift()!;
    expected.push(told(text.length));
    text.push(line(text.length, payload, { cpu, pid: 100 + cpu }));
  }
  return { text: text.join('\n'), expected, open: live.length };
}

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { forensicsOf } from '../../../src/trace/forensics/forensics.ts';
import { recordingOf } from '../../../src/trace/memory-recording.ts';
import { DEV, line, map, unmap } from '../lines.ts';

const ATH12K = readFileSync(new URL('../recordings/ath12k.txt', import.meta.url), 'utf8');
const fault = (us: number, iova: string, flags = '0001') =>
  line(us, `io_page_fault: IOMMU:x ${DEV} iova=0x${iova.padStart(16, '0')} flags=0x${flags}`);
const first = (text: string) => forensicsOf(recordingOf(text, { format: 'ftrace' }).recording).items[0]!;

describe('forensics of the Wi-Fi device', () => {
  it('name the pair, the time since, and what lazy policies would have made of it', () => {
    const found = first(ATH12K);
    assert.equal(found.verdict, 'use after unmap');
    assert.deepEqual(found.lastMap!.lines, [1, 2]);
    assert.deepEqual(found.lastUnmap!.lines, [3, 4]);
    assert.equal(found.lastUnmap!.sinceNs, 6_176_000);
    assert.equal(found.lastMap!.physicalAddress, '0x10ec80000');
    assert.deepEqual(
      found.lazy.map(({ policy, hidden }) => [policy, hidden]),
      [
        ['flush-queue', 'yes'],
        ['deferred-2008', 'yes'],
      ],
    );
    assert.equal(
      found.text[0],
      '0000:c2:00.0 wrote to 0xfe980000 6.176 ms after the driver had taken that address back (dma_free, lines 3 and 4), and was blocked (line 5). This is a use after unmap.',
    );
    assert.match(
      found.text[1]!,
      /^The address lies in 524,288 bytes at 0xfe980000 that dma_alloc mapped \(lines 1 and 2\), 322\.876 s before the fault; behind it was 0x10ec80000\.$/,
    );
    assert.match(
      found.text[2]!,
      /^Under the lazy policy flush-queue the IOMMU would have let it through unseen, had the translation still been cached/,
    );
  });
});

describe('forensics', () => {
  const used = map(20_000, 'fffff000', 4096, '40000000') + unmap(30_000, 'fffff000', 4096);
  const padding = map(1, 'aaaaa000', 4096, '50000000') + unmap(2, 'aaaaa000', 4096);

  it('say no of a fault after the timer, and depends while it may be late', () => {
    const hidden = (us: number) => first(padding + used + fault(us, 'fffff010')).lazy.map((each) => each.hidden);
    assert.deepEqual(hidden(39_000), ['yes', 'yes']);
    assert.deepEqual(hidden(41_000), ['depends', 'depends']);
    assert.deepEqual(hidden(47_000), ['no', 'no']);
  });

  it('count from the unmap that armed the timer', () => {
    const earlier = map(21_000, 'ffffe000', 4096, '41000000') + unmap(24_000, 'ffffe000', 4096);
    const text = padding + map(20_000, 'fffff000', 4096, '40000000') + earlier + unmap(30_000, 'fffff000', 4096);
    assert.equal(first(text + fault(33_000, 'fffff000')).lazy[0]!.hidden, 'yes');
    const after = first(text + fault(35_000, 'fffff000'));
    assert.equal(after.lazy[0]!.hidden, 'depends', 'the timer was due at 34 ms');
    assert.equal(first(text + fault(41_000, 'fffff000')).lazy[0]!.hidden, 'no');
  });

  it('know when a queue was full: 255 ranges of a CPU, 250 of a machine', () => {
    const burst = (count: number) =>
      Array.from({ length: count }, (_, i) => {
        const iova = `${(0xe0000 + i).toString(16)}000`;
        return map(30_001 + i, iova, 4096, '60000000') + unmap(30_001 + i, iova, 4096);
      }).join('');
    const hidden = (count: number) =>
      first(padding + used + burst(count) + fault(31_000, 'fffff000')).lazy.map((each) => each.hidden);
    assert.deepEqual(hidden(240), ['yes', 'yes']);
    assert.deepEqual(hidden(250), ['yes', 'no']);
    assert.deepEqual(hidden(255), ['no', 'no']);
  });

  it('cannot say where events were lost, or where the recording begins too late', () => {
    const lost = first(`${padding + used}CPU:0 [LOST 3 EVENTS]\n${fault(33_000, 'fffff000')}`);
    assert.deepEqual(
      lost.lazy.map(({ hidden }) => hidden),
      ['depends', 'depends'],
    );
    const short = first(
      map(29_000, 'fffff000', 4096, '40000000') + unmap(30_000, 'fffff000', 4096) + fault(33_000, 'fffff000'),
    );
    assert.match(short.lazy[0]!.why, /begins less than 10 ms before the unmap/);
  });

  it('tell a wrong direction and an address that nobody mapped', () => {
    const live = first(map(1, 'fffff000', 4096, '40000000', 0, 'TO_DEVICE') + fault(5, 'fffff020'));
    assert.deepEqual(
      [live.verdict, live.lastMap!.direction, live.lastUnmap],
      ['wrong direction or not covered', 'to the device', null],
    );
    const never = first(map(1, 'fffff000', 4096, '40000000') + fault(5, 'dead0000', '0000'));
    assert.deepEqual([never.verdict, never.access], ['never mapped', 'read']);
  });

  it('see the invalidation that made it fault', () => {
    const found = first(
      padding + used + line(30_004, 'qi_submit: iotlb_inv dmar0: 0x100e2 0x0 0x0 0x0') + fault(31_000, 'fffff000'),
    );
    assert.deepEqual(found.invalidated, { line: 5, afterUnmapNs: 4000 });
  });

  it('find the list behind an address, whose unmap names none', () => {
    const sg = (us: number, what: string, rest: string) => line(us, `${what}: ${DEV} dir=FROM_DEVICE ${rest} attrs=`);
    const text =
      sg(
        1,
        'dma_map_sg',
        'nents=2/2 ents=2/2 dma_addrs={0xffffc000,0xffffe000} sizes={0x1000,0x1000} phys_addrs={0x10000,0x54000}',
      ) +
      sg(9, 'dma_unmap_sg', 'phys_addrs={0x10000,0x54000}') +
      fault(20, 'ffffe800');
    const found = first(text);
    assert.deepEqual(
      [found.verdict, found.lastMap!.call, found.lastMap!.physicalAddress, found.lastUnmap!.sinceNs],
      ['use after unmap', 'dma_map_sg', '0x54000', 11_000],
    );
  });

  it('tell of a thousand faults and count the rest', () => {
    const text = used + Array.from({ length: 1200 }, (_, i) => fault(40_000 + i, 'fffff000')).join('');
    const { faults, items } = forensicsOf(recordingOf(text).recording);
    assert.deepEqual([faults, items.length], [1200, 1000]);
  });
});

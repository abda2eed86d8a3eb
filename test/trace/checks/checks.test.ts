import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveSpec } from '../../../src/core/index.ts';
import type { Finding } from '../../../src/trace/checks/check.ts';
import { checkRecording, checks } from '../../../src/trace/checks/index.ts';
import { historyText } from '../../../src/trace/export/history.ts';
import { recordingOf } from '../../../src/trace/memory-recording.ts';
import { DEV, line, map, traffic, unmap } from '../lines.ts';

function findingsOf(text: string): Record<string, Finding> {
  const { recording } = recordingOf(text, { format: 'ftrace' });
  return Object.fromEntries(checkRecording(recording).findings.map((finding) => [finding.check, finding]));
}

const invalidate = (us: number) => line(us, 'qi_submit: iotlb_inv dmar0: 0x100e2 0x0 0x0 0x0');

describe('checks of a recording', () => {
  it('find nothing wrong where all is taken back as it was mapped', () => {
    const { findings, clean, events } = checkRecording(recordingOf(traffic(100)).recording);
    assert.equal(events, 200);
    assert.deepEqual(
      findings.map(({ check }) => check),
      ['fragmentation'],
    );
    assert.deepEqual(
      clean.sort(),
      Object.keys(checks)
        .filter((check) => check !== 'fragmentation')
        .sort(),
    );
    assert.deepEqual(checkRecording(recordingOf('# tracer: nop\n', { format: 'ftrace' }).recording).findings, []);
  });

  it('tell a leak from what is in use: older than all that was ever taken back', () => {
    const text = map(1, 'fffff000', 4096, '40000000') + traffic(50) + map(2000, 'ffffe000', 4096, '41000000');
    const { leaks } = findingsOf(text);
    assert.equal(leaks!.count, 2);
    assert.equal(leaks!.severity, 'warning');
    assert.match(leaks!.explanation, /^1 of these are older/);
    assert.deepEqual(
      leaks!.examples.map(({ line: at }) => at),
      [1, 102],
    );
    assert.match(leaks!.examples[0]!.text, /0xfffff000, 4096 bytes from the device, mapped 1\.999 ms before the end/);
  });

  it('tell a second unmap from one whose map is before the recording', () => {
    const text =
      unmap(1, 'eeee0000', 4096) +
      map(2, 'fffff000', 4096, '40000000') +
      unmap(3, 'fffff000', 4096) +
      unmap(8, 'fffff000', 4096);
    const found = findingsOf(text)['double-unmaps']!;
    assert.deepEqual([found.count, found.severity, found.examples[0]!.line], [1, 'error', 4]);
    assert.match(found.examples[0]!.text, /unmapped already at line 3, 5 us before/);
    assert.match(found.explanation, /1 more unmaps are of mappings that the recording does not have/);
    const lost = findingsOf(
      text.replace(unmap(8, 'fffff000', 4096), `CPU:0 [LOST 12 EVENTS]\n${unmap(8, 'fffff000', 4096)}`),
    );
    assert.equal(lost['double-unmaps']!.severity, 'warning');
  });

  it('name sizes, directions and functions that differ', () => {
    const text =
      map(1, 'fffff000', 4096, '40000000') +
      unmap(2, 'fffff000', 2048) +
      map(3, 'ffffe000', 4096, '40000000') +
      unmap(4, 'ffffe000', 4096, 0, 'TO_DEVICE') +
      line(5, `dma_alloc: ${DEV} dma_addr=ffffd000 size=4096 virt_addr=00000000aaaaaaaa flags=GFP_KERNEL attrs=`) +
      unmap(6, 'ffffd000', 4096, 0, 'BIDIRECTIONAL');
    const found = findingsOf(text);
    assert.match(
      found['wrong-sizes']!.examples[0]!.text,
      /4096 bytes from the device \(line 1\): unmapped with 2048 bytes/,
    );
    assert.equal(found['wrong-sizes']!.count, 1);
    assert.match(found['wrong-directions']!.examples[0]!.text, /\(line 3\): unmapped as to the device/);
    assert.equal(found['wrong-functions']!.examples[0]!.line, 6);
  });

  it('find invalidations that never came, and those with nothing to drop, where the recording has any', () => {
    const pair = (us: number) => map(us, 'fffff000', 4096, '40000000') + unmap(us + 1, 'fffff000', 4096);
    assert.equal(findingsOf(pair(1) + pair(3_000_000))['missing-invalidations'], undefined);
    const text =
      invalidate(1) +
      pair(10) +
      invalidate(20) +
      invalidate(30) +
      pair(40) +
      line(2_000_000, 'qi_submit: iotlb_inv dmar0: 0x100f2 0x10000 0x0 0x0');
    const found = findingsOf(text);
    assert.deepEqual(
      [found['missing-invalidations']!.count, found['missing-invalidations']!.examples[0]!.line],
      [1, 7],
    );
    assert.match(found['missing-invalidations']!.explanation, /the longest wait that ended was 9 us/);
    assert.deepEqual(
      found['superfluous-invalidations']!.examples.map(({ line: at }) => at),
      [1, 5],
    );
  });

  it('find memory that is mapped over and over, and mappings beyond the cached sizes', () => {
    const text =
      Array.from(
        { length: 20 },
        (_, i) => map(i * 10, 'fffff000', 2048, '40000000') + unmap(i * 10 + 5, 'fffff000', 2048),
      ).join('') + map(900, 'ff000000', 200_000, '50000000');
    const found = findingsOf(text);
    assert.match(
      found['unchanging-mappings']!.examples[0]!.text,
      /2048 bytes at 0x40000000 mapped 20 times, 19 times at the address/,
    );
    assert.match(found['unchanging-mappings']!.explanation, /would spare 19 of 21 maps/);
    assert.match(found['sizes-beyond-cache']!.examples[0]!.text, /200000 bytes.*: 49 pages/);
    assert.equal(findingsOf(text.replace('size=200000', 'size=131072'))['sizes-beyond-cache'], undefined);
  });

  it('count holes as a slow look at all pages does', () => {
    const addresses = [3, 4, 9, 20, 21, 40, 77, 78, 79, 200];
    const text = addresses
      .map((page, i) =>
        map(i + 1, `fff${page.toString(16).padStart(2, '0')}000`, 4096, `4${page.toString(16).padStart(3, '0')}000`),
      )
      .join('');
    const pages = new Set(addresses);
    let holes = 0;
    let [run, largest] = [0, 0];
    for (let page = 3; page <= 200; page++) {
      if (pages.has(page)) {
        if (run > 0) holes++;
        largest = Math.max(largest, run);
        run = 0;
      } else run++;
    }
    const found = findingsOf(text).fragmentation!;
    assert.equal(found.count, holes);
    assert.match(
      found.examples.at(-1)!.text,
      new RegExp(`10 mappings, 10 pages of a span of 198, ${holes} holes, the largest ${largest} pages`),
    );
  });

  it('end what a range covers, as VFIO unmaps it', () => {
    const iommu = (us: number, page: number, pages: number, what: 'map' | 'unmap') => {
      const at = (n: number) => `0x${(n * 4096).toString(16).padStart(16, '0')}`;
      const rest =
        what === 'map'
          ? `paddr=0x0000000040000000 size=${pages * 4096}`
          : `size=${pages * 4096} unmapped_size=${pages * 4096}`;
      return line(us, `${what}: IOMMU: iova=${at(page)} - ${at(page + pages)} ${rest}`);
    };
    const text = iommu(1, 16, 4, 'map') + iommu(2, 20, 4, 'map') + iommu(3, 32, 8, 'map') + iommu(9, 16, 24, 'unmap');
    assert.deepEqual(Object.keys(findingsOf(text)), ['fragmentation']);
  });

  it('say of a simulated session what its driver did wrong', () => {
    const spec = resolveSpec({
      devices: [{ name: 'nic0', kind: 'nic' }],
      policy: { invalidation: { kind: 'strict' } },
    });
    const wrong = {
      op: 'unmap',
      device: 'nic0',
      iova: '0xfffff000',
      lengthBytes: 100,
      direction: 'to-device',
    } as const;
    const text = [
      ...historyText(
        spec,
        [
          {
            op: 'map',
            device: 'nic0',
            kind: 'single',
            direction: 'from-device',
            physicalAddress: '0x200000',
            lengthBytes: 4096,
          },
          { ...wrong },
          { ...wrong },
        ],
        { labEvents: false },
      ),
    ].join('');
    const found = findingsOf(text);
    assert.deepEqual(Object.keys(found).sort(), ['double-unmaps', 'fragmentation', 'wrong-directions', 'wrong-sizes']);
  });
});

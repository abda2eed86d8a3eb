import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { recordingOf } from '../../src/trace/memory-recording.ts';
import { type SideBySide, type SideBySideOptions, sideBySide } from '../../src/trace/side-by-side.ts';
import { line, map, traffic, unmap } from './lines.ts';

const ATH12K = readFileSync(new URL('./recordings/ath12k.txt', import.meta.url), 'utf8');

function compared(text: string, options: SideBySideOptions): SideBySide {
  const steps = sideBySide(recordingOf(text).recording, options);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

describe('a recording under several policies, side by side', () => {
  it('says of the Wi-Fi device which policy lets its write through, and that it hangs on what it touched last', () => {
    const of = (order: string) =>
      compared(ATH12K, { policies: ['strict', 'flush-queue'], replay: { accesses: [{ rule: 'every-page', order }] } });
    const last = of('descending');
    assert.deepEqual(
      last.sides.map(({ label, verdicts }) => [label, verdicts.fault, verdicts.stale]),
      [
        ['strict', 1, 0],
        ['flush-queue', 0, 1],
      ],
    );
    assert.deepEqual(
      of('ascending').sides.map(({ verdicts }) => verdicts.fault),
      [1, 1],
    );
    assert.match(last.text[1]!, /^strict: .* Of 1 recorded and 128 synthesised accesses 1 are blocked, and 0 land/);
    assert.match(last.text[2]!, /^flush-queue: .* 0 are blocked, and 1 land where nothing is mapped/);
    assert.match(
      last.text.join('\n'),
      /6\.176 ms after the driver had taken that address back \(dma_free, lines 3 and 4\)/,
    );
  });

  it('has what the recording itself did where it says what was invalidated', () => {
    const text =
      map(1, 'fffff000', 4096, '40000000') +
      unmap(2, 'fffff000', 4096) +
      line(9, 'qi_submit: iotlb_inv dmar0: 0x100e2 0x0 0x0 0x0');
    const { sides } = compared(text, { policies: ['strict'], replay: { accesses: [{ rule: 'last-page' }] } });
    assert.deepEqual(
      sides.map(({ label }) => label),
      ['as recorded', 'strict'],
    );
    const [recorded, strict] = sides.map(({ exposure }) => exposure.longestWindowNs);
    assert.ok(recorded! > 6_000 && recorded! < 12_000, `${recorded}`);
    assert.equal(strict, 0);
  });

  it('makes the same calls under each, and comes to the same digests again', () => {
    const options = { policies: ['strict', 'deferred-2008', 'wrap', { kind: 'flush-queue', single: true }] };
    const one = compared(traffic(200), options);
    assert.deepEqual(
      one.sides.map(({ maps, unmaps, finished }) => [maps, unmaps, finished]),
      new Array(4).fill([200, 200, true]),
    );
    assert.deepEqual(compared(traffic(200), options), one);
  });
});

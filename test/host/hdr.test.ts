import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { Histogram } from '../../src/core/meter/histogram.ts';
import { encodeHdr } from '../../src/host/hdr.ts';

test('an HDR histogram at the edge has the counts and, within a bucket, the quantiles of the core', () => {
  const core = new Histogram();
  let seed = 7;
  for (let i = 0; i < 20_000; i++) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    core.record(seed % (i % 3 === 0 ? 50 : 4_000_000));
  }
  const decoded = decodeFromCompressedBase64(encodeHdr(core.buckets()));
  assert.equal(decoded.totalCount, 20_000);
  for (const percentile of [10, 50, 90, 99]) {
    const expected = core.quantile(percentile / 100);
    const found = decoded.getValueAtPercentile(percentile);
    assert.ok(Math.abs(found - expected) <= Math.max(1, expected / 16), `p${percentile}: ${found} against ${expected}`);
  }
});

test('an empty histogram encodes and decodes', () => {
  assert.equal(decodeFromCompressedBase64(encodeHdr([])).totalCount, 0);
});

/**
 * HDR encoding of the core's histograms, at the edge: the core counts in integer log-linear buckets (32 to the octave), and what leaves
 * the service is what HdrHistogram tools of any language read (V2, compressed, base64).
 */
import { build, encodeIntoCompressedBase64 } from 'hdr-histogram-js';

interface Bucket {
  from: number;
  to: number;
  count: number;
}

/** @param buckets rising, `to` exclusive; each counts at its middle, so a value is off by at most 1/64 of itself */
export function encodeHdr(buckets: readonly Bucket[]): string {
  const highest = Math.max(2, buckets.at(-1)?.to ?? 2);
  const histogram = build({
    bitBucketSize: 64,
    lowestDiscernibleValue: 1,
    highestTrackableValue: highest,
    numberOfSignificantValueDigits: 2,
  });
  for (const { from, to, count } of buckets) histogram.recordValueWithCount(Math.floor((from + to - 1) / 2), count);
  const text = encodeIntoCompressedBase64(histogram);
  histogram.destroy();
  return text;
}

/** Adds `latencyHdr` beside every `latencyHistogram` of a run's result. */
export function withHdr(result: Record<string, unknown>): Record<string, unknown> {
  const workloads = (result.workloads as Record<string, unknown>[] | undefined) ?? [];
  return {
    ...result,
    workloads: workloads.map((workload) =>
      Array.isArray(workload.latencyHistogram)
        ? { ...workload, latencyHdr: encodeHdr(workload.latencyHistogram as Bucket[]) }
        : workload,
    ),
  };
}

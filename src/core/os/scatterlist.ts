/**
 * How a scatter list is laid out in one IOVA block, and what the driver gets back.
 *
 * Source: Linux `drivers/iommu/dma-iommu.c`, `iommu_dma_map_sg` and `__finalise_sg`, from a description.
 */
import { NO_FRAME_HINT } from './iova/call.ts';
import type { MappedRun, OutputSegment } from './mappings.ts';

/** One entry of the list as the driver gives it. */
export interface InputSegment {
  frame: number;
  offset: number;
  lengthBytes: number;
}

/** Where each input lies in the block, in pages from its start; `pages` in all. */
export interface Layout {
  starts: number[];
  pages: number;
}

/**
 * Every segment starts on a page; a segment that would cross a boundary is pushed to it by lengthening the one before. Because the
 * block is aligned to its size, no segment shorter than the boundary crosses one.
 */
export function layOut(segments: readonly InputSegment[], boundaryBytes: number): Layout {
  const starts: number[] = [];
  let total = 0;
  for (const { offset, lengthBytes } of segments) {
    const length = Math.ceil((offset + lengthBytes) / 4096) * 4096;
    const pad = (boundaryBytes - (total % boundaryBytes)) % boundaryBytes;
    if (pad !== 0 && pad < length - 1) total += pad;
    starts.push(total / 4096);
    total += length;
  }
  return { starts, pages: total / 4096 };
}

/** First frame of a list whose pages follow one another in memory as they do in the block; NO_FRAME_HINT of any other. */
export function frameOfRun(segments: readonly InputSegment[], layout: Layout): number {
  const first = segments[0]!.frame;
  let pages = 0;
  for (let i = 0; i < segments.length; i++) {
    const { frame, offset, lengthBytes } = segments[i]!;
    if (frame !== first + pages || layout.starts[i] !== pages) return NO_FRAME_HINT;
    pages += Math.ceil((offset + lengthBytes) / 4096);
  }
  return first;
}

/** The stretches of memory behind the block, one per input. */
export function runsOf(segments: readonly InputSegment[], layout: Layout, page: number): MappedRun[] {
  return segments.map(({ frame, offset, lengthBytes }, i) => ({
    page: page + layout.starts[i]!,
    pages: Math.ceil((offset + lengthBytes) / 4096),
    frame,
    offset,
    lengthBytes,
  }));
}

/** What a list reaches without translation: its stretches of memory by address, those that overlap or touch joined. */
export function joinRuns(runs: readonly MappedRun[]): MappedRun[] {
  const joined: MappedRun[] = [];
  const sorted = [...runs].sort((a, b) => a.page - b.page || a.offset - b.offset);
  for (const run of sorted) {
    const open = joined.at(-1);
    const from = open === undefined ? 0 : (run.page - open.page) * 4096 + run.offset - open.offset;
    if (open === undefined || from > open.lengthBytes) {
      joined.push({ ...run });
      continue;
    }
    open.lengthBytes = Math.max(open.lengthBytes, from + run.lengthBytes);
    open.pages = Math.ceil((open.offset + open.lengthBytes) / 4096);
  }
  return joined;
}

/** Whether the list is one contiguous stretch of memory and of the block. */
export function isOneRun(runs: readonly MappedRun[]): boolean {
  for (let i = 1; i < runs.length; i++) {
    const before = runs[i - 1]!;
    const run = runs[i]!;
    if (run.offset !== 0 || (before.offset + before.lengthBytes) % 4096 !== 0) return false;
    if (run.frame !== before.frame + before.pages || run.page !== before.page + before.pages) return false;
  }
  return true;
}

/**
 * Output entries: a segment joins the open entry if it starts on a page, does not start on a boundary, ends no later than the
 * device's maximum allows, and the one before it ended on a page.
 */
export function mergeOutputs(
  runs: readonly MappedRun[],
  boundaryBytes: number,
  maxSegmentBytes: number,
): OutputSegment[] {
  const out: OutputSegment[] = [];
  let open: OutputSegment | null = null;
  for (const run of runs) {
    const startsOnBoundary = boundaryBytes < 4096 ? true : run.page % (boundaryBytes / 4096) === 0;
    const follows: boolean =
      open !== null &&
      run.offset === 0 &&
      !startsOnBoundary &&
      run.page * 4096 === open.page * 4096 + open.offset + open.lengthBytes &&
      maxSegmentBytes - open.lengthBytes >= run.lengthBytes;
    if (follows) open!.lengthBytes += run.lengthBytes;
    else {
      open = { page: run.page, offset: run.offset, lengthBytes: run.lengthBytes };
      out.push(open);
    }
    if ((run.offset + run.lengthBytes) % 4096 !== 0) open = null;
  }
  return out;
}

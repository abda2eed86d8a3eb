/** The ranges of one scatter list, in columns that are used again for the next. */
import { ABSENT } from './event.ts';

/** The kernel traces 128; kernels before that bound was set traced all, as far as a line can hold them. */
export const MOST_RANGES = 4096;

export class RangeList {
  count = 0;
  readonly iovaPage = new Float64Array(MOST_RANGES);
  readonly iovaOffset = new Float64Array(MOST_RANGES);
  readonly lengthBytes = new Float64Array(MOST_RANGES);
  readonly physicalPage = new Float64Array(MOST_RANGES);
  readonly physicalOffset = new Float64Array(MOST_RANGES);

  /** @returns the index of a new range that says nothing yet; there is room for MOST_RANGES, which the caller knows. */
  add(): number {
    const i = this.count++;
    this.iovaPage[i] = ABSENT;
    this.iovaOffset[i] = ABSENT;
    this.lengthBytes[i] = ABSENT;
    this.physicalPage[i] = ABSENT;
    this.physicalOffset[i] = ABSENT;
    return i;
  }
}

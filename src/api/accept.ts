/** Which of several forms of a reply a client prefers (RFC 9110, section 12.5.1). */

export interface Form {
  /** Media type without parameters. */
  type: string;
  /** Offered only to clients that name the type itself, not to wildcards. */
  byName: boolean;
}

/**
 * The type of the form that the `Accept` header wants most; earlier forms win ties; null when it wants none of them.
 *
 * Parameters other than `q` are not compared: Prometheus names several versions of one type, and one of them is ours.
 */
export function preferredType(accept: string | undefined, forms: readonly Form[]): string | null {
  const ranges = (accept === undefined || accept.trim() === '' ? '*/*' : accept).split(',').map(parseRange);
  let best: string | null = null;
  let bestQuality = 0;
  for (const form of forms) {
    const quality = qualityOf(form, ranges);
    if (quality > bestQuality) {
      best = form.type;
      bestQuality = quality;
    }
  }
  return best;
}

interface Range {
  type: string;
  quality: number;
}

function parseRange(text: string): Range {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith('q='));
  const quality = weight === undefined ? 1 : Number(weight.slice(2));
  return { type, quality: Number.isFinite(quality) ? Math.min(Math.max(quality, 0), 1) : 0 };
}

/** The most specific range that matches decides; of several for the type itself the highest. */
function qualityOf(form: Form, ranges: readonly Range[]): number {
  const patterns = form.byName ? [form.type] : [form.type, `${form.type.split('/', 1)[0]}/*`, '*/*'];
  for (const pattern of patterns) {
    const matching = ranges.filter((range) => range.type === pattern);
    if (matching.length > 0) return Math.max(...matching.map((range) => range.quality));
  }
  return 0;
}

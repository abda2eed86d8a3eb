/**
 * Labels of one `ops` request: `"as": "a"` on a line, then `"$a"` (the `id` of its result), `"$a.iova"`, `"$a.segments[1].iova"` or
 * `"$a.iova+4096"` in any later string value; `$$` at the start of a value is a literal `$`.
 *
 * Results lie outside the JavaScript heap, as JSON bytes in one growing log, so that a request with millions of labels neither
 * fills the heap nor slows its collection; the latest ones are at hand as objects, because most labels are used at once.
 */
import type { HostProblem } from './host.ts';

const LABEL_FORM = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;
const REFERENCE_FORM =
  /^\$([A-Za-z_][A-Za-z0-9_-]{0,63})((?:\.[A-Za-z_][A-Za-z0-9_]*|\[[0-9]{1,9}\])*)(?:\+(0x[0-9a-fA-F]{1,16}|[0-9]{1,16}))?$/;
const STEP_FORM = /\.([A-Za-z_][A-Za-z0-9_]*)|\[([0-9]+)\]/g;
const DOLLAR = '$'.charCodeAt(0);
const ADDRESS_FORM = /^0x[0-9a-f]{1,16}$/i;

const LOG_BLOCK_BYTES = 1 << 20;
/** Characters; of these a block is left with 12 KiB unused at most. */
const SHORT_RESULT = 4096;
/** Heap bytes of a label itself: its entry and its text. */
const LABEL_BYTES = 100;
/** Two generations of so many results are kept as objects. */
const LATEST_RESULTS = 1024;
/** No operation nests deeper; what does is left as it is and refused by the contract. */
const DEEPEST_VALUE = 6;

type Result = Record<string, unknown>;

/** A `$` value that cannot be resolved. */
export class LabelError extends Error {
  readonly code: string;
  /** JSON Pointer of the value in its line. */
  readonly path: string;

  constructor(code: string, path: string, message: string) {
    super(message);
    this.code = code;
    this.path = path;
  }
}

export class LabelTable {
  private readonly largestBytes: number;
  private usedBytes = 0;
  /** Label -> place in the log (block * LOG_BLOCK_BYTES + offset), or -line of the operation that failed to define it. */
  private readonly places = new Map<string, number>();
  private readonly log: { bytes: Buffer; used: number }[] = [];
  private latest = new Map<string, Result>();
  private before = new Map<string, Result>();

  constructor(largestBytes: number) {
    this.largestBytes = largestBytes;
  }

  /** Why `label` cannot be defined by the line, or null. Its form is the contract's to check. */
  refuse(label: string): HostProblem | null {
    const place = this.places.get(label);
    if (place !== undefined && place >= 0) {
      const detail = `The label "${label}" is already defined in this request.`;
      return { code: 'label-redefined', detail, path: '/as' };
    }
    if (this.usedBytes >= this.largestBytes) {
      const detail = `The labels of this request hold ${this.usedBytes} bytes of results, and ${this.largestBytes} is the limit.`;
      return { code: 'too-many-labels', detail, path: '/as' };
    }
    return null;
  }

  /** @param json `result` as JSON text */
  define(label: string, result: Result, json: string): void {
    // A UTF-16 unit is at most three bytes of UTF-8; to count those of a short text would take as long as writing them.
    const largest = 4 + (json.length < SHORT_RESULT ? 3 * json.length : Buffer.byteLength(json));
    let block = this.log[this.log.length - 1];
    if (block === undefined || block.used + largest > LOG_BLOCK_BYTES) {
      block = { bytes: Buffer.allocUnsafeSlow(Math.max(LOG_BLOCK_BYTES, largest)), used: 0 };
      this.log.push(block);
    }
    this.places.set(label, (this.log.length - 1) * LOG_BLOCK_BYTES + block.used);
    const length = block.bytes.write(json, block.used + 4, 'utf8');
    block.bytes.writeUInt32LE(length, block.used);
    block.used += 4 + length;
    this.usedBytes += 4 + length + LABEL_BYTES;
    if (this.latest.size >= LATEST_RESULTS) {
      this.before = this.latest;
      this.latest = new Map();
    }
    this.latest.set(label, result);
  }

  /** The operation of `line` failed: a label not yet defined stays so, and whoever uses it is told why. */
  failed(label: string, line: number): void {
    const place = this.places.get(label);
    if (place !== undefined && place >= 0) return;
    if (place === undefined) {
      // What is no label need not be remembered; nor is a reason worth memory without end.
      if (!LABEL_FORM.test(label) || this.usedBytes >= this.largestBytes) return;
      this.usedBytes += LABEL_BYTES;
    }
    this.places.set(label, -line);
  }

  /** Replaces every `$` value of `operation` in place, but for `op` and `as`. Throws `LabelError`. */
  resolve(operation: Record<string, unknown>): void {
    for (const key in operation) {
      const value = operation[key];
      if (typeof value === 'string') {
        if (value.charCodeAt(0) === DOLLAR && key !== 'op' && key !== 'as') operation[key] = this.value(value, '', key);
      } else if (typeof value === 'object' && value !== null) this.resolveInside(value, pointer('', key), 1);
    }
  }

  private resolveInside(container: object, path: string, depth: number): void {
    if (depth > DEEPEST_VALUE) return;
    const members = container as Record<string, unknown>;
    for (const key in members) {
      const value = members[key];
      if (typeof value === 'string') {
        if (value.charCodeAt(0) === DOLLAR) members[key] = this.value(value, path, key);
      } else if (typeof value === 'object' && value !== null) this.resolveInside(value, pointer(path, key), depth + 1);
    }
  }

  /** What `text`, the member `key` of the value at `path`, stands for. */
  private value(text: string, path: string, key: string): unknown {
    // Nearly all are "$a" or "$a.iova" of a late result; the rest is taken apart with care.
    const dot = text.indexOf('.');
    const held = this.latest.get(dot < 0 ? text.slice(1) : text.slice(1, dot));
    if (held !== undefined) {
      const name = dot < 0 ? 'id' : text.slice(dot + 1);
      if (Object.hasOwn(held, name)) return held[name];
    }
    if (text.charCodeAt(1) === DOLLAR) return text.slice(1);
    return this.parse(text, pointer(path, key));
  }

  private parse(text: string, path: string): unknown {
    const match = REFERENCE_FORM.exec(text);
    if (match === null) {
      const forms = '"$a", "$a.iova", "$a.segments[1].iova", "$a.iova+4096", or "$$" for a literal "$"';
      throw new LabelError(
        'invalid-label',
        path,
        `"${clip(text)}" is no reference to a label; the forms are ${forms}.`,
      );
    }
    let value: unknown = this.result(match[1]!, path);
    const steps = match[2]!;
    if (steps === '') value = member(value, 'id', text, path);
    else for (const step of steps.matchAll(STEP_FORM)) value = member(value, step[1] ?? Number(step[2]), text, path);
    return match[3] === undefined ? value : add(value, match[3], text, path);
  }

  private result(label: string, path: string): Result {
    const held = this.latest.get(label) ?? this.before.get(label);
    if (held !== undefined) return held;
    const place = this.places.get(label);
    if (place === undefined) {
      throw new LabelError('unknown-label', path, `No line before this one defines the label "${label}".`);
    }
    if (place < 0) {
      throw new LabelError(
        'unknown-label',
        path,
        `The label "${label}" is undefined because the operation of line ${-place}, which was to define it, failed.`,
      );
    }
    const { bytes } = this.log[Math.floor(place / LOG_BLOCK_BYTES)]!;
    const offset = place % LOG_BLOCK_BYTES;
    const length = bytes.readUInt32LE(offset);
    return JSON.parse(bytes.toString('utf8', offset + 4, offset + 4 + length)) as Result;
  }
}

function member(value: unknown, key: string | number, text: string, path: string): unknown {
  const isContainer = typeof value === 'object' && value !== null && Array.isArray(value) === (typeof key === 'number');
  if (!isContainer || !Object.hasOwn(value, key)) {
    const name = typeof key === 'number' ? `[${key}]` : `"${key}"`;
    throw new LabelError('invalid-label', path, `"${clip(text)}": the result has no ${name} there.`);
  }
  return (value as Record<string | number, unknown>)[key];
}

/** An address or a number, moved up; an address stays hex text, exact to 64 bits. */
function add(value: unknown, offset: string, text: string, path: string): unknown {
  if (typeof value === 'string' && ADDRESS_FORM.test(value))
    return `0x${(BigInt(value) + BigInt(offset)).toString(16)}`;
  if (typeof value === 'number') {
    const sum = value + Number(offset);
    if (Number.isSafeInteger(sum) || !Number.isInteger(value)) return sum;
  }
  throw new LabelError('invalid-label', path, `"${clip(text)}": only an address or a number can have an offset added.`);
}

/** JSON Pointer of the member `key` of the value at `path`. */
function pointer(path: string, key: string): string {
  return `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

function clip(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/**
 * What stands before the name of an event, in ftrace's own text, in `trace-cmd report` and in `perf script`:
 *
 *     comm-pid   (tgid) [cpu] flags sec.frac: name: payload          ftrace
 *     comm-pid   [cpu] sec.frac: name:    payload                    trace-cmd, with flags when asked for
 *     comm  pid/tid [cpu] sec.frac: period subsystem:name: payload   perf, without [cpu] when one CPU was recorded
 *
 * Source: Linux `kernel/trace/trace_output.c`, `tools/perf/builtin-script.c`, trace-cmd's documentation.
 *
 * A task's name has up to 15 characters and any of them, blanks, dashes, brackets and colons included: the CPU's bracket is the first one
 * after which a time follows, and the pid is what stands last before it. The flags have four characters up to 5.14, five and more since,
 * and may be missing. The fraction has six or nine digits, of other clocks any number up to nine.
 */

const SPACE = 0x20;
const DASH = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const NANOSECONDS = [1e9, 1e8, 1e7, 1e6, 1e5, 1e4, 1e3, 1e2, 1e1, 1];

/** A bracket that stands farther in is in no prefix: 16 characters of a name, a pid, a tgid, and blanks between them. */
const FARTHEST_BRACKET = 96;

export class EventPrefix {
  pid = 0;
  /** -1: the line does not say. */
  cpu = 0;
  seconds = 0;
  nanoseconds = 0;
  /** With the subsystem where there is one. */
  nameStart = 0;
  eventStart = 0;
  nameEnd = 0;
  payloadStart = 0;

  /** @returns whether the line has the prefix of ftrace or trace-cmd */
  readFtrace(bytes: Uint8Array, start: number, end: number): boolean {
    const farthest = Math.min(end, start + FARTHEST_BRACKET);
    for (let at = start; at < farthest; at++) {
      if (bytes[at] !== OPEN) continue;
      const after = this.readCpu(bytes, at, end);
      if (after < 0 || !this.readTask(bytes, start, at)) continue;
      if (this.readFlagsAndRest(bytes, after, end)) return true;
    }
    return false;
  }

  /** @returns whether the line has the prefix of perf script */
  readPerf(bytes: Uint8Array, start: number, end: number): boolean {
    const farthest = Math.min(end, start + FARTHEST_BRACKET);
    for (let at = start; at < farthest; at++) {
      if (bytes[at] !== OPEN) continue;
      const after = this.readCpu(bytes, at, end);
      if (after < 0 || !this.readPerfTask(bytes, start, at)) continue;
      if (this.readTime(bytes, skipBlanks(bytes, after, end), end) && this.readPerfName(bytes, end)) return true;
    }
    // Without the CPU: the time is the first word that is one.
    for (let at = start; at < farthest; ) {
      at = skipBlanks(bytes, at, end);
      if (at > start && this.readTime(bytes, at, end) && this.readPerfTask(bytes, start, at)) {
        this.cpu = -1;
        return this.readPerfName(bytes, end);
      }
      while (at < end && bytes[at] !== SPACE) at++;
    }
    return false;
  }

  /** `[003]` and a blank. @returns where what is after it begins, or -1 */
  private readCpu(bytes: Uint8Array, open: number, end: number): number {
    let at = open + 1;
    let cpu = 0;
    let digit = bytes[at]! - ZERO;
    const first = at;
    while (at < end && digit >= 0 && digit <= 9 && at - first < 6) {
      cpu = cpu * 10 + digit;
      digit = bytes[++at]! - ZERO;
    }
    if (at === first || at + 1 >= end || bytes[at] !== CLOSE || bytes[at + 1] !== SPACE) return -1;
    this.cpu = cpu;
    return at + 1;
  }

  /** `comm-pid`, and a tgid in parentheses if any. */
  private readTask(bytes: Uint8Array, start: number, bracket: number): boolean {
    let at = bracket - 1;
    if (at < start || bytes[at] !== SPACE) return false;
    while (at > start && bytes[at] === SPACE) at--;
    if (bytes[at] === 0x29) {
      at--;
      while (at > start && (bytes[at] === SPACE || bytes[at] === DASH || isDigit(bytes[at]!))) at--;
      if (bytes[at] !== 0x28) return false;
      at--;
      if (at < start || bytes[at] !== SPACE) return false;
      while (at > start && bytes[at] === SPACE) at--;
    }
    at = this.readPid(bytes, start, at);
    return at > start && bytes[at] === DASH && hasName(bytes, start, at);
  }

  /** `comm  pid`, `comm  pid/tid`. */
  private readPerfTask(bytes: Uint8Array, start: number, before: number): boolean {
    let at = before - 1;
    if (at < start || bytes[at] !== SPACE) return false;
    while (at > start && bytes[at] === SPACE) at--;
    const tail = at;
    at = this.readPid(bytes, start, at);
    // pid/tid: the thread is what ftrace calls pid.
    if (at > start && bytes[at] === 0x2f) {
      const thread = this.pid;
      at = this.readPid(bytes, start, at - 1);
      this.pid = thread;
    }
    return at < tail && at > start && bytes[at] === SPACE && hasName(bytes, start, at);
  }

  /** Digits that end at `at`. @returns the place before them */
  private readPid(bytes: Uint8Array, start: number, at: number): number {
    let pid = 0;
    let scale = 1;
    const last = at;
    let digit = bytes[at]! - ZERO;
    while (at >= start && digit >= 0 && digit <= 9 && last - at < 10) {
      pid += digit * scale;
      scale *= 10;
      digit = bytes[--at]! - ZERO;
    }
    this.pid = pid;
    return at < last && pid < 2 ** 31 ? at : -1;
  }

  private readFlagsAndRest(bytes: Uint8Array, start: number, end: number): boolean {
    let at = skipBlanks(bytes, start, end);
    if (!this.readTime(bytes, at, end)) {
      const flags = at;
      while (at < end && bytes[at] !== SPACE) at++;
      if (at === flags || at - flags > 8) return false;
      if (!this.readTime(bytes, skipBlanks(bytes, at, end), end)) return false;
    }
    return this.readName(bytes, skipBlanks(bytes, this.payloadStart, end), end);
  }

  /** `336.054743:`; leaves `payloadStart` behind it. */
  private readTime(bytes: Uint8Array, start: number, end: number): boolean {
    let at = start;
    let seconds = 0;
    let digit = at < end ? bytes[at]! - ZERO : -1;
    while (digit >= 0 && digit <= 9) {
      seconds = seconds * 10 + digit;
      digit = ++at < end ? bytes[at]! - ZERO : -1;
    }
    if (at === start || at - start > 10 || at >= end || bytes[at] !== DOT) return false;
    const fraction = ++at;
    let value = 0;
    digit = at < end ? bytes[at]! - ZERO : -1;
    while (digit >= 0 && digit <= 9 && at - fraction < 10) {
      value = value * 10 + digit;
      digit = ++at < end ? bytes[at]! - ZERO : -1;
    }
    const digits = at - fraction;
    if (digits < 1 || digits > 9 || at >= end || bytes[at] !== COLON) return false;
    this.seconds = seconds;
    this.nanoseconds = value * NANOSECONDS[digits]!;
    this.payloadStart = at + 1;
    return true;
  }

  /** `name:`, `subsystem:name:`; and the blanks after it. */
  private readName(bytes: Uint8Array, start: number, end: number): boolean {
    let at = start;
    while (at < end && isOfName(bytes[at]!)) at++;
    if (at === start || at >= end || bytes[at] !== COLON) return false;
    this.nameStart = start;
    this.eventStart = start;
    if (at + 1 < end && isOfName(bytes[at + 1]!)) {
      let second = at + 1;
      while (second < end && isOfName(bytes[second]!)) second++;
      if (second >= end || bytes[second] !== COLON) return false;
      this.eventStart = at + 1;
      at = second;
    }
    this.nameEnd = at;
    this.payloadStart = skipBlanks(bytes, at + 1, end);
    // `payload` begins after a blank, or there is none.
    return at + 1 === end || bytes[at + 1] === SPACE;
  }

  /** A period, a number, may stand before the name. */
  private readPerfName(bytes: Uint8Array, end: number): boolean {
    let at = skipBlanks(bytes, this.payloadStart, end);
    let digits = at;
    while (digits < end && isDigit(bytes[digits]!)) digits++;
    if (digits > at && digits < end && bytes[digits] === SPACE) at = skipBlanks(bytes, digits, end);
    return this.readName(bytes, at, end);
  }
}

function skipBlanks(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] === SPACE) at++;
  return at;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** [byte]: 1 for letters, digits and `_`. */
const OF_NAME = new Uint8Array(256);
for (const letter of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_')
  OF_NAME[letter.charCodeAt(0)] = 1;

function isOfName(byte: number): boolean {
  return OF_NAME[byte] === 1;
}

/** Something but blanks. */
function hasName(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = end - 1; i >= start; i--) if (bytes[i] !== SPACE) return true;
  return false;
}

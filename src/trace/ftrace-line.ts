/**
 * The prefix that ftrace puts before every event: task, pid, CPU, flags, time, name of the event.
 *
 * Source: Linux `kernel/trace/trace_output.c` (`trace_print_context`). The flags have five characters in some kernels and seven in
 * others, and may be absent; `record-tgid` adds a column in parentheses; perf writes the subsystem before the event
 * (`iommu:map:`). A task's name may contain anything, dashes and parentheses included, so the pid is what stands last before the
 * CPU's bracket.
 */

/** A moment of the trace clock. Two numbers: nanoseconds since boot outgrow 2^53 after 104 days. */
export interface TraceTime {
  seconds: number;
  /** 0 to 999,999,999; most kernels print microseconds. */
  nanoseconds: number;
}

export interface FtraceLine {
  task: string;
  pid: number;
  cpu: number;
  time: TraceTime;
  event: string;
  payload: string;
}

/** The kernel's own buffer for one line is a page. */
export const LONGEST_LINE = 4096;

const LINE_FORM =
  /^\s*(\S.*)-(\d+)\s+(?:\([\s\d-]+\)\s+)?\[(\d{1,5})\]\s+(?:\S{1,8}\s+)?(\d{1,10})\.(\d{1,9}):\s+(?:\w+:)?(\w+):(?:\s(.*))?$/;

/** null: not a line of an event. */
export function readFtraceLine(text: string): FtraceLine | null {
  if (text.length > LONGEST_LINE) return null;
  const match = LINE_FORM.exec(text);
  if (match === null) return null;
  const [, task, pid, cpu, seconds, fraction, event, payload] = match;
  return {
    task: task!,
    pid: Number(pid),
    cpu: Number(cpu),
    time: { seconds: Number(seconds), nanoseconds: Number(fraction!.padEnd(9, '0')) },
    event: event!,
    payload: payload ?? '',
  };
}

/** Nanoseconds from one moment to a later one; negative when the clock stepped back. */
export function nsBetween(from: TraceTime, to: TraceTime): number {
  return (to.seconds - from.seconds) * 1e9 + (to.nanoseconds - from.nanoseconds);
}

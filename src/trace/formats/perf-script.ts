/** `perf script`. */
import { EventLines, type OtherLine } from './event-lines.ts';
import type { FormatEntry } from './format.ts';

const LINE = /^\s*\S.*\s\d+(?:\/\d+)?\s+(?:\[\d+\]\s+)?\d+\.\d{6,9}:\s+(?:\d+\s+)?\w+:\w+:/;

const OTHERS: readonly OtherLine[] = [];

export const perfScript: FormatEntry = {
  kind: 'perf-script',
  title: '`perf script`',
  recognisedBy:
    'lines of the form `comm pid [cpu] sec.frac: subsystem:event:`, at least one in five (call chains stand between)',
  options: {},
  source: 'Linux tools/perf/builtin-script.c; payloads as of ftrace',
  becomes: 'as of ftrace, whatever stands before the event; call chains are skipped',
  recognise({ lines }) {
    const fitting = lines.filter((line) => LINE.test(line)).length;
    return fitting > 0 && fitting * 5 >= lines.length
      ? `${fitting} of its first ${lines.length} lines have a task, a time and an event with its subsystem`
      : null;
  },
  open: (intake) => new EventLines(intake, 'perf', OTHERS),
};

/** `trace-cmd report`. */
import { CALL_CHAIN, EventLines, type OtherLine } from './event-lines.ts';
import type { FormatEntry } from './format.ts';

const HEADER = /^\s*(?:version = \d+|cpus=\d+)\s*$/;
const LINE = /^\s*\S.*-\d+\s+(?:\([\s\d-]+\)\s+)?\[\d+\]\s+\d+\.\d{6,9}:\s+\w+:/;

const OTHERS: readonly OtherLine[] = [
  { form: HEADER, is: 'comment' },
  { form: /^\s*CPU \d+ is empty\s*$/, is: 'comment' },
  { form: /\[FAILED TO PARSE\]/, is: 'an event that trace-cmd could not print' },
];

export const traceCmd: FormatEntry = {
  kind: 'trace-cmd',
  title: '`trace-cmd report`',
  recognisedBy: 'its header `cpus=n`, or most lines of the form `comm-pid [cpu] sec.frac: event:` without flags',
  options: {},
  source: 'trace-cmd, Documentation/trace-cmd-report.1; payloads as of ftrace',
  becomes: 'as of ftrace; `EVENTS DROPPED` becomes `lost`',
  recognise({ lines }) {
    const header = lines.find((line) => HEADER.test(line));
    if (header !== undefined) return `it has the header "${header.trim()}"`;
    const events = lines.filter((line) => !CALL_CHAIN.test(line));
    const fitting = events.filter((line) => LINE.test(line)).length;
    return fitting * 2 > events.length
      ? `${fitting} of its first ${lines.length} lines have a task, a CPU and a time`
      : null;
  },
  open: (intake) => new EventLines(intake, 'ftrace', OTHERS),
};

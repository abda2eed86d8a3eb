/** `trace` and `trace_pipe` of tracefs. */
import { CALL_CHAIN, EventLines, type OtherLine } from './event-lines.ts';
import type { FormatEntry } from './format.ts';

export const FTRACE_LINE = /^\s*\S.*-\d+\s+(?:\([\s\d-]+\)\s+)?\[\d+\]\s+\S{4,8}\s+\d+\.\d{6,9}:\s/;

const OTHERS: readonly OtherLine[] = [];

export const ftrace: FormatEntry = {
  kind: 'ftrace',
  title: 'ftrace text (`trace`, `trace_pipe`)',
  recognisedBy: 'its header `# tracer:`, or most lines of the form `comm-pid [cpu] flags sec.frac: event:`',
  options: {},
  source:
    'Linux kernel/trace/trace_output.c, include/trace/events/{dma,iommu,swiotlb,block}.h, drivers/iommu/intel/trace.h',
  becomes:
    'an event for each line of an event that is understood; `[LOST n EVENTS]` becomes `lost`; call chains and function_graph are skipped',
  recognise({ lines, comments }) {
    const header = comments.find((comment) => /^\s*tracer: /.test(comment));
    if (header !== undefined) return `it has the header "#${header}"`;
    const events = lines.filter((line) => !CALL_CHAIN.test(line));
    const fitting = events.filter((line) => FTRACE_LINE.test(line)).length;
    return fitting * 2 > events.length
      ? `${fitting} of its first ${lines.length} lines have a task, a CPU, flags and a time`
      : null;
  },
  open: (intake) => new EventLines(intake, 'ftrace', OTHERS),
};

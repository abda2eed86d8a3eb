/** The formats that are read, in the order in which `auto` tries them: one line each. */
import type { FormatEntry } from './format.ts';
import { ftrace } from './ftrace.ts';

export const formats: Readonly<Record<string, FormatEntry>> = {
  ftrace,
};

/** The formats that are read, in the order in which `auto` tries them: one line each. */
import { blkparse } from './blkparse.ts';
import { cloudphysics } from './cloudphysics.ts';
import { csv } from './csv.ts';
import type { FormatEntry } from './format.ts';
import { ftrace } from './ftrace.ts';
import { msr } from './msr.ts';
import { pcap } from './pcap.ts';
import { pcapng } from './pcapng.ts';
import { perfScript } from './perf-script.ts';
import { traceCmd } from './trace-cmd.ts';

const ENTRIES: readonly FormatEntry[] = [pcapng, pcap, traceCmd, ftrace, perfScript, blkparse, msr, cloudphysics, csv];

export const formats: Readonly<Record<string, FormatEntry>> = Object.fromEntries(
  ENTRIES.map((entry) => [entry.kind, entry]),
);

/** What work on a whole recording may take: to write one of a session's history, and to look at all of one. Each in a thread of its own. */

export interface ExportLimits {
  /** At a time. */
  exports: number;
  /** Of the thread's heap. */
  heapMib: number;
  /** From its beginning to its end, milliseconds of wall time; and without anybody taking anything. */
  wholeMs: number;
  idleMs: number;
}

export interface AnalysisLimits {
  /** At a time. */
  analyses: number;
  heapMib: number;
  /** Of wall time. */
  wholeMs: number;
}

/** Those that are not there are the usual ones. */
export interface TraceWorkLimits {
  exports?: Partial<ExportLimits>;
  analyses?: Partial<AnalysisLimits>;
}

export const EXPORT_LIMITS: Readonly<ExportLimits> = { exports: 2, heapMib: 1024, wholeMs: 3_600_000, idleMs: 60_000 };
export const ANALYSIS_LIMITS: Readonly<AnalysisLimits> = { analyses: 2, heapMib: 2048, wholeMs: 600_000 };

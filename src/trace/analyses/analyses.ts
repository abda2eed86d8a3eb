/** What is asked of a whole recording (checks, forensics), each in a thread of its own, which ends when nobody waits for it any more. */
import { Worker } from 'node:worker_threads';
import type { Reply } from '../../host/host.ts';
import { refuse } from '../../host/problems.ts';

export type AnalysisKind = 'checks' | 'forensics';

export interface AnalysisSettings {
  path: string;
  kind: AnalysisKind;
}

export type AnalysisSaid = { ok: true; result: Record<string, unknown> } | { ok: false; reason: string };

export interface AnalysisLimits {
  /** At a time. */
  analyses: number;
  heapMib: number;
  /** Of wall time. */
  wholeMs: number;
}

export const ANALYSIS_LIMITS: AnalysisLimits = { analyses: 2, heapMib: 2048, wholeMs: 600_000 };

const THREAD_URL = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url);

export class Analyses {
  private readonly limits: AnalysisLimits;
  private running = 0;

  constructor(limits: Partial<AnalysisLimits> = {}) {
    this.limits = { ...ANALYSIS_LIMITS, ...limits };
  }

  /** @param signal ends it: nobody waits any more */
  async run(settings: AnalysisSettings, signal: AbortSignal): Promise<Reply> {
    const { analyses, heapMib, wholeMs } = this.limits;
    if (this.running >= analyses)
      return refuse({
        code: 'overloaded',
        detail: `${this.running} recordings are being looked at, and ${analyses} is the most at a time.`,
        retryable: true,
      });
    this.running++;
    const worker = new Worker(THREAD_URL, {
      name: 'analysis',
      workerData: settings,
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: heapMib },
    });
    let ending: () => void = () => {};
    const whole = setTimeout(() => ending(), wholeMs);
    try {
      const said = await new Promise<AnalysisSaid>((resolve) => {
        const failed = (reason: string) => resolve({ ok: false, reason });
        ending = () => failed(`it takes more than ${wholeMs / 1000} s`);
        worker.once('message', resolve);
        worker.once('error', (error) => failed(error.message));
        worker.once('exit', () => failed('the thread that did it ended'));
        signal.addEventListener('abort', () => failed('nobody waits for it'), { once: true });
        if (signal.aborted) failed('nobody waits for it');
      });
      if (said.ok) return { ok: true, value: said.result };
      return refuse({ code: 'trace-damaged', detail: `The recording cannot be looked at: ${said.reason}.` });
    } finally {
      clearTimeout(whole);
      this.running--;
      await worker.terminate();
    }
  }
}

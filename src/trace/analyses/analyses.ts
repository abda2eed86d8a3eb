/** What is asked of a whole recording (checks, forensics), each in a thread of its own, which ends when nobody waits for it any more. */
import { Worker } from 'node:worker_threads';
import type { Reply } from '../../host/host.ts';
import { refuse } from '../../host/problems.ts';
import { ANALYSIS_LIMITS, type AnalysisLimits } from '../work-limits.ts';

export type AnalysisKind = 'checks' | 'forensics';

export interface AnalysisSettings {
  path: string;
  kind: AnalysisKind;
}

export type AnalysisSaid = { ok: true; result: Record<string, unknown> } | { ok: false; reason: string };

/** A bound was met. */
interface TooLarge {
  ok: false;
  takes: string;
}

const THREAD_URL = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url);

export class Analyses {
  readonly limits: Readonly<AnalysisLimits>;
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
      const said = await new Promise<AnalysisSaid | TooLarge>((resolve) => {
        const failed = (reason: string) => resolve({ ok: false, reason });
        const tooLarge = (takes: string) => resolve({ ok: false, takes });
        ending = () => tooLarge(`${wholeMs / 1000} s`);
        worker.once('message', resolve);
        worker.once('error', (error: NodeJS.ErrnoException) => {
          if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') tooLarge(`${heapMib} MiB of heap`);
          else failed(error.message);
        });
        worker.once('exit', () => failed('the thread that did it ended'));
        signal.addEventListener('abort', () => failed('nobody waits for it'), { once: true });
        if (signal.aborted) failed('nobody waits for it');
      });
      if (said.ok) return { ok: true, value: said.result };
      if ('takes' in said)
        return refuse({
          code: 'trace-too-large',
          detail: `To look at all of the recording takes more than ${said.takes}, which is the limit of this server.`,
        });
      return refuse({ code: 'trace-damaged', detail: `The recording cannot be looked at: ${said.reason}.` });
    } finally {
      clearTimeout(whole);
      this.running--;
      await worker.terminate();
    }
  }
}

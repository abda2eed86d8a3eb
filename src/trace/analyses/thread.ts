/** A thread of `analyses.ts`: one look at one tape, from its first event to its last. */
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../host/problems.ts';
import { checkRecording } from '../checks/index.ts';
import { forensicsOf } from '../forensics/forensics.ts';
import { openTape } from '../tape.ts';
import type { AnalysisKind, AnalysisSaid, AnalysisSettings } from './analyses.ts';

if (parentPort === null) throw new Error('thread.ts runs as a worker thread of analyses.ts');
const { path, kind } = workerData as AnalysisSettings;

const LOOKS: Readonly<Record<AnalysisKind, (tape: ReturnType<typeof openTape>) => object>> = {
  checks: checkRecording,
  forensics: forensicsOf,
};

function said(): AnalysisSaid {
  try {
    const tape = openTape(path);
    try {
      return { ok: true, result: { ...LOOKS[kind](tape) } };
    } finally {
      tape.close();
    }
  } catch (error) {
    return { ok: false, reason: messageOf(error) };
  }
}

parentPort.postMessage(said());

/** A process that computes jobs one after the other and does nothing else: what threads and workers are held against. */
import { tuneCompiler } from '../../src/host/compiler.ts';
import type { Job } from '../../src/lab/experiment.ts';
import { keyOf, runJob } from '../../src/lab/job.ts';

tuneCompiler();

process.on('message', (jobs: Job[]) => {
  const begin = performance.now();
  const digests = jobs.map((job) => {
    const outcome = runJob(job);
    if (!outcome.ok) throw new Error(`${keyOf(job)}: ${outcome.detail}`);
    return outcome.digest;
  });
  process.send!({ ms: performance.now() - begin, digests });
});
process.on('disconnect', () => process.exit(0));
process.send!({ ready: true });

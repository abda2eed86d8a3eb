/** `worker`: a process that computes jobs of experiments, which servers put into a queue. It ends at SIGINT or SIGTERM. */

import { redisAddress } from '../../lab/queue/redis.ts';
import { EXIT, Failure } from '../failure.ts';
import type { WorkerOptions } from '../program.ts';
import type { Terminal } from '../terminal.ts';

export async function worker(_terminal: Terminal, options: WorkerOptions): Promise<number> {
  const redis = options.redis ?? process.env.IOMMU_LAB_REDIS_URL ?? process.env.IOMMU_LAB_REDIS ?? '';
  if (redis === '')
    throw new Failure(EXIT.usage, 'Where is the queue? Say --redis redis://<host>:<port>, or set IOMMU_LAB_REDIS_URL.');
  // It may hold a password, so it is not said again.
  if (redisAddress(redis) === null)
    throw new Failure(
      EXIT.usage,
      'The address of the queue is none: redis://[[user]:password@]host[:port][/database], or rediss://',
    );
  return EXIT.fine;
}

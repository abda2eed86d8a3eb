/** `worker`: a process that computes jobs of experiments, which servers put into a queue. SIGINT or SIGTERM end it. */
import { existsSync, statSync } from 'node:fs';
import { pino } from 'pino';
import { redisAddress } from '../../lab/queue/redis.ts';
import { runWorker } from '../../lab/queue/worker.ts';
import { EXIT, EXIT_OF_SIGNAL, Failure } from '../failure.ts';
import type { WorkerOptions } from '../program.ts';

const MOST = 256;

export async function worker({ redis, concurrency, traces, aliveFile, logLevel }: WorkerOptions): Promise<number> {
  const url = redis ?? process.env.IOMMU_LAB_REDIS_URL ?? '';
  if (url === '')
    throw new Failure(EXIT.usage, 'Where is the queue? Say --redis redis://<host>:<port>, or set IOMMU_LAB_REDIS_URL.');
  // It may hold a password, so it is not said again.
  if (redisAddress(url) === null)
    throw new Failure(
      EXIT.usage,
      'The address of the queue is none: redis://[[user]:password@]host[:port][/database], or rediss://',
    );
  const width = concurrency === undefined ? undefined : Number(concurrency);
  if (width !== undefined && !(Number.isInteger(width) && width >= 1 && width <= MOST))
    throw new Failure(EXIT.usage, `--concurrency is "${concurrency}"; allowed is a whole number from 1 to ${MOST}`);
  const tapes = traces ?? process.env.IOMMU_LAB_TRACES ?? '';
  if (tapes !== '' && !(existsSync(tapes) && statSync(tapes).isDirectory()))
    throw new Failure(
      EXIT.usage,
      `--traces ${tapes}: there is no such folder; it is \`traces\` below the data folder of the server, or one with copies of its tapes`,
    );
  const end = new AbortController();
  for (const [signal, exitCode] of Object.entries(EXIT_OF_SIGNAL))
    process.on(signal, () => {
      if (end.signal.aborted) process.exit(exitCode);
      end.abort();
    });
  await runWorker({
    redis: url,
    logger: pino({ level: logLevel }, pino.destination(2)),
    signal: end.signal,
    traces: tapes === '' ? null : tapes,
    ...(width !== undefined && { concurrency: width }),
    ...(aliveFile !== undefined && { aliveFile }),
  });
  return EXIT.fine;
}

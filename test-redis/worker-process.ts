/** A worker as a process of its own, to be killed: `node worker-process.ts <url> <jobs at a time> [<folder>]`, 0 for
 * threads as many as there are cores, which find tapes in that folder. Tells what it does, a line each. */
import { pino } from 'pino';
import { runWorker } from '../src/lab/queue/worker.ts';
import { SlowRunner } from './slow-runner.ts';

const [url = '', width = '1', traces = null] = process.argv.slice(2);
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
const slow = new SlowRunner(Number(width), (event, key) => console.log(JSON.stringify({ event, key })));
const runner = width === '0' ? { traces } : { runner: slow };
await runWorker({ redis: url, signal: stop.signal, ...runner, graceMs: 1_000, logger: pino(pino.destination(2)) });
console.log(JSON.stringify({ event: 'bye' }));
process.exit(0);

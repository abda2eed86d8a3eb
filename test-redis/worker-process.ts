/** A worker as a process of its own, to be killed: `node worker-process.ts <url> <jobs at a time>`. Tells what it does, a line each. */
import { pino } from 'pino';
import { runWorker } from '../src/lab/queue/worker.ts';
import { SlowRunner } from './slow-runner.ts';

const [url = '', width = '1'] = process.argv.slice(2);
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
const runner = new SlowRunner(Number(width), (event, key) => console.log(JSON.stringify({ event, key })));
await runWorker({ redis: url, signal: stop.signal, runner, graceMs: 1_000, logger: pino(pino.destination(2)) });
console.log(JSON.stringify({ event: 'bye' }));
process.exit(0);

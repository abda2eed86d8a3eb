/** What a server does with an experiment's jobs, as a process to be killed: jobs as JSON on stdin, outcomes as lines on stdout. */
import { text } from 'node:stream/consumers';
import { createQueueRunner } from '../src/lab/queue/queue-runner.ts';
import { type KeyedJob, outcomesOf } from './jobs.ts';

const [url = '', name = ''] = process.argv.slice(2);
const jobs = JSON.parse(await text(process.stdin)) as KeyedJob[];
const runner = await createQueueRunner({ redis: url, name });
console.log(JSON.stringify({ event: 'asks' }));
const outcomes = await outcomesOf(runner, jobs);
await runner.close();
console.log(JSON.stringify({ event: 'outcomes', outcomes }));

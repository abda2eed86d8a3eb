// The container's health check: whether the server in it is ready. Plain JavaScript, so that it starts in a few milliseconds; the
// base image has neither curl nor wget.
//
// With the path of a file, whether the worker in it lives: it writes that file each second while it has its queue.
//
// Where the server listens, it says itself in `server.json` of its data folder, so any port, address, base path and certificate will do.
import { readFileSync, statSync } from 'node:fs';
import { get as getByHttp } from 'node:http';
import { get as getByHttps } from 'node:https';
import { join } from 'node:path';

/** Below the `--timeout` of the Dockerfile, so that the reason is seen. */
const LIMIT_MS = 4_000;

/** A worker waits that long for a queue that is away, before it counts as ill. */
const OLDEST_MS = 30_000;

const aliveFile = process.argv[2];
if (aliveFile !== undefined) {
  const ageMs = Date.now() - (statSync(aliveFile, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  console.log(ageMs < OLDEST_MS ? 'lives' : 'gives no sign of life');
  process.exit(ageMs < OLDEST_MS ? 0 : 1);
}

try {
  const notes = join(process.env.IOMMU_LAB_DATA ?? '/data', 'server.json');
  const { address } = JSON.parse(readFileSync(notes, 'utf8'));
  if (typeof address !== 'string') throw new Error('the server is starting');
  const { status, text } = await ask(`${address}/readyz`);
  console.log(`${status} ${text}`);
  process.exitCode = status === 200 ? 0 : 1;
} catch (error) {
  console.log(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

function ask(url) {
  const { promise, resolve, reject } = Promise.withResolvers();
  const get = url.startsWith('https:') ? getByHttps : getByHttp;
  // The certificate is for the name that clients use; this is the server's own address.
  const options = { rejectUnauthorized: false, agent: false, signal: AbortSignal.timeout(LIMIT_MS) };
  get(url, options, (reply) => {
    let text = '';
    reply.setEncoding('utf8');
    reply.on('data', (part) => {
      text += part;
    });
    reply.on('end', () => resolve({ status: reply.statusCode, text }));
    reply.on('error', reject);
  }).on('error', reject);
  return promise;
}

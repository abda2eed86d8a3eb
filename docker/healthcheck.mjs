// The container's health check: whether the server in it is ready. Plain JavaScript, so that it starts in a few milliseconds; the
// base image has neither curl nor wget.
//
// Where the server listens, it says itself in `server.json` of its data folder, so any port and address will do.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Below the `--timeout` of the Dockerfile, so that the reason is seen. */
const LIMIT_MS = 4_000;

try {
  const notes = join(process.env.IOMMU_LAB_DATA ?? '/data', 'server.json');
  const { address } = JSON.parse(readFileSync(notes, 'utf8'));
  if (typeof address !== 'string') throw new Error('the server is starting');
  const reply = await fetch(new URL('/readyz', address), { signal: AbortSignal.timeout(LIMIT_MS) });
  console.log(`${reply.status} ${await reply.text()}`);
  process.exitCode = reply.ok ? 0 : 1;
} catch (error) {
  console.log(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

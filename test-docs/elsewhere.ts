/**
 * Commands of the docs that another suite carries out, because they need what only that suite has, or because they are what starts
 * the suites. Each names the file that does it and words of it, so that an entry whose test is gone is noticed.
 */
export interface Elsewhere {
  command: RegExp;
  file: string;
  words: string;
}

export const ELSEWHERE: Elsewhere[] = [
  { command: /^npm ci && npm (start|test)$/, file: '.ci/run', words: 'step npm ci' },
  { command: /^docker build /, file: 'test-image/image.test.ts', words: 'docker/Dockerfile' },
  { command: /^docker run /, file: 'test-image/image.test.ts', words: 'IOMMU_LAB_INSECURE' },
  { command: /^docker compose /, file: 'test-image/lint.test.ts', words: 'compose.yaml' },
  { command: /^npm start -- --tls-cert /, file: 'test/main/tls.test.ts', words: '--tls-cert' },
  { command: /^npm start -- --otlp-endpoint /, file: 'test/main/telemetry.test.ts', words: '--otlp-endpoint' },
  { command: /^IOMMU_LAB_REDIS_URL=\S+ npm start( -- worker)?$/, file: 'test-redis/jobs.test.ts', words: 'redis' },
  { command: /^npm run thread-2008$/, file: 'test/docs/thread-2008.test.ts', words: 'thread-2008' },
  { command: /^npm run golden$/, file: 'test/scenarios/golden.test.ts', words: 'golden' },
  { command: /^npm run repro -- /, file: 'test/lab/repro/fidelity.test.ts', words: 'fidelity' },
];

/** What cannot be had here: it is neither on npm nor in Debian, or needs a recording that is being made. */
export const NOT_RUN: RegExp[] = [/\| websocat /, /^trace-cmd report \| /];

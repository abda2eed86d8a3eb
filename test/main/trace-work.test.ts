/** Bounds of work on recordings as the server was started: by a flag, by a variable, by the file. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withServers } from './server-process.ts';

test('bounds of exports and analyses come from flags, the environment and the file, and stand in GET /v1', () =>
  withServers(async (start, folder) => {
    const config = join(folder, 'config.json');
    writeFileSync(config, JSON.stringify({ traceExportHeapMib: 256, traceAnalysisSeconds: 30, traceExports: 9 }));
    const flags = ['--data', join(folder, 'data'), '--port', '0', '--config', config, '--workers', '1'];
    const environment = { IOMMU_LAB_TRACE_ANALYSES: '3', IOMMU_LAB_TRACE_ANALYSIS_HEAP_MIB: '512' };
    const server = start([...flags, '--trace-exports', '4', '--trace-export-seconds', '60'], environment);
    const { limits } = (await (await fetch(`${await server.address()}/v1`)).json()) as {
      limits: Record<string, number>;
    };
    const told = Object.entries(limits).filter(([name]) => /^trace(Export|Anal)/.test(name));
    assert.deepEqual(Object.fromEntries(told), {
      traceExports: 4,
      traceExportHeapMib: 256,
      traceExportMs: 60_000,
      traceExportIdleMs: 60_000,
      traceAnalyses: 3,
      traceAnalysisHeapMib: 512,
      traceAnalysisMs: 30_000,
    });
  }));

test('a heap in which no thread would begin is refused by its name', () =>
  withServers(async (start, folder) => {
    const server = start(['--data', folder, '--port', '0', '--trace-analysis-heap-mib', '1']);
    assert.equal(await server.ended(), 1);
    assert.match(server.stderr, /--trace-analysis-heap-mib is "1"; allowed is a whole number from 64/);
  }));

/** `/v1`: version, limits, and where to go from here. */
import { LIMITS } from '../src/api/limits.ts';
import { apiVersion, version } from '../src/api/version.ts';
import type { ArchiveLimits } from '../src/trace/archive/limits.ts';
import type { AnalysisLimits, ExportLimits } from '../src/trace/work-limits.ts';
import type { Handlers } from './handlers.ts';

const LINKS = {
  sessions: '/v1/sessions',
  traces: '/v1/traces',
  catalog: '/v1/catalog',
  contract: '/openapi.yaml',
  docs: '/docs',
};

/** Of recordings, as this server was set up. */
type TraceLimits = Pick<ArchiveLimits, 'uploadBytes' | 'unpackedBytes' | 'storedBytes' | 'idleMs'>;

export function versionHandlers(
  basePath: string,
  traces: TraceLimits,
  exports: ExportLimits,
  analyses: AnalysisLimits,
): Handlers {
  const links = Object.fromEntries(Object.entries(LINKS).map(([name, path]) => [name, basePath + path]));
  const document = {
    name: 'iommu-lab',
    version,
    apiVersion,
    limits: { ...LIMITS, ...limitsOf(traces), ...limitsOfWork(exports, analyses) },
    links,
  };
  return {
    async getVersion() {
      return document;
    },
  };
}

function limitsOf({ uploadBytes, unpackedBytes, storedBytes, idleMs }: TraceLimits): Record<string, number> {
  return {
    traceUploadBytes: uploadBytes,
    traceUnpackedBytes: unpackedBytes,
    tracesStoredBytes: storedBytes,
    traceIdleMs: idleMs,
  };
}

function limitsOfWork(exports: ExportLimits, analyses: AnalysisLimits): Record<string, number> {
  return {
    traceExports: exports.exports,
    traceExportHeapMib: exports.heapMib,
    traceExportMs: exports.wholeMs,
    traceExportIdleMs: exports.idleMs,
    traceAnalyses: analyses.analyses,
    traceAnalysisHeapMib: analyses.heapMib,
    traceAnalysisMs: analyses.wholeMs,
  };
}

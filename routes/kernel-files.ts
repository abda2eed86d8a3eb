/** `/v1/sessions/{session}/kernel/{file}`: what a kernel would show, as text. */
import { dmaMapBenchmark, dmarPerfLatency, dmesg, type KernelFile, type Latencies } from '../src/api/kernel-files.ts';
import { LIMITS } from '../src/api/limits.ts';
import type { SessionHost } from '../src/host/host.ts';
import { type Handlers, orProblem, read } from './handlers.ts';

interface Faults {
  items: { timeNs: number; message: string }[];
  nextCursor?: string;
}

export function kernelFileHandlers(host: SessionHost): Handlers {
  const texts: Record<KernelFile, (session: string) => Promise<string>> = {
    async dmar_perf_latency(session) {
      const { meters } = orProblem(await host.scrape(session, true));
      const { histograms } = meters as unknown as { histograms: { invalidation: Latencies } };
      return dmarPerfLatency(histograms.invalidation);
    },
    async dma_map_benchmark(session) {
      const { workloads } = await read(host, session, { read: 'metrics' });
      return dmaMapBenchmark(workloads as { lines?: string[] }[]);
    },
    async dmesg(session) {
      const parts: string[] = [];
      let cursor: string | undefined;
      do {
        const page = { limit: LIMITS.pageItems, ...(cursor === undefined ? {} : { cursor }) };
        const faults = (await read(host, session, { read: 'faults', ...page })) as unknown as Faults;
        parts.push(dmesg(faults.items));
        cursor = faults.nextCursor;
      } while (cursor !== undefined);
      return parts.join('');
    },
  };
  return {
    async getKernelFile(request, reply) {
      const { session, file } = request.params as { session: string; file: KernelFile };
      reply.type('text/plain; charset=utf-8');
      return texts[file](session);
    },
  };
}

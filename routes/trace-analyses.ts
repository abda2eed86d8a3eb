/** `/v1/traces/{trace}/checks` and `/forensics`: what a recording says about whoever made it. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { TraceView } from '../src/access/traces.ts';
import type { Analyses, AnalysisKind } from '../src/trace/analyses/analyses.ts';
import { type Handlers, orProblem } from './handlers.ts';

export function analysisHandlers(viewOf: (request: FastifyRequest) => TraceView, analyses: Analyses): Handlers {
  const look = (kind: AnalysisKind) => async (request: FastifyRequest, reply: FastifyReply) => {
    const { trace } = request.params as { trace: string };
    const { path } = orProblem(viewOf(request).tapeOf(trace));
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    return orProblem(await analyses.run({ path, kind }, gone.signal));
  };
  return { checkTrace: look('checks'), getTraceForensics: look('forensics') };
}

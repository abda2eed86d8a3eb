/** What workers tell that is no reply: frames for those who listen, states, what was computed, and lines for the log. */
import type { Audience } from './audience.ts';
import type { HostProblem, Pause, SessionFrame, SessionState } from './host.ts';
import type { HostLogger } from './logger.ts';
import type { CalledBy, Told } from './protocol.ts';
import type { Quotas } from './quotas.ts';
import type { Registry } from './registry.ts';
import type { Tracing } from './tracing.ts';
import type { WorkerEvents } from './worker-handle.ts';

export interface WorkerNewsParts {
  registry: Registry;
  audience: Audience;
  quotas: Quotas;
  logger: HostLogger;
  tracing: Tracing;
  died: WorkerEvents['died'];
}

export class WorkerNews implements WorkerEvents {
  readonly tracing: Tracing;
  readonly died: WorkerEvents['died'];
  private readonly parts: WorkerNewsParts;

  constructor(parts: WorkerNewsParts) {
    this.parts = parts;
    this.tracing = parts.tracing;
    this.died = parts.died;
  }

  frames(session: string, frames: SessionFrame[]): void {
    const { registry, audience } = this.parts;
    const entry = registry.entryOf(session);
    if (entry !== undefined) audience.tell((listener) => listener.frames(session, entry.epoch, frames));
  }

  computed(session: string, ms: number): void {
    const { registry, quotas } = this.parts;
    const entry = registry.entryOf(session);
    if (entry !== undefined) quotas.noteComputed(entry, ms);
  }

  state(session: string, state: SessionState, problem: HostProblem | null, paused: Pause | null): void {
    const { registry, audience, logger } = this.parts;
    const entry = registry.entryOf(session);
    if (entry === undefined) return;
    entry.state = state;
    entry.status = { ...entry.status, paused };
    entry.failure = problem;
    if (problem === null) return;
    const worker = entry.handle?.index;
    logger.error({ session, reason: problem.detail, ...(worker !== undefined && { worker }) }, 'session failed');
    audience.tell((listener) => listener.failed(session));
  }

  /** Of a run: in the log, and as something by itself that came out of a request. */
  told(session: string, told: Told, from: CalledBy | null): void {
    const { registry, logger, tracing } = this.parts;
    const { what, run, timeNs } = told;
    const worker = registry.entryOf(session)?.handle?.index;
    const by =
      from === null
        ? {}
        : {
            requestId: from.requestId,
            ...(from.principal !== null && { principal: from.principal }),
            ...(from.traceId !== null && { traceId: from.traceId }),
          };
    const fields = { ...by, session, ...(worker !== undefined && { worker }), run, timeNs };
    if (what === 'run-started') {
      logger.info(fields, 'run started');
      return;
    }
    const { state, computedMs, worked, problem } = told;
    const ms = Math.round(computedMs * 1000) / 1000;
    logger.info({ ...fields, state, ms, ...(problem !== null && { reason: problem.detail }) }, 'run ended');
    if (worked === null) return;
    tracing.past({
      name: 'run',
      link: from?.context ?? null,
      attributes: {
        'iommu_lab.session': session,
        'iommu_lab.run': run,
        'iommu_lab.run.state': state,
        'iommu_lab.run.computed_ms': ms,
        ...(worker !== undefined && { 'iommu_lab.worker': worker }),
      },
      ...worked,
      code: problem?.code ?? null,
    });
  }
}

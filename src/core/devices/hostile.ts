/**
 * hostile: a device that goes on using addresses it has seen, under the requester id of its target. What it learns is what a device
 * is told: the addresses of its own mappings.
 *
 * Source: the last paragraph of the thread of June 2008: use after unmap goes unseen while the stale entry lives.
 */
import { Histogram } from '../meter/histogram.ts';
import type { Device } from '../os/device.ts';
import { UnmapHistory } from '../os/device.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import type { RandomStream } from '../sim/random.ts';
import type { Simulator } from '../simulator.ts';
import { VERDICT } from '../truth/oracle.ts';
import { DONE, Workload, type WorkloadEntry, type WorkloadSetup } from './workload.ts';

const ATTEMPT = 1;
/** Bytes of one attempt: a cache line. */
const ACCESS_BYTES = 64;
const NONE = -1;

class Hostile extends Workload {
  private readonly periodPs: number;
  private readonly delayPs: number;
  private readonly write: boolean;
  private readonly select: string;
  private readonly random: RandomStream;
  /** Attempts for which nothing was known to aim at. */
  skipped = 0;
  /** Of accesses that no mapping allowed any more: ns from the last unmap at their address; those to another tenant's frames apart. */
  private readonly staleDelayNs = new Histogram();
  private readonly crossTenantDelayNs = new Histogram();
  /** ns of the run before the first that reached another tenant's frame, NONE before it. */
  private firstCrossTenantNs = NONE;

  constructor(simulator: Simulator, setup: WorkloadSetup) {
    super(simulator, setup);
    const { spec } = setup;
    this.periodPs = Math.max(1, Math.round(1e6 / (spec.accessesPerUs as number)));
    this.delayPs = (spec.delayAfterUnmapNs as number) * 1000;
    this.write = spec.access === 'write';
    this.select = spec.select as string;
    this.random = simulator.random.stream(`hostile-${setup.index}`);
    if (this.select !== 'live') this.target.history ??= new UnmapHistory();
  }

  protected start(now: number): void {
    this.skipped = 0;
    this.staleDelayNs.clear();
    this.crossTenantDelayNs.clear();
    this.firstCrossTenantNs = NONE;
    this.arm(now + this.periodPs, ATTEMPT, 0);
  }

  event(_phase: number, _queue: number, now: number): boolean {
    this.arm(now + this.periodPs, ATTEMPT, 0);
    const { target } = this;
    if (this.select === 'live') this.touchLive(target, now);
    else this.touchUnmapped(target, now);
    return DONE;
  }

  private touchLive(target: Device, now: number): void {
    const { mappings } = this.simulator;
    if (mappings.used === 0 || target.liveMappings === 0) {
      this.skipped++;
      return;
    }
    for (let tries = 0; tries < 16; tries++) {
      const slot = this.random.below(mappings.used);
      if (mappings.live[slot] !== 1 || mappings.device[slot] !== target.index) continue;
      this.attempt(target, mappings.page[slot]!, mappings.offset[slot]!, now);
      return;
    }
    this.skipped++;
  }

  private touchUnmapped(target: Device, now: number): void {
    const history = target.history!;
    const latest = now - this.delayPs;
    // Entries are in the order of the unmaps: skip those that are too young.
    let first = 0;
    while (first < history.count && history.timeAt(first) > latest) first++;
    if (first === history.count) {
      this.skipped++;
      return;
    }
    const n = this.select === 'random-unmapped' ? first + this.random.below(history.count - first) : first;
    this.attempt(target, history.pageAt(n), history.offsetAt(n), now);
  }

  private attempt(target: Device, page: number, offset: number, now: number): void {
    const { counters } = this.simulator;
    const { attemptsAfterUnmap, attemptsDetected } = counters;
    const { stale, staleCrossTenant } = this;
    this.access(target, page, offset, Math.min(ACCESS_BYTES, 4096 - offset), this.write, now);
    this.attempts += counters.attemptsAfterUnmap - attemptsAfterUnmap;
    this.detected += counters.attemptsDetected - attemptsDetected;
    this.offered++;
    if (this.stale > stale) this.book(target, page, this.staleCrossTenant > staleCrossTenant, now);
  }

  private get staleCrossTenant(): number {
    return this.verdicts[VERDICT.staleCrossTenant]!;
  }
  private get stale(): number {
    const { verdicts } = this;
    return (
      verdicts[VERDICT.stale]! + verdicts[VERDICT.staleReused]! + verdicts[VERDICT.misdirected]! + this.staleCrossTenant
    );
  }

  private book(target: Device, page: number, crossTenant: boolean, now: number): void {
    const { oracle, clock, run } = this.simulator;
    const nowNs = clock.toNs(now);
    const delayNs = Math.max(0, nowNs - oracle.lastTouch(target.domain, page).unmappedNs);
    this.staleDelayNs.record(delayNs);
    if (!crossTenant) return;
    this.crossTenantDelayNs.record(delayNs);
    if (this.firstCrossTenantNs === NONE) this.firstCrossTenantNs = nowNs - run!.startNs;
  }

  override report(): Record<string, unknown> {
    const split = (count: number) => ({ reads: this.write ? 0 : count, writes: this.write ? count : 0 });
    return {
      reached: {
        stale: { ...split(this.stale), delayNs: this.staleDelayNs.quantiles() },
        crossTenant: {
          ...split(this.staleCrossTenant),
          firstNs: this.firstCrossTenantNs === NONE ? null : this.firstCrossTenantNs,
          delayNs: this.crossTenantDelayNs.quantiles(),
        },
      },
    };
  }

  resume(): boolean {
    return DONE;
  }

  tearDown(): void {
    const stillAimedAt = [...this.simulator.workloads.all()].some(
      (other) => other !== this && other.kind === 'hostile' && other.target === this.target,
    );
    if (!stillAimedAt) this.target.history = null;
  }

  protected rebase(_ps: number): void {}

  protected digestState(sink: DigestSink): void {
    sink.number(this.skipped);
    sink.number(this.offered);
  }
}

export const hostile: WorkloadEntry = {
  kind: 'hostile',
  schema: {
    type: 'object',
    required: ['kind', 'device'],
    additionalProperties: false,
    properties: {
      name: { type: 'string' },
      kind: { const: 'hostile' },
      device: { type: 'string' },
      tenant: { type: 'string' },
      cpus: { type: 'array', items: { type: 'integer', minimum: 0, maximum: 63 } },
      target: { type: 'string', description: 'device whose addresses it uses, under that requester id' },
      select: { enum: ['last-unmapped', 'random-unmapped', 'live'] },
      access: { enum: ['read', 'write'] },
      accessesPerUs: { type: 'number', minimum: 0.000001, maximum: 1000 },
      delayAfterUnmapNs: { type: 'integer', minimum: 0, maximum: 1e12 },
    },
  },
  defaults: { select: 'last-unmapped', access: 'write', accessesPerUs: 0.1, delayAfterUnmapNs: 0 },
  source: 'Linux kernel mailing list, June 2008: the malicious device and the stale entry',
  defaultsFor: () => hostile.defaults,
  create: (simulator, setup) => new Hostile(simulator, setup),
};

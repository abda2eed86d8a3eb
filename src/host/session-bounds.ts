/**
 * What a session may hold at a time: page frames, live mappings, memory of the server; and how many events one run of it may take. An operation that would take it beyond is refused
 * and changes nothing; a run that goes beyond stops where it stands. None of it is part of the simulation: what a journal holds was
 * carried out, and is done again whatever the bounds are by then.
 *
 * Frames and mappings are counted by the simulation as it goes. Memory is not: to know it is to look at every object. So each operation
 * is put down for as much as it may take at most, and only when that would be too much is the simulation measured, a stretch in each
 * turn. The measure counts; a quarter may be taken on top until it is there.
 */
import type { Operation } from '../core/operations.ts';
import type { Footprint, SimulatorApi } from '../core/simulator-api.ts';
import type { ResolvedSpec } from '../core/spec.ts';
import type { HostProblem } from './host.ts';
import { overBound } from './problems.ts';

/** 0 is no bound. */
export interface SessionBounds {
  frames: number;
  mappings: number;
  memoryBytes: number;
  /** Of one run. */
  runEvents: number;
}

/** What an operation may take it beyond. */
export type HeldName = 'frames' | 'mappings' | 'session-memory-bytes';
/** What a run may take it beyond. */
export type BoundName = HeldName | 'run-events';

/** A bound that is reached. */
export interface Reached<N extends BoundName = BoundName> {
  name: N;
  limit: number;
  used: number;
}

export const NO_BOUNDS: SessionBounds = { frames: 0, mappings: 0, memoryBytes: 0, runEvents: 0 };

/** Objects that are looked at in one turn: some 2 ms. */
const OBJECTS_A_STEP = 8192;
/** A run is measured after so much computing, and after so many times what the last measure took. */
const MEASURE_EVERY_MS = 250;
const MEASURE_SHARE = 50;
/** Of the bound: what may be taken while a measure is under way. */
const SLACK = 0.25;

const GIVES_BACK: ReadonlySet<string> = new Set([
  'free',
  'unmap',
  'iommu-unmap',
  'tenant-remove',
  'domain-remove',
  'device-remove',
  'workload-remove',
  'detach',
  'attach',
  // A timer may fire that flushes.
  'advance',
]);

const FRAME_BYTES = 4096;
/** Of a frame, of a page mapped, of a table, of a piece of a scatter list; of what has a name, with its parts; of a mapping. */
const BYTES = { frame: 30, page: 52, table: 20_480, piece: 300, small: 1024, mapping: 512, domain: 262_144 };
const PAGES_OF_TABLE = 512;
/** Per descriptor of a ring, about. */
const DESCRIPTOR_BYTES = 64;

function pagesOf(lengthBytes: number): number {
  return Math.ceil(lengthBytes / FRAME_BYTES) + 1;
}

function mappedBytes(pages: number): number {
  return pages * BYTES.page + (Math.ceil(pages / PAGES_OF_TABLE) + 4) * BYTES.table;
}

/** Memory of a workload before it has done anything: its rings. */
function workloadBytes(workload: Record<string, unknown>): number {
  const numberOf = (name: string): number => (typeof workload[name] === 'number' ? (workload[name] as number) : 1);
  const perDescriptor = Math.max(numberOf('mappingsPerPacket'), numberOf('pagesPerDescriptor'));
  return numberOf('ringSize') * numberOf('queues') * perDescriptor * DESCRIPTOR_BYTES + BYTES.domain;
}

/** Why a session cannot even begin, or null: rings are what can be too much from the beginning. */
export function refuseLarge({ workloads = [] }: ResolvedSpec, limit: number): HostProblem | null {
  let used = 0;
  for (const workload of workloads) used += workloadBytes(workload as unknown as Record<string, unknown>);
  return limit > 0 && used > limit ? overBound({ name: 'session-memory-bytes', limit, used }) : null;
}

/** What an operation takes at most, about; 0 of one that only gives back, looks, or lets time pass. */
function growthOf(operation: Operation): number {
  switch (operation.op) {
    case 'buffer':
      return pagesOf(operation.lengthBytes) * BYTES.frame + BYTES.small;
    case 'map': {
      if (operation.segments === undefined) {
        const pages = pagesOf(operation.lengthBytes ?? FRAME_BYTES);
        const own = operation.kind === 'coherent' ? pages * BYTES.frame : 0;
        return mappedBytes(pages) + own + BYTES.mapping;
      }
      let pages = 0;
      for (const { lengthBytes } of operation.segments) pages += pagesOf(lengthBytes ?? FRAME_BYTES);
      return mappedBytes(pages) + operation.segments.length * BYTES.piece + BYTES.mapping;
    }
    case 'iommu-map':
      // Superpages take less.
      return mappedBytes(pagesOf(operation.lengthBytes)) + BYTES.small;
    case 'domain':
    case 'device':
      return BYTES.domain;
    case 'workload':
      return workloadBytes(operation as unknown as Record<string, unknown>);
    case 'tenant':
      return BYTES.small;
    default:
      return 0;
  }
}

/** Frames that an operation asks for by name; tables come on top. */
function framesOf(operation: Operation): number {
  if (operation.op === 'buffer' || (operation.op === 'map' && operation.kind === 'coherent'))
    return Math.ceil((operation.lengthBytes ?? FRAME_BYTES) / FRAME_BYTES);
  return 0;
}

type Measured = Pick<SimulatorApi, 'framesInUse' | 'liveMappings' | 'runEvents' | 'measure'>;

export class BoundedSession {
  private bounds = NO_BOUNDS;
  private bounded = false;
  /** The last measure, or the bound itself before there was one; and what was put down since. */
  private bytes = 0;
  /** Nothing was added or given back since the last measure began: `bytes` is what there is. */
  private exact = false;
  private measuredBytes: number | null = null;
  private footprint: Footprint | null = null;
  /** Put down since the measure under way began. */
  private meanwhileBytes = 0;
  /** Of the last measure; of runs since it began. */
  private measureMs = 0;
  private computedMs = 0;

  set(bounds: SessionBounds): void {
    this.bounds = bounds;
    this.bounded = Object.values(bounds).some((bound) => bound > 0);
    if (this.measuredBytes === null) this.bytes = bounds.memoryBytes;
  }

  /** The simulation began again. */
  restart(): void {
    this.footprint = null;
    this.measuredBytes = null;
    this.exact = false;
    this.bytes = this.bounds.memoryBytes;
  }

  /** Why an operation may not be carried out, or null: then it counts. */
  refuse(operation: Operation, simulator: Measured): HostProblem | null {
    if (!this.bounded) return null;
    const growth = growthOf(operation);
    if (growth === 0) {
      if (GIVES_BACK.has(operation.op)) this.exact = false;
      return null;
    }
    const { frames, mappings, memoryBytes } = this.bounds;
    const { framesInUse, liveMappings } = simulator;
    if (frames > 0 && framesInUse + Math.max(1, framesOf(operation)) > frames)
      return overBound({ name: 'frames', limit: frames, used: framesInUse });
    if (mappings > 0 && operation.op === 'map' && liveMappings >= mappings)
      return overBound({ name: 'mappings', limit: mappings, used: liveMappings });
    if (memoryBytes > 0 && !this.fits(growth, simulator))
      return overBound({ name: 'session-memory-bytes', limit: memoryBytes, used: this.bytes });
    this.bytes += growth;
    this.meanwhileBytes += growth;
    this.exact = false;
    return null;
  }

  private fits(growth: number, simulator: Measured): boolean {
    const { memoryBytes } = this.bounds;
    if (this.bytes + growth <= memoryBytes) return true;
    if (this.exact) return false;
    if (this.footprint === null) {
      this.measure(simulator);
      // Most sessions are measured in one step.
      this.step();
      if (this.footprint === null) return this.bytes + growth <= memoryBytes;
    }
    // What was too much stays so until a measure says otherwise, whatever was given back.
    if (this.measuredBytes !== null && this.measuredBytes + growth > memoryBytes) return false;
    return this.meanwhileBytes + growth <= memoryBytes * SLACK;
  }

  /** Whether there is something to look at in the session's next turn. */
  get measuring(): boolean {
    return this.footprint !== null;
  }

  private measure(simulator: Measured): void {
    this.footprint = simulator.measure();
    this.meanwhileBytes = 0;
    this.exact = true;
    this.measureMs = 0;
    this.computedMs = 0;
  }

  /** Looks on. */
  step(): void {
    const begin = performance.now();
    const bytes = this.footprint?.step(OBJECTS_A_STEP) ?? null;
    this.measureMs += performance.now() - begin;
    if (bytes === null) return;
    this.footprint = null;
    this.measuredBytes = bytes;
    this.bytes = bytes + this.meanwhileBytes;
  }

  /** How many more events the active run may take. */
  eventsLeft({ runEvents }: Measured): number {
    const { runEvents: most } = this.bounds;
    return most === 0 ? Number.POSITIVE_INFINITY : most - runEvents;
  }

  /** A run has computed. @returns the bound that it has gone beyond, or null */
  ran(ms: number, simulator: Measured): Reached | null {
    if (!this.bounded) return null;
    this.exact = false;
    this.computedMs += ms;
    const due = this.computedMs >= Math.max(MEASURE_EVERY_MS, this.measureMs * MEASURE_SHARE);
    if (this.bounds.memoryBytes > 0 && due && this.footprint === null) this.measure(simulator);
    return this.beyond(simulator);
  }

  /** The bound that the session is beyond, or null. */
  beyond({ framesInUse, liveMappings, runEvents }: Measured): Reached | null {
    const { frames, mappings, memoryBytes, runEvents: events } = this.bounds;
    const { measuredBytes } = this;
    if (frames > 0 && framesInUse > frames) return { name: 'frames', limit: frames, used: framesInUse };
    if (mappings > 0 && liveMappings > mappings) return { name: 'mappings', limit: mappings, used: liveMappings };
    if (memoryBytes > 0 && measuredBytes !== null && measuredBytes > memoryBytes)
      return { name: 'session-memory-bytes', limit: memoryBytes, used: measuredBytes };
    if (events > 0 && runEvents >= events) return { name: 'run-events', limit: events, used: runEvents };
    return null;
  }
}

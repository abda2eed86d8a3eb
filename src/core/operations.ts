/**
 * The operation vocabulary. One `apply(operation)` is the only way to change a session, so that a session is its spec plus its
 * operations. Shapes were checked against the contract before they come here; what is checked here needs the simulation's state.
 */
import type { Address, DeviceSpec, DomainSpec, TenantSpec, WorkloadSpec } from './spec.ts';

export type Direction = 'to-device' | 'from-device' | 'bidirectional';
export type MapKind = 'single' | 'page' | 'sg' | 'coherent';

/** A stretch of memory: part of a buffer, or a bare physical range. */
export interface MemoryRange {
  buffer?: string;
  /** From the start of `buffer`; 0 when absent. */
  offsetBytes?: number;
  physicalAddress?: Address;
  lengthBytes?: number;
}

export type Operation =
  | ({ op: 'tenant' } & TenantSpec)
  | { op: 'tenant-remove'; tenant: string }
  | ({ op: 'domain' } & DomainSpec)
  | { op: 'domain-remove'; domain: string }
  | ({ op: 'device' } & DeviceSpec)
  | { op: 'device-remove'; device: string }
  | { op: 'attach'; device: string; domain: string }
  | { op: 'detach'; device: string }
  | { op: 'buffer'; name?: string; lengthBytes: number; tenant?: string; physicalAddress?: Address }
  | { op: 'free'; buffer: string; force?: boolean }
  | ({
      op: 'map';
      device: string;
      kind: MapKind;
      direction: Direction;
      cpu?: number;
      segments?: MemoryRange[];
    } & MemoryRange)
  | {
      op: 'unmap';
      mapping?: string;
      device?: string;
      iova?: Address;
      lengthBytes?: number;
      direction?: Direction;
      cpu?: number;
    }
  | { op: 'dma'; device: string; iova: Address; lengthBytes: number; access: 'read' | 'write' }
  | {
      op: 'iommu-map';
      domain: string;
      iova: Address;
      physicalAddress: Address;
      lengthBytes: number;
      access: 'r' | 'w' | 'rw';
      pageSize?: '4KiB' | '2MiB' | '1GiB';
    }
  | { op: 'iommu-unmap'; domain: string; iova: Address; lengthBytes: number; invalidate?: boolean }
  | { op: 'sync'; mapping: string; for: 'cpu' | 'device'; offsetBytes?: number; lengthBytes?: number }
  | {
      op: 'invalidate';
      scope: 'global' | 'domain' | 'range';
      domain?: string;
      iova?: Address;
      lengthBytes?: number;
      leafOnly?: boolean;
    }
  | { op: 'advance'; ns: number }
  | ({ op: 'workload' } & WorkloadSpec)
  | { op: 'workload-remove'; workload: string };

/**
 * Why an operation did not do what was asked.
 *
 * `refused`: invalid input, nothing changed. `failed`: an expected failure of the simulated kernel (no IOVA, no frame), which has
 * every effect it has in the kernel.
 */
export interface OperationProblem {
  /** Stable, kebab-case; the edge has status and title for each (`src/api/errors.ts`). */
  code: string;
  detail: string;
  /** JSON Pointer of the member of the operation that is wrong, `/segments/2/buffer`. */
  path?: string;
}

export type Outcome =
  | { status: 'ok'; result: Record<string, unknown> }
  | { status: 'failed'; problem: OperationProblem }
  | { status: 'refused'; problem: OperationProblem };

/** Exactly one of the stop rules. */
export interface RunRequest {
  untilNs?: number;
  forNs?: number;
  operations?: number;
  until?: { metric: string; above?: number; below?: number };
  /** What becomes of it when the server ends before it does; the host's business. */
  onRestart?: 'resume' | 'interrupt';
}

/**
 * What the contract lets in is what the core takes: this file holds nothing that runs and compiles only while both agree.
 *
 * `Fits<A, B>` is an error unless every A is a B.
 */
import type { Operation, RunRequest } from '../core/operations.ts';
import type {
  AllocatorSpec,
  CostsSpec,
  DeviceSpec,
  DomainSpec,
  InvalidationSpec,
  IommuSpec,
  MachineSpec,
  PolicySpec,
  ResolvedSpec,
  TenantSpec,
  WorkloadSpec,
} from '../core/spec.ts';
import type * as Contract from './contract-types.ts';

type Fits<A extends B, B> = A;

/** The same members as an anonymous type: interfaces do not count as having an index signature. */
type Plain<T> = T extends unknown ? { [Member in keyof T]: T[Member] } : never;
type DeepPartial<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [Member in keyof T]?: DeepPartial<T[Member]> }
    : T;
type LineOf<Op extends string> = Plain<Omit<Extract<Contract.OperationLine, { op: Op }>, 'as'>>;

type LineMisfit<Op extends string> = Op extends string
  ? LineOf<Op> extends Extract<Operation, { op: Op }>
    ? never
    : Op
  : never;

/** Each line is an operation; an error names those that are not. */
export type EveryLineIsAnOperation = Fits<LineMisfit<Contract.OperationLine['op']>, never>;

/** What has a route but no line. */
type RouteOnly = 'tenant-remove' | 'domain-remove' | 'device-remove' | 'workload' | 'workload-remove';
export type EveryOperationIsReached = Fits<Exclude<Operation['op'], RouteOnly>, Contract.OperationLine['op']>;

export type Bodies = [
  Fits<Contract.TenantInput, TenantSpec>,
  Fits<Contract.DomainInput, DomainSpec>,
  Fits<Contract.DeviceInput, DeviceSpec>,
  Fits<Plain<Contract.WorkloadInput>, WorkloadSpec>,
  Fits<Contract.RunRequest, RunRequest>,
];

export type SpecParts = [
  Fits<Contract.Machine, Partial<MachineSpec>>,
  Fits<Contract.Iommu, DeepPartial<IommuSpec>>,
  Fits<Plain<Contract.AllocatorInput>, Partial<AllocatorSpec>>,
  Fits<Plain<Contract.InvalidationInput>, Partial<InvalidationSpec>>,
  Fits<NonNullable<Contract.PolicyInput['mode']>, PolicySpec['mode']>,
  Fits<Contract.Costs, Partial<CostsSpec>>,
  // `expiresAt` is the host's: the core knows no clock.
  Fits<Exclude<keyof Contract.SessionInput, 'preset' | 'fromSnapshot' | 'expiresAt'>, keyof ResolvedSpec>,
  Fits<keyof ResolvedSpec, keyof Contract.SessionSpec>,
];

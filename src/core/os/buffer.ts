/** A buffer: physically contiguous memory that a tenant holds by name. */
export interface Buffer {
  readonly index: number;
  readonly name: string | null;
  /** Index of the tenant. */
  readonly tenant: number;
  readonly frame: number;
  readonly frames: number;
  readonly lengthBytes: number;
}

/** An owner of memory. Tenant 0 is the host kernel and is always there. */
export interface Tenant {
  readonly index: number;
  readonly name: string | null;
  readonly kind: 'host' | 'vm' | 'process';
  /** Quota in bytes; null without one. */
  readonly memoryBytes: number | null;
}

/** What can be asked of a session without changing it. Answers are plain JSON in the contract's shapes. */
import type { Address } from './spec.ts';

export interface Page {
  limit?: number;
  cursor?: string;
}

export type Reading =
  | ({ read: 'tenants' | 'domains' | 'devices' | 'buffers' | 'workloads' | 'faults' | 'events' } & Page)
  | ({ read: 'mappings'; device?: string } & Page)
  | { read: 'tenant' | 'domain' | 'device' | 'buffer' | 'workload'; id: string }
  | { read: 'mapping'; device?: string; id: string }
  | { read: 'metrics' }
  /** All that a scrape is made of: the metrics, and what would be too much for ten frames a second. */
  | { read: 'meters' }
  | ({ read: 'space'; domain?: string } & Page)
  | { read: 'space-cells'; domain?: string; from?: Address; to?: Address; cells?: number; extents?: number }
  | { read: 'space-page'; domain?: string; iova: Address }
  | { read: 'iotlb' | 'walk-cache' | 'queues' }
  | { read: 'page-table'; domain: string; iova: Address }
  | { read: 'allocator'; domain?: string };

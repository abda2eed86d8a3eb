/**
 * Faults: VT-d legacy reason codes, the log that can overflow, and the message in the kernel's shape.
 *
 * Source: Intel VT-d specification, fault reason encodings; Linux `drivers/iommu/intel/dmar.c` for texts and shape.
 */

import { formatAddress } from '../sim/address.ts';
import type { DigestSink } from '../sim/digest-sink.ts';

export const REASON = {
  contextNotPresent: 2,
  beyondWidth: 4,
  write: 5,
  read: 6,
} as const;

export const reasonText: Record<number, { name: string; text: string }> = {
  2: { name: 'context-not-present', text: 'Present bit in context entry is clear' },
  4: { name: 'beyond-mgaw', text: 'Access beyond MGAW' },
  5: { name: 'write-not-permitted', text: 'PTE Write access is not set' },
  6: { name: 'read-not-permitted', text: 'PTE Read access is not set' },
};

export interface FaultRecord {
  sequence: number;
  timeNs: number;
  device: number;
  bdf: string;
  reason: number;
  write: boolean;
  page: number;
  offset: number;
  domain: number;
  /** ns since the session began; -1: never. The last map and unmap that touched the page. */
  mappedNs: number;
  unmappedNs: number;
  direction: number;
}

export class FaultLog {
  readonly capacity: number;
  readonly records: FaultRecord[] = [];
  /** Faults that found the log full. */
  dropped = 0;
  sequence = 0;
  /** The newest fault, logged or dropped. */
  last: FaultRecord | null = null;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** @returns whether there was room */
  add(record: Omit<FaultRecord, 'sequence'>): boolean {
    this.sequence++;
    this.last = { sequence: this.sequence, ...record };
    if (this.records.length >= this.capacity) {
      this.dropped++;
      return false;
    }
    this.records.push(this.last);
    return true;
  }

  digest(sink: DigestSink): void {
    sink.number(this.sequence);
    sink.number(this.dropped);
    for (const record of this.records) {
      sink.number(record.timeNs);
      sink.number(record.device);
      sink.number(record.reason);
      sink.number(record.page);
      sink.number(record.offset);
    }
  }
}

/** As `dmesg` shows it since 2024, legacy mode. */
export function faultMessage(record: FaultRecord): string {
  const reason = record.reason.toString(16).padStart(2, '0');
  return `DMAR: [DMA ${record.write ? 'Write' : 'Read'} NO_PASID] Request device [${record.bdf}] fault addr ${formatAddress(
    record.page,
    0,
  )} [fault reason 0x${reason}] ${reasonText[record.reason]!.text}`;
}

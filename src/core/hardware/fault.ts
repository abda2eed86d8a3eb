/**
 * Faults: VT-d reason codes of legacy mode, and of scalable mode where there are two stages; the log that can overflow; the message
 * in the kernel's shape.
 *
 * Source: Intel VT-d specification, fault reason encodings, legacy and scalable mode; Linux `drivers/iommu/intel/dmar.c` for texts and shape.
 */

import { formatAddress } from '../sim/address.ts';
import type { DigestSink } from '../sim/digest-sink.ts';

export const REASON = {
  contextNotPresent: 2,
  beyondWidth: 4,
  write: 5,
  read: 6,
} as const;

/** Why nothing comes of an access before or beside the tables. */
export interface GateReasons {
  /** The device is in no domain. */
  noDomain: number;
  beyondWidth: number;
  interruptRead: number;
}
export const legacyGate: GateReasons = {
  noDomain: REASON.contextNotPresent,
  beyondWidth: REASON.beyondWidth,
  interruptRead: REASON.read,
};

/**
 * Scalable mode. A first-stage entry has a present bit; one of the second stage has none, so that what is not there is without
 * permission.
 */
export const SCALABLE = {
  pasidNotPresent: 0x59,
  firstNotPresent: 0x71,
  beyondGuest: 0x74,
  secondPermission: 0x79,
  notCanonical: 0x80,
  write: 0x85,
  read: 0x86,
  interrupt: 0x87,
} as const;
export const scalableGate: GateReasons = {
  noDomain: SCALABLE.pasidNotPresent,
  beyondWidth: SCALABLE.notCanonical,
  interruptRead: SCALABLE.interrupt,
};

export const reasonText: Record<number, { name: string; text: string }> = {
  2: { name: 'context-not-present', text: 'Present bit in context entry is clear' },
  4: { name: 'beyond-mgaw', text: 'Access beyond MGAW' },
  5: { name: 'write-not-permitted', text: 'PTE Write access is not set' },
  6: { name: 'read-not-permitted', text: 'PTE Read access is not set' },
  89: { name: 'pasid-not-present', text: 'SM: Present bit in PASID Table entry is clear' },
  113: { name: 'first-stage-not-present', text: 'SM: Present bit in first-level paging entry is clear' },
  116: {
    name: 'first-stage-beyond-guest',
    text: 'SM: First-level entry address beyond MGAW in Nested translation',
  },
  121: {
    name: 'second-stage-not-permitted',
    text: 'SM: Read/Write permission error in second-level paging entry',
  },
  128: { name: 'not-canonical', text: 'SM: Request address is not canonical' },
  133: { name: 'first-stage-write', text: 'SM: No write permission for Write/AtomicOp request' },
  134: { name: 'first-stage-read', text: 'SM: No read permission for Read/AtomicOp request' },
  135: { name: 'interrupt-read', text: 'SM: Invalid address-interrupt address' },
};

/** [reason code]: its place in a column of them all. */
const placeOf = new Int32Array(256);
const codes = Object.keys(reasonText).map(Number);
codes.forEach((code, place) => {
  placeOf[code] = place;
});

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
  /** [2 * place of the reason + 1 for writes]: faults, those that found the log full too. */
  private readonly counts = new Float64Array(2 * codes.length);

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** @returns whether there was room */
  add(record: Omit<FaultRecord, 'sequence'>): boolean {
    this.sequence++;
    this.counts[2 * placeOf[record.reason]! + (record.write ? 1 : 0)]!++;
    this.last = { sequence: this.sequence, ...record };
    if (this.records.length >= this.capacity) {
      this.dropped++;
      return false;
    }
    this.records.push(this.last);
    return true;
  }

  /** Of each reason that there is. @param scalable whether the chip is in scalable mode, which has codes of its own */
  byReason(scalable: boolean): { code: number; write: boolean; count: number }[] {
    return codes.flatMap((code, place) =>
      code >= SCALABLE.pasidNotPresent === scalable
        ? [
            { code, write: false, count: this.counts[2 * place]! },
            { code, write: true, count: this.counts[2 * place + 1]! },
          ]
        : [],
    );
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

/** As `dmesg` shows it since 2024. */
export function faultMessage(record: FaultRecord): string {
  const reason = record.reason.toString(16).padStart(2, '0');
  return `DMAR: [DMA ${record.write ? 'Write' : 'Read'} NO_PASID] Request device [${record.bdf}] fault addr ${formatAddress(
    record.page,
    0,
  )} [fault reason 0x${reason}] ${reasonText[record.reason]!.text}`;
}

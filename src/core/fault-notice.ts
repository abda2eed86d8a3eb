/** A fault as subscribers and `GET .../faults` see it: code, name, the kernel's line, and what was last done to the address. */
import { type FaultRecord, faultMessage, reasonText } from './hardware/fault.ts';
import { directions } from './os/mappings.ts';
import { formatAddress } from './sim/address.ts';
import type { Simulator } from './simulator.ts';
import { NEVER } from './truth/pages.ts';

export function faultDocument(simulator: Simulator, record: FaultRecord): Record<string, unknown> {
  const { mappedNs, unmappedNs } = record;
  const mapped = mappedNs !== NEVER;
  const unmapped = unmappedNs !== NEVER && unmappedNs >= mappedNs;
  return {
    sequence: record.sequence,
    timeNs: record.timeNs,
    code: record.reason,
    name: reasonText[record.reason]!.name,
    message: faultMessage(record),
    device: `dev_${record.device}`,
    bdf: record.bdf,
    domain: record.domain < 0 ? null : `dom_${record.domain}`,
    access: record.write ? 'write' : 'read',
    iova: formatAddress(record.page, record.offset),
    forensics: {
      lastMap: mapped
        ? {
            timeNs: mappedNs,
            sinceNs: record.timeNs - mappedNs,
            ...(record.direction >= 0 && { direction: directions[record.direction] }),
          }
        : null,
      lastUnmap: unmapped ? { timeNs: unmappedNs, sinceNs: record.timeNs - unmappedNs } : null,
      verdict: !mapped ? 'never mapped' : unmapped ? 'use after unmap' : 'wrong direction or not covered',
    },
    policy: (simulator.domains[record.domain]?.policyEntry ?? simulator.policyEntry).kind,
  };
}

/** Tells subscribers of the fault that was just logged or dropped. */
export function faultNotice(simulator: Simulator): void {
  const { faults, log } = simulator;
  const record = faults.last;
  if (record === null || log.full) return;
  log.notice({ topic: 'faults', timeNs: record.timeNs, data: faultDocument(simulator, record) });
}

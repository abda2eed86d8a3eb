/**
 * Device TLBs as devices ask for them, and whether the kernel turns them on.
 *
 * Defaults: 64 entries, 8 ways, LRU, as in HyperTRIO (ISCA 2020). Source of the conditions: Linux `drivers/pci/ats.c`,
 * `pci_ats_supported` (not for untrusted devices), and `drivers/iommu/intel/iommu.c` (queued invalidation only, and no translation
 * requests from a context entry that passes everything through).
 */
import { Iotlb } from '../hardware/iotlb.ts';
import type { Outcome } from '../operations.ts';
import type { DeviceTlbUse } from '../os/device.ts';
import { refuse } from '../outcome.ts';
import type { Simulator } from '../simulator.ts';
import type { DeviceSpec, DeviceTlbSpec } from '../spec.ts';

export const deviceTlbDefaults: DeviceTlbSpec = { entries: 64, ways: 8, replacement: 'lru' };

/** @returns null when the device has none, a refusal when it cannot be built */
export function deviceTlbOf(simulator: Simulator, index: number, asked: DeviceSpec): DeviceTlbUse | Outcome | null {
  if (asked.deviceTlb === undefined) return null;
  const spec = { ...deviceTlbDefaults, ...asked.deviceTlb };
  const ways = spec.ways === 0 ? spec.entries : spec.ways;
  if (spec.entries % ways !== 0)
    return refuse('invalid-operation', `${spec.entries} entries are no multiple of ${ways} ways`, '/deviceTlb/ways');
  if (spec.replacement === 'plru' && (ways & (ways - 1)) !== 0)
    return refuse('invalid-operation', 'plru is a binary tree: ways must be a power of two', '/deviceTlb/replacement');
  const off = reasonOff(simulator, asked);
  const random = simulator.random.stream(`device-tlb-${index}`);
  return { spec, off, tlb: off === null ? new Iotlb(spec.entries, ways, spec.replacement, random) : null };
}

function reasonOff({ modeEntry, unit }: Simulator, asked: DeviceSpec): string | null {
  if (modeEntry.kind === 'passthrough')
    return 'in passthrough the IOMMU translates nothing and blocks translation requests';
  if (unit.register) return 'device TLBs are invalidated through the queue, and the interface is the register pair';
  if (asked.untrusted) return 'the kernel lets no untrusted device say that an address is translated already';
  return null;
}

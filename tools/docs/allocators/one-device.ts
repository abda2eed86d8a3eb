/** What the scenes of the allocators have in common: a session with one device, and operations on it a line each. */
import { CREATED, create, inside, ops, readRun, STARTED, startRun } from '../commands.ts';
import { flat, type Shown, type Step } from '../curl.ts';

interface Session {
  allocator: Record<string, unknown>;
  invalidation: string | Record<string, unknown>;
  dmaMaskBits?: number;
  /** Other members of the spec. */
  [member: string]: unknown;
}

export function session(name: string, { allocator, invalidation, dmaMaskBits, ...rest }: Session): Step {
  const spec = {
    name,
    policy: { allocator, invalidation: typeof invalidation === 'string' ? { kind: invalidation } : invalidation },
    devices: [{ name: 'nic0', kind: 'nic', ...(dmaMaskBits !== undefined && { dmaMaskBits }) }],
    ...rest,
  };
  return { curl: create(flat(spec)), show: CREATED };
}

/** Everything below 4 GiB is reserved, but so many pages at its top. */
export function onlyTop(pages: number): Record<string, unknown> {
  const end = `0x${(2 ** 32 - pages * 4096 - 1).toString(16)}`;
  return { reservedRegions: [{ start: '0x0', end, type: 'reserved' }] };
}

interface What {
  pages?: number;
  physicalAddress?: string;
  /** Label of a buffer that a line before made, instead of an address. */
  buffer?: string;
  cpu?: number;
  as?: string;
}

export function map({ pages = 1, physicalAddress = '0x100000', buffer, cpu, as }: What = {}): string {
  return flat({
    op: 'map',
    device: 'nic0',
    kind: 'single',
    direction: 'from-device',
    ...(buffer === undefined ? { physicalAddress, lengthBytes: pages * 4096 } : { buffer: `$${buffer}` }),
    ...(cpu !== undefined && { cpu }),
    ...(as !== undefined && { as }),
  });
}

export const unmap = (mapping: string, cpu?: number): string =>
  flat({ op: 'unmap', mapping: `$${mapping}`, ...(cpu !== undefined && { cpu }) });
/** By address, as a driver does: labels end with the request that gave them. */
export const unmapAt = (iova: string): string =>
  flat({ op: 'unmap', device: 'nic0', iova, lengthBytes: 4096, direction: 'from-device' });
export const buffer = (as: string, pages = 1): string => flat({ op: 'buffer', lengthBytes: pages * 4096, as });
export const dma = (mapping: string): string =>
  flat({ op: 'dma', device: 'nic0', iova: `$${mapping}.iova`, lengthBytes: 64, access: 'write' });

/** Where things were mapped, what an access met, and what was refused. */
export const PLACES: Shown = {
  line: true,
  op: true,
  ok: true,
  result: { iova: true, exposed: true, verdict: true },
  problem: { code: true },
};

export const operations = (name: string, lines: string[], show: Shown = PLACES): Step => ({
  curl: ops(name, lines),
  show,
});
export const look = (name: string, show: Shown): Step => ({ curl: inside(name), show });
export const run = (name: string, forNs: number, show: Shown): Step[] => [
  { curl: startRun(name, flat({ forNs })), show: STARTED, thenWait: true },
  { curl: readRun(name), show: { result: show } },
];

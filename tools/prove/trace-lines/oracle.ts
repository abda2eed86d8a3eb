/**
 * What a line of ftrace says, by the regular expression that the format is described with and by big integers: slow and obvious, to
 * compare the importer with. Payloads are read as `key=value` words.
 */

/** `comm-pid [(tgid)] [cpu] [flags] sec.frac: name: payload`. */
const LINE =
  /^\s*(.+)-(\d+)\s+(?:\(\s*[-\d]+\)\s+)?\[(\d{3,})\]\s+(?:([^\s\d][^\s]{3,7}|[.\w#]{4,8})\s+)?(\d+)\.(\d{6}|\d{9}):\s+([a-zA-Z_]\w*):\s*(.*)$/;
const DIRECTIONS = ['BIDIRECTIONAL', 'TO_DEVICE', 'FROM_DEVICE', 'NONE'];

export interface ToldByRegex {
  kind: string;
  cpu: number;
  pid: number;
  /** Nanoseconds as printed. */
  at: bigint;
  device?: string;
  iova?: bigint;
  physical?: bigint;
  lengthBytes?: bigint;
  direction?: number;
  detail?: number;
  write?: number;
  /** Of scatter lists. */
  iovas?: bigint[];
  sizes?: bigint[];
  physicals?: bigint[];
}

const SINGLES: Readonly<Record<string, string>> = {
  dma_map_phys: 'map',
  dma_map_page: 'map',
  dma_map_resource: 'map',
  dma_unmap_phys: 'unmap',
  dma_unmap_page: 'unmap',
  dma_unmap_resource: 'unmap',
  dma_alloc: 'alloc',
  dma_free: 'free',
  dma_sync_single_for_cpu: 'sync',
  dma_sync_single_for_device: 'sync',
  map: 'iommuMap',
  unmap: 'iommuUnmap',
};
const LISTS: Readonly<Record<string, string>> = { dma_map_sg: 'mapSg', dma_unmap_sg: 'unmapSg' };

/** null: it is none of the lines that are compared. */
export function readByRegex(line: string): ToldByRegex | null {
  const match = LINE.exec(line);
  if (match === null) return null;
  const [, , pid, cpu, , seconds, fraction, name, payload] = match as unknown as string[];
  const base = {
    cpu: Number(cpu),
    pid: Number(pid),
    at: BigInt(seconds!) * 1_000_000_000n + BigInt(fraction!.padEnd(9, '0')),
  };
  const fields = new Map([...payload!.matchAll(/(\w+)=(\S*)/g)].map(([, key, value]) => [key!, value!]));
  const hex = (key: string) => {
    const value = fields.get(key);
    return value === undefined ? {} : { [key === 'phys_addr' || key === 'paddr' ? 'physical' : 'iova']: hexOf(value) };
  };
  const size = fields.has('size') ? { lengthBytes: BigInt(fields.get('size')!) } : {};
  const direction = fields.has('dir') ? { direction: DIRECTIONS.indexOf(fields.get('dir')!) } : {};
  const device = payload!.startsWith('IOMMU:') ? {} : { device: payload!.split(' ')[0]! };
  if (name === 'io_page_fault') {
    const [, faulting] = /^IOMMU:\S+ (\S+) /.exec(payload!)!;
    const flags = Number(fields.get('flags'));
    return { kind: 'fault', ...base, device: faulting!, ...hex('iova'), write: flags & 1, detail: flags };
  }
  const single = SINGLES[name!];
  if (single !== undefined) {
    const addresses = { ...hex('iova'), ...hex('dma_addr'), ...hex('paddr'), ...hex('phys_addr') };
    const detail =
      single === 'sync'
        ? { detail: name!.endsWith('device') ? 1 : 0 }
        : single === 'iommuUnmap'
          ? { detail: Number(fields.get('unmapped_size')) }
          : {};
    return { kind: single, ...base, ...device, ...addresses, ...size, ...direction, ...detail };
  }
  const list = LISTS[name!];
  if (list === undefined) return null;
  const numbers = (key: string) =>
    (fields.get(key) ?? '{}')
      .slice(1, -1)
      .split(',')
      .filter((each) => each !== '')
      .map(hexOf);
  return {
    kind: list,
    ...base,
    ...device,
    ...direction,
    iovas: numbers('dma_addrs'),
    sizes: numbers('sizes'),
    physicals: numbers('phys_addrs'),
  };
}

function hexOf(text: string): bigint {
  return BigInt(text.startsWith('0x') ? text : `0x${text}`);
}

/** Lines as a kernel might print them, at random: all versions, all widths, tasks with names that are hard to read. */
import type { Dice } from '../dice.ts';

const TASKS = [
  'fio',
  '(udev-worker)',
  'kworker/u64:0',
  'kworker/0:1H-kb',
  'irq/26-AMD-Vi',
  '<idle>',
  '<...>',
  'a - 7 b',
  'tmux: server',
  'Web Content',
  'x-1 [001] y',
  'a(b)-c: 1.5: d',
  '-',
  '9',
];
const FLAGS = ['....', 'd...', '.....', 'd..2.', 'd.h1.', '.N.1.', '.......', 'dNh#1..', '....1...', ''];
const DIRECTIONS = ['BIDIRECTIONAL', 'TO_DEVICE', 'FROM_DEVICE', 'NONE'];
const ATTRIBUTES = ['', 'SKIP_CPU_SYNC', 'WEAK_ORDERING|NO_WARN', 'MMIO'];
const DEVICES = ['0000:3b:00.0', '0000:c2:00.0', 'arm-smmu-v3.2.auto', 'fe200000.ethernet'];
/** Spans that a mapping may have. */
const SIZES = [1, 64, 2048, 4096, 4097, 65_536, 2_097_152, 2 ** 40];

/** Up to `bits` bits, all widths alike. */
function big(dice: Dice, bits: number): bigint {
  const wanted = dice(bits + 1);
  let value = 0n;
  for (let i = 0; i < wanted; i += 16) value = (value << 16n) | BigInt(dice(65_536));
  return value & ((1n << BigInt(wanted)) - 1n);
}

const pick = <T>(dice: Dice, from: readonly T[]): T => from[dice(from.length)]!;
const hex = (value: bigint): string => value.toString(16);
const wide = (value: bigint): string => `0x${hex(value).padStart(16, '0')}`;

/** @param seconds whole ones that have passed */
export function wellFormed(dice: Dice, seconds: number): string {
  const task = pick(dice, TASKS)
    .slice(0, 15)
    .padStart(dice(2) * 16);
  const pid = String(dice(100_000)).padEnd(dice(2) * 7);
  const group = ['', '(-------) ', `(${String(dice(99_999)).padStart(7)}) `][dice(3)]!;
  const cpu = String(dice(8)).padStart(3, '0');
  const flags = pick(dice, FLAGS);
  const digits = dice(2) === 0 ? 6 : 9;
  const fraction = String(dice(10 ** digits)).padStart(digits, '0');
  const time = `${String(seconds).padStart(dice(2) * 5)}.${fraction}`;
  return `${task}-${pid} ${group}[${cpu}] ${flags === '' ? '' : `${flags} `}${time}: ${payload(dice)}`;
}

function payload(dice: Dice): string {
  const device = pick(dice, DEVICES);
  const direction = pick(dice, DIRECTIONS);
  const attributes = pick(dice, ATTRIBUTES);
  const size = pick(dice, SIZES);
  const address = hex(big(dice, 64));
  const physical = hex(big(dice, 52));
  const list = (count: number, bits: number) =>
    `{${Array.from({ length: count }, () => `0x${hex(big(dice, bits))}`).join(',')}}`;
  switch (dice(10)) {
    case 0:
      return `dma_map_${pick(dice, ['phys', 'page', 'resource'])}: ${device} dir=${direction} dma_addr=${address} size=${size} phys_addr=${physical} attrs=${attributes}`;
    case 1:
      return `dma_unmap_${pick(dice, ['phys', 'page', 'resource'])}: ${device} dir=${direction} dma_addr=${address} size=${size} attrs=${attributes}`;
    case 2: {
      const iova = big(dice, 57);
      const end = pick(dice, [` - ${wide(iova + BigInt(size))}`, '']);
      return `map: IOMMU: iova=${wide(iova)}${end} paddr=${wide(big(dice, 52))} size=${size}`;
    }
    case 3: {
      const iova = big(dice, 57);
      const end = pick(dice, [` - ${wide(iova + BigInt(size))}`, '']);
      return `unmap: IOMMU: iova=${wide(iova)}${end} size=${size} unmapped_size=${dice(2) * size}`;
    }
    case 4: {
      const dir = pick(dice, ['', ` dir=${direction}`]);
      return `dma_alloc: ${device}${dir} dma_addr=${address} size=${size} virt_addr=000000006cadbcb1 flags=GFP_KERNEL|__GFP_ZERO attrs=${attributes}`;
    }
    case 5:
      return `dma_free: ${device}${pick(dice, ['', ` dir=${direction}`])} dma_addr=${address} size=${size} virt_addr=000000006cadbcb1 attrs=${attributes}`;
    case 6: {
      const physicals = 1 + dice(12);
      const iovas = 1 + dice(physicals);
      const counts = pick(dice, ['', ` nents=${physicals}/${physicals} ents=${iovas}/${iovas}`]);
      return `dma_map_sg: ${device} dir=${direction}${counts} dma_addrs=${list(iovas, 64)} sizes=${list(iovas, 32)} phys_addrs=${list(physicals, 52)} attrs=${attributes}`;
    }
    case 7:
      return `dma_unmap_sg: ${device} dir=${direction} phys_addrs=${list(1 + dice(12), 52)} attrs=${attributes}`;
    case 8:
      return `dma_sync_single_for_${pick(dice, ['cpu', 'device'])}: ${device} dir=${direction} dma_addr=${address} size=${size}`;
    default:
      return `io_page_fault: IOMMU:driver ${device} iova=${wide(big(dice, 64))} flags=0x${String(dice(2)).padStart(4, '0')}`;
  }
}

/**
 * Importing lines of ftrace against splitting the same bytes into lines, in turns, in one process: `iommu:map`, `dma_map_phys`,
 * `iommu:unmap` and `dma_unmap_phys` mixed, with every tenth call a scatter list. Time of the processor; medians of the rounds.
 *
 * What it is compared with does less: it makes a string of each line and counts them. `split` is `toString().split`, chunk by chunk;
 * `readline` is Node's own reader of lines.
 */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { tuneCompiler } from '../src/host/compiler.ts';
import { createImporter } from '../src/trace/importer.ts';
import { processNs } from './processor-time.ts';
import { quantile } from './service/rounds.ts';

const CHUNK = 65_536;
const ROUNDS = 9;
/** Rounds before those that count, for the compiler. */
const WARM_ROUNDS = 2;
const LINES = 1_000_000;

/** Calls of one device on four CPUs: a ring of 4096 addresses from the top of 4 GiB down. */
function recording(lines: number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let text = '';
  let us = 12_000_000;
  let made = 0;
  const line = (cpu: number, payload: string): void => {
    us += 3;
    const time = `${String(Math.floor(us / 1e6)).padStart(5)}.${String(us % 1e6).padStart(6, '0')}`;
    text += `          iperf3-2101    [${String(cpu).padStart(3, '0')}] ..... ${time}: ${payload}\n`;
    made++;
    if (text.length < CHUNK) return;
    chunks.push(Buffer.from(text.slice(0, CHUNK)));
    text = text.slice(CHUNK);
  };
  const wide = (value: number): string => `0x${value.toString(16).padStart(16, '0')}`;
  for (let i = 0; made < lines; i++) {
    const cpu = i % 4;
    const pages = i % 10 === 9 ? 4 : 1;
    const iova = 0xfffff000 - (i % 4096) * 16_384;
    const size = pages * 4096;
    const physical = Array.from(
      { length: pages },
      (_, page) => 0x1_a000_0000 + (((i + page) * 7919) % 1_000_000) * 4096,
    );
    const list = `{${physical.map((each) => `0x${each.toString(16)}`).join(',')}}`;
    physical.forEach((paddr, page) => {
      const from = iova + page * 4096;
      line(cpu, `map: IOMMU: iova=${wide(from)} - ${wide(from + 4096)} paddr=${wide(paddr)} size=4096`);
    });
    const device = '0000:3b:00.0 dir=FROM_DEVICE';
    const address = iova.toString(16);
    if (pages === 1)
      line(cpu, `dma_map_phys: ${device} dma_addr=${address} size=2048 phys_addr=${physical[0]!.toString(16)} attrs=`);
    else
      line(
        cpu,
        `dma_map_sg: ${device} nents=${pages}/${pages} ents=1/1 dma_addrs={0x${address}} sizes={0x${size.toString(16)}} phys_addrs=${list} attrs=`,
      );
    line(cpu, `unmap: IOMMU: iova=${wide(iova)} - ${wide(iova + size)} size=${size} unmapped_size=${size}`);
    if (pages === 1) line(cpu, `dma_unmap_phys: ${device} dma_addr=${address} size=2048 attrs=SKIP_CPU_SYNC`);
    else line(cpu, `dma_unmap_sg: ${device} phys_addrs=${list} attrs=`);
  }
  chunks.push(Buffer.from(text));
  return chunks;
}

function imported(chunks: readonly Uint8Array[]): number {
  let sum = 0;
  const sink = {
    event(event: { timeNs: number; partner: number }) {
      sum += event.timeNs + event.partner;
    },
    device: () => 0,
  };
  const importer = createImporter({ format: 'ftrace', strict: true, sink });
  for (const chunk of chunks) importer.write(chunk);
  importer.end();
  const { lines, openMaps, unmatchedUnmaps } = importer.summary();
  if (openMaps > 8 || unmatchedUnmaps > 0 || !(sum > 0)) throw new Error('the recording was not understood');
  return lines.understood;
}

function split(chunks: readonly Uint8Array[]): number {
  const decoder = new TextDecoder();
  let lines = 0;
  let held = '';
  for (const chunk of chunks) {
    const pieces = (held + decoder.decode(chunk, { stream: true })).split('\n');
    held = pieces.pop()!;
    for (const piece of pieces) if (piece.length > 0) lines++;
  }
  return lines;
}

async function readByNode(chunks: readonly Uint8Array[]): Promise<number> {
  let lines = 0;
  for await (const line of createInterface({ input: Readable.from(chunks), crlfDelay: Infinity }))
    if (line.length > 0) lines++;
  return lines;
}

export async function run({ smoke }: { smoke: boolean }): Promise<void> {
  // As in the server.
  tuneCompiler();
  const chunks = recording(smoke ? 10_000 : LINES);
  const arms = { import: imported, split, readline: readByNode };
  const rates: Record<keyof typeof arms, number[]> = { import: [], split: [], readline: [] };
  const rounds = smoke ? 1 : ROUNDS + WARM_ROUNDS;
  let counted: number | null = null;
  for (let round = 0; round < rounds; round++)
    for (const [name, arm] of Object.entries(arms)) {
      const before = processNs();
      const lines = await arm(chunks);
      const ns = processNs() - before;
      counted ??= lines;
      if (lines !== counted) throw new Error(`${name} counts ${lines} lines, not ${counted}`);
      if (smoke || round >= WARM_ROUNDS) rates[name as keyof typeof arms].push((lines / ns) * 1000);
    }
  console.log(
    `millions of lines a second, ${counted} lines of ${Math.round(chunks.reduce((sum, { length }) => sum + length, 0) / counted!)} bytes`,
  );
  for (const [name, values] of Object.entries(rates)) {
    const [low, median, high] = [0, 0.5, 1].map((at) => quantile(values, at).toFixed(2));
    console.log(`  ${name.padEnd(10)}${median} (${low} to ${high})`);
  }
  for (const other of ['split', 'readline'] as const) {
    const ratio = quantile(
      rates.import.map((rate, i) => rate / rates[other][i]!),
      0.5,
    );
    console.log(`  import / ${other}: ${ratio.toFixed(2)}`);
  }
}

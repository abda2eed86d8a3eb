/**
 * Importing lines of ftrace against splitting the same bytes into lines, in turns, in one process: `iommu:map`, `dma_map_phys`,
 * `iommu:unmap` and `dma_unmap_phys` mixed, with every tenth call a scatter list. Time of the processor; medians of the rounds.
 *
 * What it is compared with does less: it makes a string of each line and counts them. `split` is `toString().split`, chunk by chunk;
 * `readline` is Node's own reader of lines.
 *
 * Then what is done with a tape of the same lines and a fault for each thousand of them: checks, forensics, and replays in a closed loop
 * under two policies, each against reading all events of that tape and doing nothing with them.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { createSimulator, resolveSpec } from '../src/core/index.ts';
import { tuneCompiler } from '../src/host/compiler.ts';
import { checkRecording } from '../src/trace/checks/index.ts';
import { forensicsOf } from '../src/trace/forensics/forensics.ts';
import { createImporter } from '../src/trace/importer.ts';
import { openTape, type TapeReader, TapeWriter } from '../src/trace/tape.ts';
import { processNs } from './processor-time.ts';
import { quantile } from './service/rounds.ts';

const CHUNK = 65_536;
const ROUNDS = 9;
/** Rounds before those that count, for the compiler. */
const WARM_ROUNDS = 2;
const LINES = 1_000_000;
/** Of what is done with a tape, which takes longer. */
const TAPE_ROUNDS = 3;

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

function tapeOf(path: string, chunks: readonly Uint8Array[]): void {
  const tape = new TapeWriter(path);
  const importer = createImporter({ format: 'ftrace', strict: true, sink: tape });
  const wide = (value: number): string => `0x${value.toString(16).padStart(16, '0')}`;
  // Each about a buffer that is long unmapped, or is mapped.
  const fault = (chunk: number): string =>
    `IOMMU:pci 0000:3b:00.0 iova=${wide(0xfffff000 - (chunk % 4096) * 16_384)} flags=0x0001`;
  let held = '';
  for (const [i, chunk] of chunks.entries()) {
    const text = held + Buffer.from(chunk).toString('latin1');
    const end = text.lastIndexOf('\n') + 1;
    held = text.slice(end);
    const last = text.slice(0, end).split('\n').at(-2)!;
    importer.write(
      Buffer.from(`${text.slice(0, end)}${last.slice(0, last.indexOf(': ') + 2)}io_page_fault: ${fault(i)}\n`),
    );
  }
  importer.end();
  tape.seal(importer.summary());
}

function bareRead(tape: TapeReader): number {
  let sum = 0;
  for (let i = 0; i < tape.count; i++) {
    tape.load(i);
    sum += tape.timeNs + tape.iovaPage;
  }
  return sum;
}

function replayed(tape: TapeReader, invalidation: string): number {
  const spec = resolveSpec({
    seed: 1,
    machine: { cpus: 4 },
    policy: { allocator: { kind: 'rcache' }, invalidation: { kind: invalidation } },
    devices: [{ name: 'nic', kind: 'replay' }],
    workloads: [{ kind: 'replay', device: 'nic', trace: 'it', recording: tape.digest, pace: 'closed-loop' }],
  });
  const simulator = createSimulator(spec, { recordings: { open: () => tape } });
  simulator.startRun({ forNs: 1e12 });
  while (!simulator.stepRun(100_000));
  const [{ replay }] = (
    simulator.runResult() as unknown as { workloads: [{ replay: { finished: boolean; maps: number } }] }
  ).workloads;
  if (!replay.finished) throw new Error('the replay did not come to its end');
  return replay.maps;
}

/** Millions of events a second, and how often that is slower than reading them. */
function withTape(chunks: readonly Uint8Array[], smoke: boolean): void {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-bench-'));
  const path = join(folder, 'bench.tape');
  try {
    tapeOf(path, chunks);
    const tape = openTape(path);
    const arms: Record<string, () => number> = {
      read: () => bareRead(tape),
      checks: () => checkRecording(tape).findings.length,
      forensics: () => forensicsOf(tape).faults,
      'replay, strict': () => replayed(tape, 'strict'),
      'replay, flush-queue': () => replayed(tape, 'flush-queue'),
    };
    const rates: Record<string, number[]> = {};
    const results: Record<string, number> = {};
    for (let round = 0; round < (smoke ? 1 : TAPE_ROUNDS + 1); round++)
      for (const [name, arm] of Object.entries(arms)) {
        const before = processNs();
        const result = arm();
        const ns = processNs() - before;
        results[name] ??= result;
        if (results[name] !== result || !(result > 0))
          throw new Error(`${name} came to ${result}, not ${results[name]}`);
        // The first is for the compiler.
        if (smoke || round > 0) (rates[name] ??= []).push((tape.count / ns) * 1000);
      }
    const bare = quantile(rates.read!, 0.5);
    console.log(`millions of events a second, a tape of ${tape.count} events, ${results.forensics} of them faults`);
    for (const [name, values] of Object.entries(rates)) {
      const [low, median, high] = [0, 0.5, 1].map((at) => quantile(values, at).toFixed(2));
      const ratio = name === 'read' ? '' : `, ${(quantile(values, 0.5) / bare).toFixed(3)} of reading alone`;
      console.log(`  ${name.padEnd(20)}${median} (${low} to ${high})${ratio}`);
    }
    tape.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
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
  withTape(chunks, smoke);
}

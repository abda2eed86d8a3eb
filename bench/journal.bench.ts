/**
 * What keeping costs: lines of `ops` through a host that keeps its sessions in a journal, synced and not, against one that does not, in
 * turns. Median of the ratios of each round; the host alone, without HTTP, so that what is compared is what differs.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { SessionHost } from '../src/host/host.ts';
import { createHost } from '../src/host/session-host.ts';

const CYCLES = 20_000;
/** On the disk of the project: where temporary files go may be memory. */
const CACHE = '.cache/bench';

function body(cycles: number): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  const encoder = new TextEncoder();
  let text = '';
  for (let i = 0; i < cycles; i++) {
    const physicalAddress = 0x10_0000 + (i % 4096) * 4096;
    text += `{"op":"map","device":"nic0","kind":"single","direction":"from-device","physicalAddress":${physicalAddress},"lengthBytes":1500,"as":"m${i}"}\n`;
    text += `{"op":"dma","device":"nic0","iova":"$m${i}.iova","lengthBytes":64,"access":"write"}\n{"op":"unmap","mapping":"$m${i}"}\n`;
    if (text.length > 65_536) {
      blocks.push(encoder.encode(text));
      text = '';
    }
  }
  blocks.push(encoder.encode(text));
  return blocks;
}

async function linesASecond(
  host: SessionHost,
  name: string,
  blocks: readonly Uint8Array[],
  cycles: number,
): Promise<number> {
  await host.create({ name, devices: [{ name: 'nic0', kind: 'nic' }] });
  const before = performance.now();
  const bytes = (async function* () {
    // A block is handed over for good.
    for (const block of blocks) yield block.slice();
  })();
  const reply = await host.ops(name, bytes, { onError: 'stop', format: 'ndjson' });
  if (!reply.ok) throw new Error(reply.problem.detail);
  let replies = 0;
  for await (const part of reply.value) for (const byte of part) if (byte === 10) replies++;
  const seconds = (performance.now() - before) / 1000;
  if (replies !== 3 * cycles) throw new Error(`${replies} replies`);
  await host.delete(name);
  return replies / seconds;
}

export async function run({ smoke }: { smoke: boolean }): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, 'journal-'));
  const arms = { none: null, never: 'never', commit: 'commit' } as const;
  const hosts = new Map<string, SessionHost>();
  for (const [arm, sync] of Object.entries(arms)) {
    const journal = sync === null ? {} : { journal: { path: join(folder, `${arm}.sqlite`), sync } };
    hosts.set(arm, await createHost({ workers: 1, ...journal }));
  }
  const cycles = smoke ? CYCLES / 20 : CYCLES;
  const blocks = body(cycles);
  const rates: Record<string, number[]> = { none: [], never: [], commit: [] };
  for (let round = 0; round < (smoke ? 1 : 12); round++)
    for (const [arm, host] of hosts) {
      const rate = await linesASecond(host, `${arm}-${round}`, blocks, cycles);
      if (round > 0 || smoke) rates[arm]!.push(rate);
    }
  for (const host of hosts.values()) await host.close();
  rmSync(folder, { recursive: true });
  console.log(`journal: ${3 * cycles} lines of ops a round, one worker`);
  for (const [arm, all] of Object.entries(rates)) {
    const ratios = all.map((rate, i) => rate / rates.none![i]!).sort((one, other) => one - other);
    const at = (share: number) => ratios[Math.floor((ratios.length - 1) * share)]!.toFixed(2);
    const median = [...all].sort((one, other) => one - other)[all.length >> 1]!;
    console.log(`  ${arm.padEnd(7)} ${Math.round(median / 1000)} k lines/s, ${at(0.5)} of none (${at(0)} to ${at(1)})`);
  }
}

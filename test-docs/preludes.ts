/** What a page takes for granted before its first command: sessions of earlier pages, files of the reader's own. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';

export interface Scene {
  address: string;
  folder: string;
  /** What stands in the page for something of the reader's own -> what it is here. */
  instead: Record<string, string>;
}

type Prelude = (scene: Scene) => Promise<void>;

const post = async (url: string, body: object): Promise<{ id: string }> => {
  const reply = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!reply.ok) throw new Error(`${url}: ${reply.status} ${await reply.text()}`);
  return (await reply.json()) as { id: string };
};

const session =
  (name: string): Prelude =>
  async ({ address }) => {
    await post(`${address}/v1/sessions`, { preset: 'thread-2008', name });
  };

/** A recording of the reader's own, plain and packed. */
const recording: Prelude = async ({ folder }) => {
  const line =
    '  a-1  [000] .....  1.000000: dma_map_phys: 0000:3b:00.0 dir=TO_DEVICE dma_addr=1000 size=64 phys_addr=2000 attrs=\n';
  writeFileSync(join(folder, 'trace.txt'), line);
  writeFileSync(join(folder, 'trace.txt.zst'), zstdCompressSync(line));
  writeFileSync(join(folder, 'trace.txt.gz'), gzipSync(line));
};

export const PRELUDES: Record<string, Prelude> = {
  'docs/traces.md': recording,
  'docs/record.md': recording,
  'docs/determinism.md': session('first'),
  'docs/stream.md': session('first'),
  'docs/observability.md': session('first'),
  'docs/metrics.md': session('first'),
  'docs/operations.md': async (scene) => {
    await session('first')(scene);
    writeFileSync(join(scene.folder, 'trace.ndjson'), '{"op": "advance", "ns": 1000}\n'.repeat(100));
  },
  'docs/api.md': async ({ address, instead }) => {
    const { id: session } = await post(`${address}/v1/sessions`, { name: 'kept' });
    const { id } = await post(`${address}/v1/sessions/${session}/snapshots`, {});
    // The one server is also the other, where the name is free.
    instead['sessions/lkml'] = 'sessions/kept';
    instead.snap_0123456789abcdef = id;
  },
};

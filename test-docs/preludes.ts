/** What a page takes for granted before its first command: sessions of earlier pages, files of the reader's own. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

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

export const PRELUDES: Record<string, Prelude> = {
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

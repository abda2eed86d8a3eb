/**
 * `clients/python/tour.ipynb`, executed by Jupyter against a real server: it shows what stands in it. Pictures differ between versions of
 * the fonts, and are only looked for. `IOMMU_LAB_UPDATE=1 npm run test:python` writes the notebook with what it shows now.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startServer } from '../test/clients/server.ts';
import { CLIENT, NOTEBOOK_TOOLS, python, requirePython } from './python.ts';

const NOTEBOOK = join(CLIENT, 'tour.ipynb');
const MOST_BYTES = 100_000;

requirePython(NOTEBOOK_TOOLS);

interface Output {
  output_type: string;
  data?: Record<string, string | string[]>;
  text?: string | string[];
}
interface Cell {
  cell_type: string;
  id?: string;
  metadata: unknown;
  execution_count?: number | null;
  outputs?: Output[];
  source: string | string[];
}
interface Notebook {
  cells: Cell[];
  metadata: unknown;
  nbformat: number;
  nbformat_minor: number;
}

/** Without what tells of the machine and of the time. */
function cleaned({ cells }: Notebook): Notebook {
  return {
    cells: cells.map(({ id: _id, ...cell }) => ({
      ...cell,
      metadata: {},
      ...(cell.outputs && { outputs: cell.outputs.map((output) => ({ ...output, metadata: {} })) }),
    })),
    metadata: {
      kernelspec: { display_name: 'Python 3', language: 'python', name: 'python3' },
      language_info: { name: 'python' },
    },
    nbformat: 4,
    nbformat_minor: 4,
  };
}

/** Of each cell what it says and shows, a picture as nothing but one. */
function shown({ cells }: Notebook): unknown[] {
  const joined = (text: string | string[] | undefined) => (Array.isArray(text) ? text.join('') : text);
  return cells.map(({ cell_type, source, outputs = [] }) => [
    cell_type,
    joined(source),
    outputs.map(({ output_type, data = {}, text }) => [
      output_type,
      joined(text),
      Object.entries(data).map(([type, value]) => [type, type.startsWith('image/') ? 'a picture' : joined(value)]),
    ]),
  ]);
}

test('the notebook shows what stands in it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-notebook-'));
  const server = await startServer();
  try {
    const words = [
      '-m',
      'nbconvert',
      '--to',
      'notebook',
      '--execute',
      '--output',
      join(folder, 'tour.ipynb'),
      NOTEBOOK,
    ];
    const env = { IOMMU_LAB_URL: server.address, IOMMU_LAB_TOKEN: '', JUPYTER_PLATFORM_DIRS: '1', HOME: folder };
    const { status, err } = await python(words, env, 'default');
    assert.equal(status, 0, err);
    const fresh = cleaned(JSON.parse(readFileSync(join(folder, 'tour.ipynb'), 'utf8')) as Notebook);
    if (process.env.IOMMU_LAB_UPDATE === '1') writeFileSync(NOTEBOOK, `${JSON.stringify(fresh, null, 1)}\n`);
    const kept = JSON.parse(readFileSync(NOTEBOOK, 'utf8')) as Notebook;
    assert.deepEqual(
      shown(fresh),
      shown(kept),
      'if that is what it should show: IOMMU_LAB_UPDATE=1 npm run test:python',
    );
    assert.deepEqual([kept.nbformat, kept.nbformat_minor], [4, 4]);
    const pictures = kept.cells.flatMap(({ outputs = [] }) => outputs.filter(({ data }) => data?.['image/png']));
    assert.equal(pictures.length, 1);
    assert.ok(statSync(NOTEBOOK).size < MOST_BYTES);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

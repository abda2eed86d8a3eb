/** The TypeScript program of the tutorial, with the package as it was built, prints what the tutorial says that it prints. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { buildClient } from '../../tools/client/build.ts';
import { startServer } from './server.ts';
import { programFolder, tutorialBlock } from './tutorial.ts';

test('the TypeScript program of docs/tutorial.md prints what stands there', async () => {
  buildClient();
  const server = await startServer();
  const { folder, program } = programFolder('tutorial.ts', tutorialBlock('typescript'));
  try {
    const env = { ...process.env, IOMMU_LAB_URL: server.address };
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [program], { env });
    assert.equal(stderr, '');
    assert.equal(stdout, tutorialBlock('output'));
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

#!/usr/bin/env node
// The command line. Plain JavaScript on purpose, as in guard.mjs: it has to run, and to help, under a Node that is too old for the rest.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const major = Number(process.versions.node.split('.')[0]);
const own = fileURLToPath(
  new URL(`../node_modules/.bin/node${process.platform === 'win32' ? '.cmd' : ''}`, import.meta.url),
);

if (major < 24 && existsSync(own) && process.env.IOMMU_LAB_OWN_NODE === undefined) {
  // `npm ci` brought a Node along, which `npm start` finds by itself and whoever types this does not.
  const words = [fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const child = spawn(own, words, {
    stdio: 'inherit',
    shell: process.platform === 'win32',
    env: { ...process.env, IOMMU_LAB_OWN_NODE: '1' },
  });
  // Ctrl-C reaches the child by itself, which decides what to make of it; others are sent to this process alone.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(`iommu-lab: ${own} does not start: ${error.message}`);
    process.exit(1);
  });
  child.on('close', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143);
  });
} else {
  delete process.env.IOMMU_LAB_OWN_NODE;
  await import('../guard.mjs');
  // In a clone there is the source; in an image or a package what `npm run build` made of it.
  const source = new URL('../src/cli/main.ts', import.meta.url);
  const built = new URL('../dist/src/cli/main.js', import.meta.url);
  await import((existsSync(source) ? source : built).href);
}

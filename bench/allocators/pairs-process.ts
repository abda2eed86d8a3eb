/**
 * A process that plays pairs when told. Its arguments are the allocators that it meets before anything is measured, in the order in
 * which it meets them; it answers each message with a result.
 */
import { tuneCompiler } from '../../src/host/compiler.ts';
import { type Round, WORKLOADS } from './operations.ts';
import { measure } from './pairs.ts';

const SEED = 1;

process.on('disconnect', () => process.exit());
process.on('message', ({ kind, round }: { kind: string; round: Round }) => process.send!(measure(kind, round)));

tuneCompiler();
// Every kind takes its turn twice, so that code that was compiled for the first kinds alone is thrown away again here.
for (let turn = 0; turn < 2; turn++)
  for (const kind of process.argv.slice(2))
    for (const { order, live, maxPages, name } of WORKLOADS) {
      if (live > 4096) continue;
      measure(kind, { name, order, live, maxPages, unmeasured: 0, measured: 20_000, seed: SEED });
    }
process.send!('ready');

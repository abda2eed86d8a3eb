/**
 * A process that plays pairs when told. Its arguments are `own` or `shared`, and the allocators that it meets before anything is measured, in
 * the order in which it meets them; it answers each message with a result. With `own` each allocator has a loop to itself, as it has
 * in C; with `shared` one loop calls them all.
 */
import { tuneCompiler } from '../../src/host/compiler.ts';
import { type Round, WORKLOADS } from './operations.ts';

type Pairs = typeof import('./pairs.ts');

const SEED = 1;

process.on('disconnect', () => process.exit());
process.on('message', ({ kind, round }: { kind: string; round: Round }) =>
  process.send!(loops.get(kind)!.measure(kind, round)),
);

tuneCompiler();
const [whose, ...kinds] = process.argv.slice(2);
const loops = new Map<string, Pairs>();
for (const kind of kinds) {
  // A module under another name is another module, with code of its own.
  const file = whose === 'own' ? `./pairs.ts?${kind}` : './pairs.ts';
  loops.set(kind, (await import(file)) as Pairs);
}
// Every kind takes its turn again, so that code that was compiled for the first kinds alone is thrown away here.
for (let turn = 0; turn < 2; turn++)
  for (const kind of kinds)
    for (const workload of WORKLOADS) {
      if (workload.live > 4096) continue;
      loops.get(kind)!.measure(kind, { ...workload, unmeasured: 0, measured: 20_000, seed: SEED });
    }
process.send!('ready');

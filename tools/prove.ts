/** `npm run prove -- strict --operations 10000000 --seed 1`: the long proofs; the test run does the same short. */
import { parseArgs } from 'node:util';
import { allocators } from '../src/core/os/iova/index.ts';
import { proveStrict } from './prove/strict.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { operations: { type: 'string', default: '10000000' }, seed: { type: 'string', default: '1' } },
});
if (positionals.length !== 1 || positionals[0] !== 'strict') {
  console.error('Which proof? There is: strict [--operations n] [--seed n]');
  process.exit(2);
}
let failed = false;
for (const allocator of Object.keys(allocators)) {
  const started = performance.now();
  const proof = proveStrict({
    operations: Number(values.operations),
    seed: Number(values.seed),
    allocator,
    invalidation: 'strict',
  });
  const holds = proof.windows === 0 && proof.staleAccesses === 0 && proof.attemptsDetected === proof.attemptsAfterUnmap;
  failed ||= !holds;
  console.log(
    `${holds ? 'holds' : 'FAILS'}  ${allocator}: ${JSON.stringify(proof)} ${((performance.now() - started) / 1000).toFixed(1)} s`,
  );
}
process.exit(failed ? 1 : 0);

/**
 * The long proofs; the test run does the same short.
 *
 * `npm run prove -- strict --operations 10000000 --seed 1`
 * `npm run prove -- conformance --operations 1000 --seed 1 [--from n] [--restores]`
 * `npm run prove -- kills --count 200 --seed 1 [--from n]`
 * `npm run prove -- sessions --count 10000 --seed 1`
 * `npm run prove -- damage --count 1000 --seed 1 [--from n]`
 * `npm run prove -- fuzz --count 1000000 --seed 1 [--from n]`
 * `npm run prove -- trace-lines --count 1000000 --seed 1 [--from n]`
 * `npm run prove -- soak --minutes 60 --seed 1`
 * `npm run prove -- trace --gigabytes 5 --seed 1`
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { proveConformance } from './prove/conformance.ts';
import { proveDamage } from './prove/damage.ts';
import { proveFuzz } from './prove/fuzz.ts';
import { proveKills } from './prove/kills.ts';
import { proveSessions } from './prove/sessions.ts';
import type { ProofSettings } from './prove/settings.ts';
import { proveSoak } from './prove/soak.ts';
import { proveStrict, strictArms } from './prove/strict.ts';
import { proveTrace } from './prove/trace.ts';
import { proveTraceLines } from './prove/trace-lines.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    operations: { type: 'string' },
    count: { type: 'string' },
    minutes: { type: 'string', default: '60' },
    gigabytes: { type: 'string', default: '5' },
    folder: { type: 'string', default: '.cache/prove' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    restores: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);

/** @returns whether it holds */
const proofs: Record<string, () => boolean | Promise<boolean>> = {
  strict: () => {
    let failed = false;
    for (const [allocator, invalidation] of strictArms()) {
      const started = performance.now();
      const operations = Number(values.operations ?? 10_000_000);
      const proof = proveStrict({ operations, seed, allocator, invalidation });
      const holds =
        proof.windows === 0 && proof.staleAccesses === 0 && proof.attemptsDetected === proof.attemptsAfterUnmap;
      failed ||= !holds;
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      console.log(`${holds ? 'holds' : 'FAILS'}  ${allocator}, ${invalidation}: ${JSON.stringify(proof)} ${seconds} s`);
    }
    return !failed;
  },
  kills: () => long('kills', proveKills, 200),
  sessions: () => long('sessions', proveSessions, 10_000),
  damage: () => long('damage', proveDamage, 1000),
  fuzz: () => long('fuzz', proveFuzz, 1_000_000),
  'trace-lines': () => long('trace-lines', proveTraceLines, 1_000_000),
  soak: async () => {
    const minutes = Number(values.minutes);
    let shownAt = 0;
    const proof = await proveSoak({
      minutes,
      seed,
      folder: resolve(values.folder, 'soak'),
      progress: (sample, { sessionsDeleted, runs, touched, subscribers }) => {
        if (sample.seconds < shownAt) return;
        shownAt = sample.seconds + minutes * 3;
        console.log(JSON.stringify({ ...sample, sessionsDeleted, runs, touched, subscribersSoFar: subscribers }));
      },
    });
    const { complaints, series, ...figures } = proof;
    for (const line of complaints) console.log(line);
    console.log(`${complaints.length === 0 ? 'holds' : 'FAILS'}  ${JSON.stringify(figures)} ${series.length} samples`);
    return complaints.length === 0;
  },
  trace: async () => {
    const started = performance.now();
    const proof = await proveTrace({
      bytes: Number(values.gigabytes) * 1e9,
      seed,
      folder: resolve(values.folder, 'trace'),
      progress: (said) => console.log(said),
    });
    const { complaints, ...figures } = proof;
    for (const line of complaints) console.log(line);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${complaints.length === 0 ? 'holds' : 'FAILS'}  ${JSON.stringify(figures)} ${seconds} s`);
    return complaints.length === 0;
  },
  conformance: () => {
    const started = performance.now();
    const proof = proveConformance(
      { operations: Number(values.operations ?? 1_000), seed, from: Number(values.from), restores: values.restores },
      (done, all, name) => {
        if (done % 100 === 0) console.log(`${done} of ${all}: ${name}`);
      },
    );
    const { complaints, ...figures } = proof;
    for (const line of complaints) console.log(line);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${complaints.length === 0 ? 'holds' : 'FAILS'}  ${JSON.stringify(figures)} ${seconds} s`);
    return complaints.length === 0;
  },
};

/** A proof of many independent cases in a folder of its own. */
async function long<Proof extends { complaints: string[] }>(
  name: string,
  prove: (settings: ProofSettings<Proof>) => Promise<Proof>,
  most: number,
): Promise<boolean> {
  const started = performance.now();
  const count = Number(values.count ?? most);
  const proof = await prove({
    count,
    from: Number(values.from),
    seed,
    folder: resolve(values.folder, name),
    progress: (done) => {
      if (done % Math.ceil(count / 20) === 0) console.log(`${done} of ${count}`);
    },
  });
  const { complaints, ...figures } = proof;
  for (const line of complaints) console.log(line);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${complaints.length === 0 ? 'holds' : 'FAILS'}  ${JSON.stringify(figures)} ${seconds} s`);
  return complaints.length === 0;
}

const proof = proofs[positionals[0] ?? ''];
if (positionals.length !== 1 || proof === undefined) {
  console.error(
    `Which proof? There are: ${Object.keys(proofs).join(', ')} [--operations n] [--count n] [--gigabytes n] [--seed n] [--from n] [--restores]`,
  );
  process.exit(2);
}
process.exit((await proof()) ? 0 : 1);

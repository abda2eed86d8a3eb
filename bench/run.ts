/** `npm run bench`: all benches but those on demand; `-- core` one of them; `-- --smoke` each of them tiny, so that they never rot. */
import { existsSync } from 'node:fs';

const benches = ['core', 'cpus', 'service', 'stream', 'latency', 'journal', 'kinds', 'trace'];
/** Only when asked for by name: they need a C compiler, or a Redis. */
const onDemand = ['allocators-c', 'experiments'];

const smoke = process.argv.includes('--smoke');
const asked = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const known = [...benches, ...onDemand];
const unknown = asked.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`No bench is named ${unknown.join(', ')}; there are ${known.join(', ')}.`);
  process.exit(2);
}
for (const name of asked.length > 0 ? asked : benches) {
  const file = new URL(`./${name}.bench.ts`, import.meta.url);
  if (!existsSync(file)) throw new Error(`${name}.bench.ts is missing`);
  const started = performance.now();
  console.log(`\n== ${name}${smoke ? ' (smoke)' : ''}`);
  const { run } = (await import(file.href)) as { run(options: { smoke: boolean }): Promise<void> };
  await run({ smoke });
  console.log(`   ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

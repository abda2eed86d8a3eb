/**
 * Everything that keeps the project true, in one go: `npm run check`. Each stage says its name, its time and the command that repeats
 * it alone; all are run, also after one has failed, and the summary says which. `npm run check -- types layers` runs only those.
 */
import { spawn } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';

interface Stage {
  name: string;
  /** Repeats it alone, from the root of the project. */
  command: string;
  /** False where there is nothing to check yet. */
  present: boolean;
}

const STAGES: Stage[] = [
  { name: 'format and lint', command: 'npm run lint', present: true },
  { name: 'types', command: 'npm run types', present: true },
  { name: 'layers', command: 'npm run layers', present: true },
  { name: 'contract', command: 'npm run contract -- --check', present: existsSync('tools/contract.ts') },
  { name: 'clients', command: 'npm run client -- --check', present: existsSync('tools/client.ts') },
  { name: 'docs', command: 'npm run docs -- --check', present: existsSync('tools/docs.ts') },
  { name: 'tests', command: 'npm test', present: globSync('test/**/*.test.ts').length > 0 },
  { name: 'bench smoke', command: 'npm run bench -- --smoke', present: existsSync('bench/run.ts') },
];

interface Outcome {
  stage: Stage;
  passed: boolean;
  seconds: number;
}

/** Whether `wanted` names the stage: its name, or a word of it. */
function isWanted({ name }: Stage, wanted: string[]): boolean {
  return wanted.length === 0 || wanted.some((word) => name === word || name.split(' ').includes(word));
}

async function run(stage: Stage): Promise<Outcome> {
  console.log(`\n== ${stage.name}   (alone: ${stage.command})`);
  const begun = performance.now();
  const child = spawn(stage.command, {
    shell: true,
    stdio: 'inherit',
    env: { ...process.env, REDOCLY_TELEMETRY: 'off' },
  });
  const passed = await new Promise<boolean>((resolve) => {
    child.once('error', () => resolve(false));
    child.once('exit', (code) => resolve(code === 0));
  });
  return { stage, passed, seconds: (performance.now() - begun) / 1000 };
}

const wanted = process.argv.slice(2);
const stages = STAGES.filter((stage) => stage.present && isWanted(stage, wanted));
if (stages.length === 0) {
  console.error(`No stage is called ${wanted.join(' ')}. Stages: ${STAGES.map((stage) => stage.name).join(', ')}.`);
  process.exit(2);
}

const outcomes: Outcome[] = [];
// One after the other: on few cores they only disturb each other's times.
for (const stage of stages) outcomes.push(await run(stage));

console.log('\n== summary');
for (const { stage, passed, seconds } of outcomes) {
  const again = passed ? '' : `   repeat: ${stage.command}`;
  console.log(`${passed ? 'passed' : 'FAILED'}  ${stage.name.padEnd(16)} ${seconds.toFixed(1).padStart(6)} s${again}`);
}
process.exitCode = outcomes.every(({ passed }) => passed) ? 0 : 1;

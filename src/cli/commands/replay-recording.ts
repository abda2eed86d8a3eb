/**
 * `replay <recording>`: a recording of a real machine, or one that was exported here, under several policies side by side. An export with
 * events of ours says which session it is of: without `--policy` that is done again, and must come to the digest that it states.
 */
import { open } from 'node:fs/promises';
import { ACCESS_RULES } from '../../core/devices/replay/accesses.ts';
import { coreVersion, createSimulator, resolveSpec } from '../../core/index.ts';
import { historyText } from '../../trace/export/history.ts';
import { SessionNotes } from '../../trace/export/session-notes.ts';
import { ImportError } from '../../trace/import-error.ts';
import { recordingOf } from '../../trace/memory-recording.ts';
import { type SideBySide, sideBySide } from '../../trace/side-by-side.ts';
import { readText } from '../documents.ts';
import { EXIT, Failure } from '../failure.ts';
import { count, figure, pageSeconds, time } from '../figures.ts';
import { interruptible } from '../interruption.ts';
import type { ReplayOptions } from '../program.ts';
import { table } from '../table.ts';
import type { Terminal } from '../terminal.ts';

const USUAL = ['strict', 'flush-queue', 'deferred-2008'];

/** By how it begins: a document of JSON or YAML is an export, anything else a recording. */
export async function isRecording(path: string): Promise<boolean> {
  if (path === '-' || /\.ya?ml$/i.test(path)) return false;
  try {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(256), 0, 256, 0);
      const text = buffer.subarray(0, bytesRead).toString('latin1').trimStart();
      return text !== '' && !text.startsWith('{');
    } finally {
      await file.close();
    }
  } catch {
    // Whoever reads it says why it cannot be read.
    return false;
  }
}

export async function replayRecording(terminal: Terminal, path: string, options: ReplayOptions): Promise<number> {
  if (options.vary !== undefined || options.server !== undefined)
    throw new Failure(
      EXIT.usage,
      'A recording is replayed here, under --policy <kinds>. More can be varied where it is uploaded: see iommu-lab trace, and workloads of the kind replay.',
    );
  const { recording, summary } = read(await readText(path), path);
  const notes = new SessionNotes();
  for (const note of recording.notes) notes.note(note);
  const noted = notes.get();
  if (noted !== null && options.policy === undefined) return verify(terminal, noted, options);
  const signal = interruptible();
  const policies = options.policy?.split(',') ?? USUAL;
  const accesses = options.accesses === undefined ? {} : { accesses: [ruleOf(options.accesses)] };
  const steps = sideBySide(recording, { policies, replay: accesses });
  try {
    for (let turn = performance.now(); ; ) {
      const { done, value } = steps.next();
      if (done === true) {
        show(terminal, value, options);
        break;
      }
      if (performance.now() - turn < 50) continue;
      await new Promise(setImmediate);
      signal.throwIfAborted();
      turn = performance.now();
    }
  } catch (error) {
    const problems = (error as { problems?: { path: string; message: string }[] }).problems;
    if (problems === undefined) throw error;
    throw new Failure(EXIT.usage, ...problems.map(({ path: at, message }) => `${at}: ${message}`));
  }
  const { total, understood } = summary.lines;
  if (options.json !== true) terminal.prose(`${count(understood)} of ${count(total)} lines were understood.`, 'dim');
  return EXIT.fine;
}

/** `every-page:descending`. */
function ruleOf(text: string): { rule: string; order: string } {
  const [rule = '', order = 'ascending'] = text.split(':');
  const rules: readonly string[] = ACCESS_RULES;
  if (!rules.includes(rule))
    throw new Failure(EXIT.usage, `--accesses: there is no rule "${rule}"; there are ${rules.join(', ')}`);
  if (order !== 'ascending' && order !== 'descending')
    throw new Failure(EXIT.usage, `--accesses: "${order}" is no order; there are ascending and descending`);
  return { rule, order };
}

function read(text: string, path: string): ReturnType<typeof recordingOf> {
  try {
    return recordingOf(text);
  } catch (error) {
    if (!(error instanceof ImportError) && !(error instanceof RangeError)) throw error;
    throw new Failure(EXIT.usage, `${path} is neither an export nor a recording: ${error.message}`);
  }
}

type Noted = NonNullable<ReturnType<SessionNotes['get']>>;

function verify(terminal: Terminal, noted: Noted, { json }: ReplayOptions): number {
  if (noted.coreVersion !== coreVersion)
    throw new Failure(
      EXIT.usage,
      `It was exported under version ${noted.coreVersion} of the core, and this is ${coreVersion}, under which the same operations may lead elsewhere.`,
    );
  let digest = '';
  // What is written is thrown away; what it leads to is what counts.
  for (const piece of historyText(resolveSpec(noted.spec), noted.records, { labEvents: true })) {
    const end = /^# iommu_lab: end 1\/1 (.*)$/m.exec(piece);
    if (end !== null) digest = (JSON.parse(end[1]!) as { digest: string }).digest;
  }
  if (noted.records.length === 0) digest = createSimulator(resolveSpec(noted.spec)).digest();
  const equal = digest === noted.digest;
  if (json) terminal.json({ equal, digest, stated: noted.digest, records: noted.records.length });
  else {
    terminal.out(`digest  ${digest}`);
    terminal.out(equal ? 'It is the one that the recording states.' : `The recording states ${noted.digest}.`);
  }
  return equal ? EXIT.fine : EXIT.answer;
}

function show(terminal: Terminal, result: SideBySide, { json }: ReplayOptions): void {
  if (json) {
    terminal.json(result);
    return;
  }
  const { sides, text } = result;
  const right = { align: 'right' } as const;
  const landed = ({ verdicts }: SideBySide['sides'][number]) =>
    (verdicts.stale ?? 0) +
    (verdicts['stale-reused'] ?? 0) +
    (verdicts.misdirected ?? 0) +
    (verdicts['stale-cross-tenant'] ?? 0);
  const { lines } = table(
    [
      { title: 'under', cells: sides.map(({ label }) => label), shortest: 12 },
      {
        title: 'cycles',
        unit: 'a call',
        cells: sides.map(({ cyclesPerOperation }) => figure(cyclesPerOperation)),
        ...right,
      },
      { title: 'exposed', cells: sides.map(({ exposure }) => pageSeconds(exposure.pageSeconds)), ...right },
      { title: 'longest', cells: sides.map(({ exposure }) => time(exposure.longestWindowNs)), ...right },
      { title: 'stale', unit: 'accesses', cells: sides.map((side) => count(landed(side))), ...right },
      { title: 'faults', cells: sides.map(({ verdicts }) => count(verdicts.fault)), ...right },
    ],
    terminal.width,
    (line) => terminal.style('bold', line),
  );
  for (const line of lines) terminal.out(line);
  terminal.out('');
  for (const paragraph of text) terminal.prose(paragraph);
}

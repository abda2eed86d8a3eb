/**
 * The command line as commander knows it: names, flags, help. What a command does is loaded when it is asked for, so that
 * `iommu-lab catalog` starts no web server and `iommu-lab --help` no simulation.
 */
import { Argument, Command, Option } from 'commander';
import { EXIT } from './failure.ts';
import { SECTIONS, SHELLS, SUGGEST, TRACE_ACTIONS } from './names.ts';
import { seedsOf, untilOf } from './settings.ts';
import type { Terminal } from './terminal.ts';

/** Where a command is done: on a server, or here. */
export interface WhereOptions {
  server?: string;
  tokenFile?: string;
  json?: boolean;
  progress: boolean;
}

export interface ExperimentOptions extends WhereOptions {
  set?: string[];
  vary?: string[];
  combine?: 'product' | 'paired';
  workloads?: string;
  seeds?: number[];
  until?: { operations: number } | { ns: number };
  warmUp?: { operations: number } | { ns: number };
  control?: boolean;
}

export interface CompareOptions extends ExperimentOptions {
  report?: string;
  csv?: string;
  parquet?: string;
  markdown?: string;
}

export interface ReplayOptions extends WhereOptions {
  vary?: string[];
  combine?: 'product' | 'paired';
  policy?: string;
  accesses?: string;
}

export interface TraceOptions extends WhereOptions {
  name?: string;
  format: string;
  strict?: boolean;
  option?: string[];
  wait: boolean;
}

export interface WorkerOptions {
  redis?: string;
  concurrency?: string;
  traces?: string;
  aliveFile?: string;
  logLevel: string;
}

const more = (value: string, earlier: string[] | undefined): string[] => [...(earlier ?? []), value];

const EXIT_CODES = `
Exit codes: ${EXIT.fine} fine; ${EXIT.answer} it ran, and the answer is bad; ${EXIT.usage} not understood, or refused;
${EXIT.server} a server cannot be reached, or failed; 130 ended by Ctrl-C.`;

/** @param done told how it ended */
export function program(terminal: Terminal, done: (exitCode: number) => void): Command {
  const root = new Command('iommu-lab')
    .description(
      'Simulations of an IOMMU and of the OS code that drives it: what a DMA-protection policy costs, and what it is worth.',
    )
    .usage('<command> [flags]')
    .helpOption('--help', 'show this')
    .helpCommand('help [command]', 'show the help of a command')
    // `main.ts` answers it: what version this is, is nowhere near.
    .option('--version', 'show the version')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text.replace(/^error: /, 'iommu-lab: ')),
    })
    .addHelpText('after', EXIT_CODES);

  const command = (name: string, description: string): Command =>
    root.command(name).description(description).helpOption('--help', 'show this');

  /** What follows is read by somebody else. */
  const passing = (name: string, description: string): Command =>
    command(name, description)
      .argument('[words...]')
      .usage('[flags]')
      .helpOption(false)
      .allowUnknownOption()
      .allowExcessArguments()
      .passThroughOptions();

  passing('serve', 'Start the server, as `npm start` does; `serve --help` lists its flags').action(async () => {
    const { serve } = await import('./commands/serve.ts');
    await serve();
  });

  command('worker', 'Compute jobs of experiments that servers put into a queue')
    .option('--redis <url>', 'where the queue is, redis:// or rediss:// [IOMMU_LAB_REDIS_URL, which others cannot see]')
    .option('--concurrency <number>', 'jobs at a time (default: one a core)')
    .option(
      '--traces <folder>',
      'tapes of recordings that experiments replay: `traces` below the data folder of the server, or a folder with copies of them [IOMMU_LAB_TRACES]',
    )
    .option('--alive-file <file>', 'written each second while the worker has its queue, for health checks')
    .addOption(
      new Option('--log-level <level>', 'lines of JSON on stderr')
        .choices(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
        .default('info'),
    )
    .addHelpText(
      'after',
      '\nSIGTERM or Ctrl-C: what it computes it may finish for 10 s; the rest goes back. Then it ends with 0.',
    )
    .action(async (options: WorkerOptions) => {
      const { worker } = await import('./commands/worker.ts');
      done(await worker(options));
    });

  where(
    experiment(command('run', 'Run a session spec, or an experiment, and print its figures'))
      .argument('<what>', 'a preset, a file of JSON or YAML, or - for what is piped in')
      .addHelpText('after', '\nA name that both a session preset and an experiment have is the session here.'),
  ).action(async (what: string, options: ExperimentOptions) => {
    const { run } = await import('./commands/run.ts');
    done(await run(terminal, what, options));
  });

  where(
    experiment(command('compare', 'Run an experiment: arms side by side, speed beside exposure, and the frontier'))
      .argument('<what>', 'an experiment, a session preset, a file of JSON or YAML, or - for what is piped in')
      .option(
        '--vary <path=values>',
        'an arm for each of these values, as in policy.invalidation.kind=strict,deferred-2008; repeat',
        more,
      )
      .addOption(
        new Option('--combine <how>', 'several --vary: all with all, or the first with the first').choices([
          'product',
          'paired',
        ]),
      )
      .option('--workloads <file>', 'in the place of its own: a file with one or a list of them, or the JSON itself')
      .option('--no-control', 'without an arm that protects nothing')
      .option('--report <file>', 'write the report, one HTML file with tables and plots')
      .option('--csv <file>', 'write all rows as CSV')
      .option('--parquet <file>', 'write all rows as Parquet')
      .option('--markdown <file>', 'write a summary for an issue tracker; - for stdout'),
  ).action(async (what: string, options: CompareOptions) => {
    const { compare } = await import('./commands/compare.ts');
    done(await compare(terminal, what, options));
  });

  where(
    command('repro', 'Run what publications measured: published beside simulated').argument(
      '[id...]',
      'reproductions, as `catalog experiments` lists them, with or without repro/ (default: all)',
    ),
  ).action(async (ids: string[], options: WhereOptions) => {
    const { repro } = await import('./commands/repro.ts');
    done(await repro(terminal, ids, options));
  });

  where(
    command('replay', 'Do again what was done in a session, from its export, under its own policy or others')
      .argument(
        '<export>',
        'the document of GET .../snapshots/{id}?state=false, - for what is piped in, or a recording',
      )
      .option('--vary <path=values>', 'do it under each of these instead; repeat', more)
      .addOption(
        new Option('--combine <how>', 'several --vary: all with all, or the first with the first').choices([
          'product',
          'paired',
        ]),
      )
      .option('--policy <kinds>', 'short for --vary policy.invalidation.kind=<kinds>')
      .option(
        '--accesses <rule[:order]>',
        'of a recording: what devices do with what is mapped, as in every-page:descending',
      ),
  ).action(async (path: string, options: ReplayOptions) => {
    const { replay } = await import('./commands/replay.ts');
    done(await replay(terminal, path, options));
  });

  where(
    command('trace', 'Recordings of real machines: upload them to a server, list, show and delete them')
      .addArgument(new Argument('<action>', 'what to do').choices(TRACE_ACTIONS))
      .argument('[what]', 'upload: a file; show: an id or a name, or without a server a file; delete: an id or a name')
      .option('--name <name>', 'upload: what it is called')
      .option('--format <format>', 'what wrote the recording', 'auto')
      .option('--strict', 'a line that is not understood ends it')
      .option('--option <name=value>', 'of the format, as in order=merged; repeat', more)
      .option('--no-wait', 'upload: do not wait until it is read')
      .addHelpText(
        'after',
        '\nAn upload that broke off goes on where it did when the same command is given again.\nFiles in gzip and zstd are taken as they are.',
      ),
  ).action(async (action: (typeof TRACE_ACTIONS)[number], what: string | undefined, options: TraceOptions) => {
    const { trace } = await import('./commands/trace.ts');
    done(await trace(terminal, action, what, options));
  });

  where(
    command('catalog', 'List what there is: allocators, policies, modes, workloads, profiles, presets, experiments')
      .argument('[section]', 'one of them, or a kind')
      .argument('[kind]', 'show one kind: its parameters, their defaults and bounds, its source')
      .addHelpText('after', `\nSections: ${SECTIONS.join(', ')}.`),
    { progress: false },
  ).action(async (section: string | undefined, kind: string | undefined, options: WhereOptions) => {
    const { showCatalog } = await import('./commands/catalog.ts');
    done(await showCatalog(terminal, section, kind, options));
  });

  passing('token', 'Make, list, revoke and rotate tokens of a data folder; see `token --help`').action(async () => {
    const { tokens } = await import('./commands/token.ts');
    done(await tokens());
  });

  command('completion', 'Print a script that completes this command line in a shell')
    .addArgument(new Argument('<shell>', 'which').choices(SHELLS))
    .addHelpText(
      'after',
      '\nbash: source <(iommu-lab completion bash), in ~/.bashrc to keep it. docs/command-line.md has the others.',
    )
    .action(async (shell: (typeof SHELLS)[number]) => {
      const { completionScript } = await import('./commands/completion.ts');
      done(await completionScript(terminal, shell));
    });

  root
    .command(SUGGEST, { hidden: true })
    .helpOption(false)
    .argument('[words...]')
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (words: string[]) => {
      const { suggest } = await import('./commands/completion.ts');
      done(await suggest(terminal, root, words));
    });

  return root;
}

function where(command: Command, { progress = true } = {}): Command {
  command
    .option('--server <url>', 'on that server; without it, here, on all cores [IOMMU_LAB_SERVER]')
    .option('--token-file <file>', 'the token that the server asks for, in a file [IOMMU_LAB_TOKEN: the token itself]')
    .option('--json', 'print one JSON document on stdout, and nothing else there');
  if (progress) command.option('--no-progress', 'say nothing of how far it is');
  return command;
}

function experiment(command: Command): Command {
  return command
    .option(
      '--set <path=value>',
      'change a member of the spec, as in machine.cpus=8 or workloads.rx.gbps=25; repeat',
      more,
    )
    .option('--seeds <list>', 'run with each of these, as in 1,2,5-8', seedsOf)
    .option('--until <rule>', 'how long: operations=<number> or ns=<number> of simulated time', (text: string) =>
      untilOf('--until', text),
    )
    .option('--warm-up <rule>', 'runs so long before what is measured', (text: string) => untilOf('--warm-up', text));
}

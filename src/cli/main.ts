/** The command line, from its words to its exit code. */
import { CommanderError } from 'commander';
import { EXIT, EXIT_OF_SIGNAL, Failure } from './failure.ts';
import { Interrupted } from './interruption.ts';
import { program } from './program.ts';
import { Terminal } from './terminal.ts';

const terminal = new Terminal();

try {
  if (process.argv[2] === '--version') terminal.out((await import('../api/version.ts')).version);
  else await commandLine();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

async function commandLine(): Promise<void> {
  await program(terminal, (exitCode) => {
    process.exitCode = exitCode;
  }).parseAsync(process.argv);
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.fine : EXIT.usage;
  // What waits with a signal wraps its reason.
  const reason = error instanceof Error && error.name === 'AbortError' ? error.cause : error;
  if (reason instanceof Interrupted) return EXIT_OF_SIGNAL[reason.signal];
  if (!(error instanceof Failure)) throw error;
  for (const [i, line] of error.lines.entries()) terminal.err(i === 0 ? `iommu-lab: ${line}` : line);
  return error.exitCode;
}

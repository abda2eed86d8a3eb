/** How a command ends, for scripts. `docs/command-line.md` says the same. */
export const EXIT = {
  fine: 0,
  /** It ran, and the answer is bad: a job failed, a digest differs, a published row does not appear. */
  answer: 1,
  /** What was asked for cannot be understood, or cannot be had. */
  usage: 2,
  /** A server cannot be reached, or failed. */
  server: 3,
} as const;

/** And after a signal, as shells have it. */
export const EXIT_OF_SIGNAL = { SIGINT: 130, SIGTERM: 143 } as const;

/** Said to whoever typed it, a line each; not a bug, so no stack trace. */
export class Failure extends Error {
  readonly lines: string[];
  readonly exitCode: number;

  constructor(exitCode: number, ...lines: string[]) {
    super(lines.join('\n'));
    this.lines = lines;
    this.exitCode = exitCode;
  }
}

/** What a problem document says, each member that is wrong on a line of its own. */
export interface ProblemLike {
  code?: string;
  detail?: string;
  title?: string;
  path?: string;
  errors?: { path: string; message: string }[];
}

/** @param what is refused: `the experiment` */
export function linesOf(problem: ProblemLike, what: string): string[] {
  const { errors = [], detail, title, code, path } = problem;
  if (errors.length > 0) {
    const head = `${what} cannot be used, ${errors.length === 1 ? 'as one member is' : `as ${errors.length} members are`} wrong:`;
    return [head, ...errors.map((error) => `  ${error.path === '' ? '(all of it)' : error.path}: ${error.message}`)];
  }
  const said = detail ?? title ?? code ?? 'it was refused';
  // The member is in most details already.
  return [path === undefined || said.includes(path) ? said : `${path}: ${said}`];
}

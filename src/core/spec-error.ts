/** What is wrong with a spec, member by member. */

export interface SpecProblem {
  path: string;
  message: string;
}

export class SpecError extends Error {
  override name = 'SpecError';
  readonly problems: SpecProblem[];

  constructor(problems: SpecProblem[]) {
    super(problems.map(({ path, message }) => `${path}: ${message}`).join('; '));
    this.problems = problems;
  }
}

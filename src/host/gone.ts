/** What is read in parts was deleted, or began anew, between two of them. */
import type { HostProblem } from './host.ts';

export class Gone extends Error {
  override name = 'Gone';
  readonly problem: HostProblem;

  constructor(problem: HostProblem) {
    super(problem.detail);
    this.problem = problem;
  }
}

/**
 * @param why that of which a part was asked for is not there any more, or null; asked when reading failed
 * @throws Gone where that is the reason
 */
export async function readUnlessGone<T>(
  reading: Promise<T>,
  why: () => HostProblem | null | Promise<HostProblem | null>,
): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    const problem = await why();
    throw problem === null ? error : new Gone(problem);
  }
}

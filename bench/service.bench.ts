/** What it costs to reach the simulator over HTTP, one operation a request and many. */
import { benchOpsLines } from './service/ops-lines.ts';
import { benchSingleOperations } from './service/single-operations.ts';

export async function run(options: { smoke: boolean }): Promise<void> {
  await benchSingleOperations(options);
  await benchOpsLines(options);
}

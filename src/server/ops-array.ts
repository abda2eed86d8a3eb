/** An array of operations as lines, and reply lines as an array. */
import { ProblemError } from '../api/problem.ts';

type Lines = AsyncIterable<Uint8Array>;

/** Of an array, which is read whole. */
export interface ArrayLimits {
  arrayBytes: number;
  arrayOperations: number;
}

/** An array as lines; throws what keeps it from being one. */
export async function elementsOf(body: Lines, { arrayBytes, arrayOperations }: ArrayLimits): Promise<Lines> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > arrayBytes) {
      throw new ProblemError({
        code: 'body-too-large',
        detail: `An array may have ${arrayBytes} bytes; send lines instead, which may be of any total length.`,
      });
    }
    chunks.push(chunk.slice());
  }
  let operations: unknown;
  try {
    operations = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
  } catch (error) {
    throw new ProblemError({ code: 'not-json', detail: `The body is not JSON: ${(error as Error).message}` });
  }
  if (!Array.isArray(operations)) {
    throw new ProblemError({ code: 'invalid-body', detail: 'The body must be an array of operations.', path: '' });
  }
  if (operations.length > arrayOperations) {
    throw new ProblemError({
      code: 'too-many-operations',
      detail: `The array has ${operations.length} operations, and ${arrayOperations} is the limit; send lines instead.`,
    });
  }
  const texts = operations.map(lineOf);
  return (async function* () {
    yield* texts;
  })();
}

/** V8 reads JSON of any depth, and writes only what its stack is deep enough for. */
function lineOf(operation: unknown): Buffer {
  try {
    return Buffer.from(`${JSON.stringify(operation)}\n`);
  } catch {
    throw new ProblemError({ code: 'invalid-body', detail: 'An operation is nested too deeply.', path: '' });
  }
}

/** Reply lines as one JSON array. */
export async function* asArray(lines: Lines): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder();
  let partial = '';
  let begun = false;
  for await (const bytes of lines) {
    const whole = (partial + decoder.decode(bytes, { stream: true })).split('\n');
    partial = whole.pop() as string;
    if (whole.length === 0) continue;
    yield Buffer.from(`${begun ? ',' : '['}${whole.join(',')}`);
    begun = true;
  }
  yield Buffer.from(begun ? ']' : '[]');
}

/**
 * Checks of `ops` lines, after their labels have been replaced. One compiled validator per operation, chosen by `op`: a check of
 * the whole choice would try each operation in turn. Made once per worker thread.
 */
import { contractSchema, type Schema } from './contract.ts';
import type { Violation } from './problem.ts';
import { type Validator, Validators } from './validator.ts';
import { nearestName } from './violations.ts';

export type LineValidator = (line: Record<string, unknown>) => Violation[] | null;

export function createLineValidator(): LineValidator {
  const validators = new Validators(false);
  const byOperation = new Map<string, Validator>();
  for (const branch of contractSchema('OperationLine').oneOf as Schema[]) {
    const op = (branch.properties as { op: { const: string } }).op.const;
    byOperation.set(
      op,
      validators.compileLater(() => branch),
    );
  }
  const names = [...byOperation.keys()];
  const choice = `one of ${names.map((name) => `\`${name}\``).join(', ')}`;

  return (line) => {
    const { op } = line;
    const validate = byOperation.get(op as string);
    if (validate !== undefined) return validate(line);
    if (op === undefined) return [{ path: '/op', message: `is required: ${choice}` }];
    if (typeof op !== 'string') return [{ path: '/op', message: `must be a string, ${choice}` }];
    const nearest = nearestName(op, names);
    const hint = nearest === null ? '' : `; did you mean \`${nearest}\`?`;
    return [{ path: '/op', message: `unknown operation \`${op.slice(0, 64)}\`: must be ${choice}${hint}` }];
  };
}

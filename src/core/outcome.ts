/** Outcomes of operations, made in one line. */
import type { Outcome } from './operations.ts';

export function ok(result: Record<string, unknown>): Outcome {
  return { status: 'ok', result };
}

/** Invalid input: nothing changed. `path` points at the member of the operation. */
export function refuse(code: string, detail: string, path?: string): Outcome {
  return { status: 'refused', problem: path === undefined ? { code, detail } : { code, detail, path } };
}

/** An expected failure of the simulated kernel, with every effect that it has there. */
export function fail(code: string, detail: string): Outcome {
  return { status: 'failed', problem: { code, detail } };
}

/**
 * Validators made of the contract's schemas. Each stops at the first violation, which is all that valid requests ever pay for;
 * only a request that failed is gone through again by a second one that finds every violation.
 */
import { Ajv, type AnySchema, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import addFormatsModule from 'ajv-formats';
import type { Violation } from './problem.ts';
import { violationsOf } from './violations.ts';

// ajv-formats is CommonJS: its function is the default export of the default export.
const addFormats = addFormatsModule as unknown as (ajv: Ajv) => Ajv;

/** null when the data fit; otherwise the violations, at least one. */
export type Validator = (data: unknown) => Violation[] | null;

/** More members and items than this, and only the first violation is named: naming all would cost more than the request. */
const MOST_NODES_FOR_ALL_VIOLATIONS = 5_000;

const OPTIONS: Options = {
  // Annotations (`x-...`, `example`) are for people; that every other keyword is one Ajv knows is a test of the contract.
  strict: false,
  verbose: true,
  discriminator: true,
  removeAdditional: false,
  useDefaults: false,
  // Reports of its own on schemas it does not know would go to the console.
  logger: false,
  // Ajv's own pass over what it has written takes twice as long as the writing, and V8 does the same to what runs often.
  code: { optimize: false },
};

export class Validators {
  private readonly firstOnly: Ajv;
  private readonly all: Ajv;

  /** @param coercion turn text into numbers and booleans, for what arrives in an address; never for bodies */
  constructor(coercion: boolean) {
    this.firstOnly = new Ajv({ ...OPTIONS, coerceTypes: coercion });
    this.all = new Ajv({ ...OPTIONS, coerceTypes: coercion, allErrors: true });
    addFormats(this.firstOnly);
    addFormats(this.all);
  }

  /** Compiled when it is first asked: all that the contract has takes half a second, and few ask for all of it. */
  compileLater(schemaOf: () => AnySchema): Validator {
    let validate: Validator | null = null;
    return (data) => (validate ??= this.compile(schemaOf()))(data);
  }

  /** @param schema without references to elsewhere */
  compile(schema: AnySchema): Validator {
    const fits = this.firstOnly.compile(schema);
    let fitsWithAll: ValidateFunction | null = null;
    return (data) => {
      if (fits(data)) return null;
      const first = fits.errors as ErrorObject[];
      if (countNodes(data, MOST_NODES_FOR_ALL_VIOLATIONS) >= MOST_NODES_FOR_ALL_VIOLATIONS) return violationsOf(first);
      fitsWithAll ??= this.all.compile(schema);
      return violationsOf(fitsWithAll(data) ? first : (fitsWithAll.errors as ErrorObject[]));
    };
  }
}

/** How many values `data` is made of; stops counting at `limit`. Keeps its own stack: the data may be nested deeply. */
function countNodes(data: unknown, limit: number): number {
  const waiting: unknown[] = [data];
  let count = 0;
  while (waiting.length > 0 && count < limit) {
    const node = waiting.pop();
    count++;
    if (node === null || typeof node !== 'object') continue;
    const parts = Array.isArray(node) ? node : Object.values(node);
    count += Math.max(0, parts.length - limit);
    for (let i = 0; i < parts.length && i < limit; i++) waiting.push(parts[i]);
  }
  return count;
}

/** Why an import ended before the recording did. */

export type ImportErrorCode =
  /** `auto` does not know what it is. */
  | 'unrecognised'
  /** `strict`, and a line was not understood. */
  | 'not-understood'
  /** Options that the format does not have, or that do not fit each other. */
  | 'invalid-options';

export class ImportError extends Error {
  readonly code: ImportErrorCode;
  /** Of the recording, from 1; null where it is about no line. */
  readonly line: number | null;
  /** JSON Pointer into the options; null where it is not about them. */
  readonly pointer: string | null;

  constructor(code: ImportErrorCode, message: string, { line = null as number | null, pointer = '' } = {}) {
    super(message);
    this.name = 'ImportError';
    this.code = code;
    this.line = line;
    this.pointer = pointer === '' ? null : pointer;
  }
}

/** What every format is made of: one file, one line in `index.ts`. */
import type { Intake } from '../intake.ts';

export interface FormatReader {
  write(chunk: Uint8Array): void;
  end(): void;
}

/** As in JSON Schema, of what an option may be. */
export interface OptionSchema {
  type: 'string' | 'integer' | 'boolean' | 'object';
  description: string;
  enum?: readonly string[];
  default?: string | number | boolean;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  properties?: Readonly<Record<string, OptionSchema>>;
  required?: readonly string[];
}

/** The beginning of a recording, up to 64 KiB, as `auto` looks at it. */
export interface Head {
  bytes: Uint8Array;
  /** The whole lines of it, as text, at most 200 of them that are neither blank nor comments. */
  lines: readonly string[];
  /** Comments, without their `#`. */
  comments: readonly string[];
}

export interface FormatEntry {
  kind: string;
  title: string;
  /** By what `auto` tells it; null: never, it has to be named. */
  recognisedBy: string | null;
  /** What its options may be, besides those of COMMON_OPTIONS. */
  options: Readonly<Record<string, OptionSchema>>;
  requiredOptions?: readonly string[];
  /** Where the format is defined. */
  source: string;
  /** What of the recording becomes which event, and what is left out. */
  becomes: string;
  /** @returns why it is this format, in words that follow "it is <kind>:", or null */
  recognise(head: Head): string | null;
  /** Options are those of the schema, with defaults. */
  open(intake: Intake, options: Readonly<Record<string, unknown>>): FormatReader;
}

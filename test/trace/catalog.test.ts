/** The catalog's schema of each format's options and what the importer takes are one thing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Validators } from '../../src/api/validator.ts';
import { traceFormatCatalog } from '../../src/trace/catalog.ts';
import { formats } from '../../src/trace/formats/index.ts';
import { checkOptions } from '../../src/trace/formats/options.ts';

interface Entry {
  kind: string;
  schema: Record<string, unknown>;
  defaults: Record<string, unknown>;
}

const entries = traceFormatCatalog() as unknown as Entry[];

/** What anybody might send, right or wrong, for any format. */
const SENT: Record<string, unknown>[] = [
  {},
  { order: 'merged' },
  { order: 'sideways' },
  { order: 1 },
  { mergeWindow: 0 },
  { mergeWindow: 1 },
  { mergeWindow: 65_537 },
  { mergeWindow: 1.5 },
  { colums: {} },
  { columns: { time: 'ts', size: 'len', offset: 'lba', op: 'rw' } },
  { columns: { time: 'ts' } },
  { columns: { time: 7 } },
  { columns: { time: 'ts', size: 'len', offset: 'lba', op: 'rw', colour: 'red' } },
  { columns: [] },
  { columns: { time: 'ts', size: 'len', offset: 'lba', op: 'rw' }, delimiter: 'tab', header: false },
  { columns: { time: 'ts', size: 'len', offset: 'lba', op: 'rw' }, delimiter: '|' },
  { columns: { time: 'ts', size: 'len', offset: 'lba', op: 'rw' }, tickNs: -1 },
];

function importerTakes(kind: string, options: Record<string, unknown>): boolean {
  try {
    checkOptions(formats[kind]!, options);
    return true;
  } catch {
    return false;
  }
}

describe('the formats of recordings in the catalog', () => {
  it('are those that are read, in the order in which auto tries them', () => {
    assert.deepEqual(
      entries.map(({ kind }) => kind),
      Object.keys(formats),
    );
  });

  for (const { kind, schema, defaults } of entries)
    it(`${kind}: its schema refuses what the importer refuses, and nothing else`, () => {
      const validator = new Validators(false).compile(schema);
      const answers = SENT.map((options) => validator(options) === null);
      assert.deepEqual(
        answers,
        SENT.map((options) => importerTakes(kind, options)),
      );
      assert.ok(answers.includes(true) && answers.includes(false));
      // What is filled in where nothing is said.
      const smallest = SENT[answers.indexOf(true)]!;
      const filled = checkOptions(formats[kind]!, smallest);
      for (const [name, value] of Object.entries(defaults)) assert.deepEqual(filled[name], value);
    });
});

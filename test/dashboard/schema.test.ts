/** Forms of JSON schemas: the catalog's own schemas, and what is written in their fields. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Validators } from '../../src/api/validator.ts';
import { catalog } from '../../src/core/catalog.ts';
import {
  fieldsOf,
  type Json,
  type JsonObject,
  pointer,
  problemsAt,
  readField,
  type Schema,
  textOf,
  withMember,
  withPath,
} from '../../src/dashboard/form/schema.ts';

const LISTS = ['allocators', 'policies', 'modes', 'devices', 'workloads'] as const;

interface Entry {
  kind: string;
  schema: Schema;
  defaults: JsonObject;
}

function entries(): (Entry & { list: string })[] {
  const lists = catalog() as unknown as Record<string, Entry[]>;
  return LISTS.flatMap((list) => (lists[list] as Entry[]).map((entry) => ({ ...entry, list })));
}

/** Lists of objects, which a field for each member would not make clearer. */
const AS_JSON = ['replay.accesses'];

describe('the fields of each kind in the catalog', () => {
  for (const { list, kind, schema, defaults } of entries())
    it(`${list}/${kind} are all there, none as JSON that can be otherwise, and each default comes back from its field`, () => {
      const fields = fieldsOf(schema, ['kind']);
      const members = Object.keys(schema.properties ?? {}).filter((name) => name !== 'kind');
      assert.deepEqual(
        fields.map(({ name }) => name),
        members,
      );
      for (const { name, kind: field, schema: member } of fields) {
        assert.ok(field !== 'json' || AS_JSON.includes(`${kind}.${name}`), `${name} has no field of its own`);
        const value = defaults[name];
        if (value === undefined || field === 'group') continue;
        const read = readField(textOf(value, field), field, member);
        assert.deepEqual(read, { ok: true, value }, name);
      }
    });

  it('take what their schema takes: a value read from a field passes the validator', () => {
    const validators = new Validators(false);
    const workload = entries().find(({ kind }) => kind === 'nic-rx') as Entry;
    const written: Record<string, string> = {
      gbps: 'line-rate',
      frameBytes: '1_500',
      cpus: '0 1, 2',
      recycle: 'page-pool',
    };
    const value: JsonObject = { kind: 'nic-rx', device: 'nic0' };
    for (const { name, kind, schema } of fieldsOf(workload.schema)) {
      if (written[name] === undefined) continue;
      const read = readField(written[name], kind, schema);
      assert.ok(read.ok);
      value[name] = read.value as Json;
    }
    assert.deepEqual(value, {
      kind: 'nic-rx',
      device: 'nic0',
      gbps: 'line-rate',
      frameBytes: 1500,
      cpus: [0, 1, 2],
      recycle: 'page-pool',
    });
    assert.equal(validators.compile(workload.schema as never)(value), null);
  });
});

describe('a field', () => {
  it('that is empty leaves its member out', () => {
    for (const kind of ['number', 'text', 'choice', 'numbers', 'json', 'yes-no'] as const)
      assert.deepEqual(readField('  ', kind, {}), { ok: true, value: undefined });
  });

  it('of a number takes units of 1024 and of 1000, and says of anything else that it is none', () => {
    const cases: [string, number][] = [
      ['64 MiB', 67_108_864],
      ['16Gi', 17_179_869_184],
      ['10k', 10_000],
      ['1e6', 1e6],
      ['-3', -3],
    ];
    for (const [text, value] of cases) assert.deepEqual(readField(text, 'number', {}), { ok: true, value }, text);
    for (const text of ['x', '1.2.3', '0x10', '1e999', '--1', '1 2'])
      assert.equal(readField(text, 'number', {}).ok, false, text);
  });

  it('of pairs takes names and words, and gives them back as they are written', () => {
    const value = { '0000:c2:00.0': 'nic0', '0000:c3:00.0': 'nic1' };
    const text = '0000:c2:00.0=nic0, 0000:c3:00.0=nic1';
    assert.equal(textOf(value, 'pairs'), text);
    assert.deepEqual(readField(text, 'pairs', {}), { ok: true, value });
    for (const wrong of ['nic0', '=nic0', '0000:c2:00.0='])
      assert.equal(readField(wrong, 'pairs', {}).ok, false, wrong);
  });

  it('of a choice takes its words alone, with their type', () => {
    const schema = { enum: [3, 4, 5] };
    assert.deepEqual(readField('4', 'choice', schema), { ok: true, value: 4 });
    assert.equal(readField('6', 'choice', schema).ok, false);
  });

  it('of a number or a word takes either', () => {
    const schema: Schema = { oneOf: [{ type: 'number' }, { const: 'line-rate' }] };
    const [field] = fieldsOf({ properties: { gbps: schema } });
    assert.equal(field?.kind, 'text');
    assert.deepEqual(readField('2.5', 'text', schema), { ok: true, value: 2.5 });
    assert.deepEqual(readField('line-rate', 'text', schema), { ok: true, value: 'line-rate' });
  });
});

describe('a change of a document', () => {
  it('leaves the one before as it was, and takes away objects that become empty', () => {
    const before = { iommu: { iotlb: { entries: 64 } }, seed: 1 };
    const after = withPath(before, ['iommu', 'iotlb', 'entries'], undefined);
    assert.deepEqual(after, { seed: 1 });
    assert.deepEqual(before, { iommu: { iotlb: { entries: 64 } }, seed: 1 });
    assert.deepEqual(withPath({}, ['a', 'b', 'c'], 1), { a: { b: { c: 1 } } });
    assert.equal(withMember({ a: 1 }, 'a', undefined), undefined);
  });
});

describe('problems', () => {
  const problems = [
    { path: '/policy/allocator/maxOrder', message: 'must be <= 10' },
    { path: '/workloads/0/cpus/1', message: 'must be < 2' },
  ];

  it('stand at the field of their pointer, with what is below it', () => {
    assert.deepEqual(problemsAt(problems, '/policy/allocator/maxOrder'), ['must be <= 10']);
    assert.deepEqual(problemsAt(problems, '/workloads/0/cpus'), ['/1 must be < 2']);
    assert.deepEqual(problemsAt(problems, '/workloads/0/cpu'), []);
  });

  it('have pointers in which a slash of a name is no step', () => {
    assert.equal(pointer('a/b', 0, 'c~d'), '/a~1b/0/c~0d');
  });
});

/** What the core offers and what the contract lets in are the same kinds with the same bounds. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { contractSchema, type Schema } from '../../src/api/contract.ts';
import { Validators } from '../../src/api/validator.ts';
import { sysfsWords } from '../../src/core/boot/sysfs-words.ts';
import { catalog } from '../../src/core/catalog.ts';

interface Entry {
  kind: string;
  schema: Schema;
  defaults: Record<string, unknown>;
}
const offered = catalog() as Record<string, Entry[]>;
const validators = new Validators(false);

function entries(group: string): Entry[] {
  return offered[group] as Entry[];
}
function property(schema: Schema, name: string): Schema {
  return (schema.properties as Record<string, Schema>)[name] as Schema;
}
function kindsOf(group: string): string[] {
  return entries(group)
    .map(({ kind }) => kind)
    .sort();
}
function allowed(schema: Schema): string[] {
  return [...(schema.enum as string[])].sort();
}

const input = contractSchema('SessionInput');
const policy = property(input, 'policy');
const allocator = property(policy, 'allocator');
const invalidation = property(policy, 'invalidation');

it('the catalogue fits the contract', () => {
  assert.equal(validators.compile(contractSchema('Catalog'))(catalog()), null);
});

it('the kinds are the same', () => {
  assert.deepEqual(allowed(property(allocator, 'kind')), kindsOf('allocators'));
  assert.deepEqual(
    allowed(property(invalidation, 'kind')),
    [...kindsOf('policies'), ...Object.keys(sysfsWords)].sort(),
    'policies, and the words of sysfs for them',
  );
  assert.deepEqual(allowed(property(policy, 'mode')), kindsOf('modes'));
  assert.deepEqual(allowed(contractSchema('DeviceKind')), kindsOf('devices'));
  assert.deepEqual(allowed(contractSchema('Preset')), kindsOf('presets'));
  assert.deepEqual(allowed(property(property(input, 'costs'), 'profile')), kindsOf('profiles'));
  const workloads = contractSchema('WorkloadInput').oneOf as Schema[];
  assert.deepEqual(workloads.map((branch) => property(branch, 'kind').const).sort(), kindsOf('workloads'));
});

describe('the parameters of a kind have the same bounds', () => {
  const bounds = ({ minimum, maximum, multipleOf }: Schema) => ({ minimum, maximum, multipleOf });
  const cases: [string, Entry, Schema][] = [
    ...entries('allocators').map((entry): [string, Entry, Schema] => ['allocator', entry, allocator]),
    ...entries('policies').map((entry): [string, Entry, Schema] => ['policy', entry, invalidation]),
    ...entries('modes')
      .filter(({ defaults }) => Object.keys(defaults).length > 0)
      .map((entry): [string, Entry, Schema] => ['mode', entry, property(policy, entry.kind)]),
    ...entries('devices').map((entry): [string, Entry, Schema] => ['device', entry, contractSchema('DeviceInput')]),
    ...entries('workloads').map((entry): [string, Entry, Schema] => {
      const branches = contractSchema('WorkloadInput').oneOf as Schema[];
      return ['workload', entry, branches.find((branch) => property(branch, 'kind').const === entry.kind) as Schema];
    }),
  ];
  for (const [what, entry, contracted] of cases) {
    it(`${what} ${entry.kind}`, () => {
      for (const [name, schema] of Object.entries((entry.schema.properties ?? {}) as Record<string, Schema>)) {
        const own = property(contracted, name);
        assert.ok(own, `the contract does not have ${name}`);
        assert.deepEqual(bounds(own), bounds(schema), name);
        if (schema.enum !== undefined) assert.deepEqual(own.enum, schema.enum, name);
      }
    });
  }
});

it('defaults and presets are what the contract lets in', () => {
  const validate = validators.compile(input);
  for (const { defaults } of entries('allocators')) assert.equal(validate({ policy: { allocator: defaults } }), null);
  for (const { defaults } of entries('policies')) assert.equal(validate({ policy: { invalidation: defaults } }), null);
  for (const { kind, defaults } of entries('modes')) {
    const parameters = Object.keys(defaults).length > 0 ? { [kind]: defaults } : {};
    assert.equal(validate({ policy: { mode: kind, ...parameters } }), null, kind);
  }
  for (const { kind, defaults } of entries('presets')) assert.equal(validate(defaults), null, kind);
});

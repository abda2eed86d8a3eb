/** The form of a spec, section by section; each list of the catalog gives its choices and their members. */
import type { Signal } from '@preact/signals';
import type { Catalog, CheckedSpec } from '../../api/contract-types.ts';
import { KindForm } from '../form/kind-form.tsx';
import type { Json, JsonObject, Schema } from '../form/schema.ts';
import { type PathProblem, SchemaForm } from '../form/schema-form.tsx';
import { Card } from '../parts/bits.tsx';
import { ElementList } from './element-list.tsx';
import { INVALIDATION, IOMMU, IOTLB, MACHINE } from './machine-schema.ts';
import { change, listAt, objectAt, type Spec } from './spec.ts';

export interface SpecFormProps {
  spec: Pick<Signal<Spec>, 'value' | 'peek'>;
  catalog: Catalog;
  /** The newest spec that could be simulated, resolved: what holds where nothing is given. */
  checked: CheckedSpec | null;
  problems: readonly PathProblem[];
  /** What several sessions have in common: it has no name of its own, and most of it is as the preset has it. */
  shared?: boolean;
}

const NAMES: Readonly<Record<string, Schema>> = {
  name: { type: 'string', description: 'in addresses; letters, digits, . _ -' },
  title: { type: 'string' },
};

export function SpecForm({ spec, catalog, checked, problems, shared = false }: SpecFormProps) {
  const now = spec.value;
  const resolved = (checked ?? {}) as unknown as JsonObject;
  const set = (path: readonly string[], value: Json | undefined) => {
    spec.value = change(spec.peek(), path, value);
  };
  const part = (schema: Schema, ...path: string[]) => (
    <SchemaForm
      schema={schema}
      value={objectAt(now, ...path)}
      defaults={objectAt(resolved, ...path) ?? {}}
      at={`/${path.join('/')}`}
      problems={problems}
      onChange={(value) => set(path, value)}
    />
  );
  const preset = catalog.presets.find(({ kind }) => kind === now.preset);
  const profiles = catalog.profiles.map(({ kind }) => kind);
  const policy = objectAt(resolved, 'policy') ?? {};
  const mode = String(objectAt(now, 'policy')?.mode ?? policy.mode ?? 'translate');
  const modeEntry = catalog.modes.find(({ kind }) => kind === mode);
  const devices = listAt(now, 'devices') ?? listAt(resolved, 'devices') ?? [];
  const domains = listAt(now, 'domains') ?? listAt(resolved, 'domains') ?? [];
  const names = (list: readonly JsonObject[]) => list.flatMap(({ name }) => (typeof name === 'string' ? [name] : []));
  const basics = {
    properties: {
      ...(shared ? {} : NAMES),
      preset: { enum: catalog.presets.map(({ kind }) => kind), description: 'what all else is merged into' },
      seed: { type: 'integer', description: 'of all that is random' },
    },
  };

  const rest = (
    <>
      <Card title="Policy">
        <div class="form">
          <SchemaForm
            schema={{
              properties: {
                mode: {
                  enum: catalog.modes.map(({ kind }) => kind),
                  description: String(modeEntry?.description ?? ''),
                },
                force: { type: 'boolean', description: 'keep what was asked for, whatever real systems would do' },
              },
            }}
            value={objectAt(now, 'policy')}
            defaults={policy}
            at="/policy"
            problems={problems.filter(({ path }) => !/^\/policy\/(allocator|invalidation)/.test(path))}
            onChange={(value) => set(['policy'], value)}
          />
          {modeEntry !== undefined && (
            <SchemaForm
              schema={modeEntry.schema as Schema}
              value={objectAt(now, 'policy', mode)}
              defaults={modeEntry.defaults as JsonObject}
              at={`/policy/${mode}`}
              problems={problems}
              onChange={(value) => set(['policy', mode], value)}
            />
          )}
          <SchemaForm
            schema={{
              properties: { kernelCommandLine: { type: 'string', description: 'iommu.strict=0 intel_iommu=on' } },
            }}
            value={now}
            defaults={resolved}
            at=""
            problems={problems}
            onChange={(value) => {
              spec.value = value ?? {};
            }}
          />
        </div>
        <KindForm
          label="Allocator"
          entries={catalog.allocators}
          value={objectAt(now, 'policy', 'allocator')}
          fallback={objectAt(policy, 'requested', 'allocator') ?? {}}
          at="/policy/allocator"
          problems={problems}
          onChange={(value) => set(['policy', 'allocator'], value)}
        />
        <KindForm
          label="Invalidation"
          entries={catalog.policies}
          value={objectAt(now, 'policy', 'invalidation')}
          fallback={objectAt(policy, 'requested', 'invalidation') ?? {}}
          at="/policy/invalidation"
          problems={problems}
          onChange={(value) => set(['policy', 'invalidation'], value)}
        />
      </Card>
      <ElementList
        title="Devices"
        one="device"
        entries={catalog.devices}
        list={listAt(now, 'devices')}
        inherited={listAt(resolved, 'devices') ?? []}
        extra={{ name: { type: 'string' }, domain: { type: 'string', description: 'its own when absent' } }}
        suggestions={{ domain: names(domains) }}
        at="/devices"
        problems={problems}
        onChange={(value) => set(['devices'], value)}
      />
      <ElementList
        title="Workloads"
        one="workload"
        entries={catalog.workloads}
        list={listAt(now, 'workloads')}
        inherited={listAt(resolved, 'workloads') ?? []}
        extra={{}}
        suggestions={{ device: names(devices), target: names(devices) }}
        at="/workloads"
        problems={problems}
        onChange={(value) => set(['workloads'], value)}
      />
      <Card title="Machine, IOMMU, costs">
        <div class="form">
          {part(MACHINE, 'machine')}
          {part(
            { properties: { profile: { enum: profiles, description: 'what each step costs, with its source' } } },
            'costs',
          )}
        </div>
        <h3>IOMMU</h3>
        <div class="form">{part(IOMMU, 'iommu')}</div>
        <h3>IOTLB</h3>
        <div class="form">{part(IOTLB, 'iommu', 'iotlb')}</div>
        <h3>Invalidation interface</h3>
        <div class="form">{part(INVALIDATION, 'iommu', 'invalidation')}</div>
      </Card>
    </>
  );
  return (
    <>
      <Card title={shared ? 'Base: what all arms have in common' : 'Session'}>
        <div class="form">
          <SchemaForm
            schema={basics satisfies Schema}
            value={now}
            defaults={resolved}
            at=""
            problems={problems}
            onChange={(value) => {
              spec.value = value ?? {};
            }}
          />
        </div>
        {preset !== undefined && (
          <p class="faint small">
            {String(preset.title)}. Source: {preset.source}
          </p>
        )}
      </Card>
      {shared ? (
        <details
          class="rest"
          open={problems.length > 0 || Object.keys(now).some((name) => !(name in basics.properties))}
        >
          <summary>The rest of the base: policy, devices, workloads, machine</summary>
          <div class="stack">{rest}</div>
        </details>
      ) : (
        rest
      )}
    </>
  );
}

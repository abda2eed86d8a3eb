/** `GET /v1/catalog`: every kind there is, with its schema, defaults and source. */
import { options } from './boot/options.ts';
import { sysfsWords } from './boot/sysfs-words.ts';
import { workloads } from './devices/index.ts';
import { assumptionsOf, hardwareOf, profiles, sensitivityOf } from './meter/cost-profile.ts';
import { policies } from './os/invalidation/index.ts';
import { withDefaults } from './os/invalidation/policy.ts';
import { allocators } from './os/iova/index.ts';
import { modes } from './os/mode/index.ts';
import { presets } from './presets.ts';

const deviceKinds = ['nic', 'block', 'hostile', 'replay', 'custom'];

export function catalog(): Record<string, unknown> {
  const noParameters = (kind: string) => ({
    type: 'object',
    additionalProperties: false,
    required: ['kind'],
    properties: { kind: { const: kind } },
  });
  return {
    allocators: Object.values(allocators).map(({ kind, schema, defaults, source, circular }) => ({
      kind,
      schema,
      defaults,
      source,
      circular,
    })),
    policies: Object.values(policies).map((entry) => ({
      kind: entry.kind,
      schema: entry.schema,
      defaults: withDefaults(entry),
      source: entry.source,
      reuse: entry.reuse,
      aliases: Object.keys(sysfsWords).filter((word) => sysfsWords[word] === entry.kind),
      lazy: entry.lazy,
      downgrades: entry.downgrades,
      ...(entry.forms && {
        forms: entry.forms.map(({ parameters, reuse }) => ({ parameters: withDefaults(entry, parameters), reuse })),
      }),
      needsCircularAllocator: entry.needsCircular,
    })),
    modes: Object.values(modes).map(
      ({ kind, schema, defaults, source, description, departs, pathology, virtual, unused }) => ({
        kind,
        schema,
        defaults,
        source,
        description,
        departs,
        pathology,
        needsVirtualMachine: virtual,
        unused,
      }),
    ),
    devices: deviceKinds.map((kind) => ({
      kind,
      schema: {
        type: 'object',
        properties: {
          kind: { const: kind },
          dmaMaskBits: { type: 'integer', minimum: 24, maximum: 64 },
          maxSegmentBytes: { type: 'integer', minimum: 4096, maximum: 2 ** 32 },
          deviceTlb: {
            type: 'object',
            additionalProperties: false,
            properties: {
              entries: { type: 'integer', minimum: 1, maximum: 65_536 },
              ways: { type: 'integer', minimum: 0, maximum: 65_536 },
              replacement: { enum: ['lru', 'plru', 'fifo', 'random'] },
            },
          },
          segmentBoundaryBytes: { type: 'integer', minimum: 4096, maximum: 2 ** 32 },
          untrusted: { type: 'boolean' },
        },
      },
      defaults: { dmaMaskBits: 64, maxSegmentBytes: 65_536, segmentBoundaryBytes: 2 ** 32, untrusted: false },
      source: kind === 'custom' ? 'driven by operations alone' : 'what its workloads say',
    })),
    workloads: Object.values(workloads).map(({ kind, schema, defaults, source }) => ({
      kind,
      schema,
      defaults,
      source,
    })),
    profiles: Object.values(profiles).map((profile) => ({
      kind: profile.kind,
      title: profile.title,
      source: profile.source,
      notMeasuredFor: profile.notMeasuredFor,
      ...(profile.inherits && { inherits: profile.inherits }),
      schema: noParameters(profile.kind),
      defaults: {
        clockGhz: profile.clockGhz,
        linkGbps: profile.linkGbps,
        mappingsPerPacket: profile.mappingsPerPacket,
      },
      machine: profile.machine,
      steps: profile.steps,
      assumptions: assumptionsOf(profile, {}),
      sensitivity: sensitivityOf(profile),
      device: profile.device,
      hardware: profile.hardware,
      guest: profile.guest,
      // Nothing applies it: a spec that says nothing of its `iommu` has the same one under every profile.
      suggestedIommu: hardwareOf(profile),
    })),
    presets: Object.values(presets).map(({ kind, title, source, spec }) => ({
      kind,
      title,
      source,
      schema: { type: 'object' },
      defaults: spec,
    })),
    kernelOptions: options.map(({ name, form, meanings, source }) => ({
      kind: name,
      schema: { type: 'string' },
      defaults: {},
      source,
      form,
      meanings: meanings.map(({ word, asks, remark }) => ({ word, ...(asks && { asks }), ...(remark && { remark }) })),
    })),
  };
}

/**
 * Experiments that are kept ready, by name. A new one is an element of a list here or of a list that is spread here: a request that is
 * run as any other is, or a publication whose own arms are run (`repro/`).
 */
import type { ExperimentInput } from './experiment.ts';
import { generalPresets } from './questions/general.ts';
import { questionPresets } from './questions/index.ts';
import { reproductionPresets } from './repro/presets.ts';
import type { Reproduction } from './repro/reproduction.ts';

interface Named {
  kind: string;
  title: string;
  source: string;
}
export type RequestPreset = Named & { request: ExperimentInput };
export type ReproductionPreset = Named & { reproduction: Reproduction };
export type ExperimentPreset = RequestPreset | ReproductionPreset;

const paired = (allocator: string, invalidation: string, parameters: Record<string, unknown> = {}) => ({
  label: `${invalidation}, ${allocator}`,
  set: {
    'policy.allocator': { kind: allocator },
    'policy.invalidation': { kind: invalidation, ...parameters },
  },
});

/** What was argued for and against in June 2008, and the control of the argument: no invalidation at all. */
const thread2008: RequestPreset = {
  kind: 'thread-2008',
  title: 'The 2008 argument: which policy, and what is given up for it',
  source: 'Linux kernel mailing list, June 2008, bitmap against red-black tree for intel-iommu',
  request: {
    base: { preset: 'thread-2008' },
    arms: [
      paired('rbtree-2008', 'strict'),
      paired('rbtree-2008', 'deferred-2008'),
      paired('bitmap', 'strict'),
      paired('bitmap', 'deferred-2008'),
      paired('bitmap', 'wrap'),
      paired('bitmap', 'never'),
    ],
    warmUp: { operations: 2_000 },
    until: { operations: 20_000 },
    seeds: [1, 2, 3],
  },
};

export const experimentPresets: Record<string, ExperimentPreset> = Object.fromEntries(
  [thread2008, ...generalPresets, ...questionPresets, ...reproductionPresets].map((preset) => [preset.kind, preset]),
);

/** The publication that a preset runs, or null: it is a request, or there is none of that name. */
export function reproductionOf(name: string | undefined): Reproduction | null {
  if (name === undefined || !Object.hasOwn(experimentPresets, name)) return null;
  const preset = experimentPresets[name]!;
  return 'reproduction' in preset ? preset.reproduction : null;
}

/** As the catalog lists them. `defaults` is the request. */
export function experimentCatalog(): Record<string, unknown>[] {
  return Object.values(experimentPresets).map((preset) => ({
    kind: preset.kind,
    title: preset.title,
    source: preset.source,
    schema: { type: 'object' },
    defaults: 'request' in preset ? preset.request : { preset: preset.kind },
  }));
}

/** The core's surface for the host. */
import { Simulator, type Surroundings } from './simulator.ts';
import type { SimulatorApi } from './simulator-api.ts';
import type { ResolvedSpec } from './spec.ts';
import { type RestoreLimits, restore } from './state/restore.ts';

export { catalog } from './catalog.ts';
export { mergedSpec, resolveSpec, SpecError } from './resolve-spec.ts';
export type { Surroundings } from './simulator.ts';
export { type Header as ImageHeader, readHeader as readImageHeader } from './state/form.ts';
export { type ImageFault, StateImageError } from './state/image-error.ts';
export type { RestoreLimits } from './state/restore.ts';
export { coreVersion } from './version.ts';

/** @throws SpecError when the spec's own machine cannot be made */
export function createSimulator(spec: ResolvedSpec, surroundings?: Surroundings): SimulatorApi {
  return new Simulator(spec, surroundings);
}

/**
 * The simulation that was saved, indistinguishable from it for good.
 *
 * @param spec the one of the simulation that was saved
 * @throws StateImageError when the bytes are no image of a simulation of that spec by this core
 */
export function restoreSimulator(
  spec: ResolvedSpec,
  image: Uint8Array,
  limits?: RestoreLimits,
  surroundings?: Surroundings,
): SimulatorApi {
  return restore(spec, image, limits, surroundings);
}

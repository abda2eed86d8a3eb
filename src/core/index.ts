/** The core's surface for the host. */
import { Simulator } from './simulator.ts';
import type { SimulatorApi } from './simulator-api.ts';
import type { ResolvedSpec } from './spec.ts';

export { catalog } from './catalog.ts';
export { resolveSpec, SpecError } from './resolve-spec.ts';
export { coreVersion } from './version.ts';

/** @throws SpecError when the spec's own machine cannot be made */
export function createSimulator(spec: ResolvedSpec): SimulatorApi {
  return new Simulator(spec);
}

/** The catalog of this version, as a server of it has it. */
import { catalog } from '../core/catalog.ts';
import { experimentCatalog } from '../lab/presets.ts';
import type { Catalog } from './place.ts';

export async function localCatalog(): Promise<Catalog> {
  return { ...catalog(), experiments: experimentCatalog() } as unknown as Catalog;
}

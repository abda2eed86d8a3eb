/** The catalog of this version, as a server of it has it. */
import { catalog } from '../core/catalog.ts';
import type { Catalog } from './place.ts';

export async function localCatalog(): Promise<Catalog> {
  const { experimentPresets } = await import('../lab/presets.ts');
  const experiments = Object.values(experimentPresets).map(({ kind, title, source }) => ({ kind, title, source }));
  return { ...catalog(), experiments } as Catalog;
}

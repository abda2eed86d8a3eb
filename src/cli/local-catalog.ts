/** The catalog of this version, as a server of it has it. */
import { catalog } from '../core/catalog.ts';
import { experimentCatalog } from '../lab/presets.ts';
import { traceFormatCatalog } from '../trace/catalog.ts';
import type { Catalog } from './place.ts';

export async function localCatalog(): Promise<Catalog> {
  const all = { ...catalog(), experiments: experimentCatalog(), traceFormats: traceFormatCatalog() };
  return all as unknown as Catalog;
}

/** `/v1/catalog`: everything that can be chosen, from the registries of the core, of the lab and of the importers. */
import { catalog } from '../src/core/catalog.ts';
import { experimentCatalog } from '../src/lab/presets.ts';
import { traceFormatCatalog } from '../src/trace/catalog.ts';
import type { Handlers } from './handlers.ts';

export function catalogHandlers(): Handlers {
  return {
    async getCatalog() {
      return { ...catalog(), experiments: experimentCatalog(), traceFormats: traceFormatCatalog() };
    },
  };
}

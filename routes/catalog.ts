/** `/v1/catalog`: everything that can be chosen, from the registries of the core. */
import { catalog } from '../src/core/catalog.ts';
import type { Handlers } from './handlers.ts';

export function catalogHandlers(): Handlers {
  return {
    async getCatalog() {
      return catalog();
    },
  };
}

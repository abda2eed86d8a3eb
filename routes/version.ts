/** `/v1`: version, limits, and where to go from here. */
import { LIMITS } from '../src/api/limits.ts';
import { apiVersion, version } from '../src/api/version.ts';
import type { Handlers } from './handlers.ts';

const LINKS = { sessions: '/v1/sessions', catalog: '/v1/catalog', contract: '/openapi.yaml', docs: '/docs' };

export function versionHandlers(basePath: string): Handlers {
  const links = Object.fromEntries(Object.entries(LINKS).map(([name, path]) => [name, basePath + path]));
  const document = { name: 'iommu-lab', version, apiVersion, limits: LIMITS, links };
  return {
    async getVersion() {
      return document;
    },
  };
}

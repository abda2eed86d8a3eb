/** `/v1`: version, limits, and where to go from here. */
import { LIMITS } from '../src/api/limits.ts';
import { apiVersion, version } from '../src/api/version.ts';
import type { Handlers } from './handlers.ts';

const DOCUMENT = {
  name: 'iommu-lab',
  version,
  apiVersion,
  limits: LIMITS,
  links: { sessions: '/v1/sessions', catalog: '/v1/catalog', contract: '/openapi.yaml', docs: '/docs' },
};

export function versionHandlers(): Handlers {
  return {
    async getVersion() {
      return DOCUMENT;
    },
  };
}

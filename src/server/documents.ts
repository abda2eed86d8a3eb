/** `/docs`, and the headers that keep pages to this server: no script, style, font or connection from or to another host. */
import { hash } from 'node:crypto';
import helmet from '@fastify/helmet';
import scalar from '@scalar/fastify-api-reference';
import type { FastifyInstance } from 'fastify';

const DOCS = '/docs';

/** Scalar makes its styles in the page, and draws some of its icons from `data:`. */
const POLICY: Record<string, string[]> = {
  'default-src': ["'self'"],
  'script-src': ["'self'"],
  'style-src': ["'self'", "'unsafe-inline'"],
  'img-src': ["'self'", 'data:', 'blob:'],
  'font-src': ["'self'", 'data:'],
  'connect-src': ["'self'"],
  'worker-src': ["'self'", 'blob:'],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
  'frame-ancestors': ["'none'"],
  'object-src': ["'none'"],
};

export async function serveDocuments(app: FastifyInstance, basePath: string): Promise<void> {
  await app.register(helmet, {
    // Pages only: on each reply of the API these 800 bytes would protect nobody.
    global: false,
    contentSecurityPolicy: { useDefaults: false, directives: POLICY },
    // It would hold for every port of the host name. Who has the whole of it says so in the proxy.
    strictTransportSecurity: false,
  });
  app.addHook('onRequest', (request, reply, done) => {
    const { url } = request.routeOptions;
    // Scalar's own redirect knows of no base path.
    if (url === DOCS) {
      reply.redirect(`${basePath}${DOCS}/`, 301);
      return;
    }
    // The pages at `/` say for themselves what they need.
    if (isPage(url)) reply.helmet();
    else reply.header('x-content-type-options', 'nosniff').header('cross-origin-resource-policy', 'same-origin');
    done();
  });
  await app.register(scalar, {
    routePrefix: DOCS,
    configuration: {
      url: `${basePath}/openapi.yaml`,
      pageTitle: 'iommu-lab: API reference',
      withDefaultFonts: false,
      telemetry: false,
      hideClientButton: true,
      showDeveloperTools: 'never',
      agent: { disabled: true },
      mcp: { disabled: true },
    },
  });
  // Scalar starts by a script in its page: exactly that one is allowed there.
  app.addHook('onSend', (request, reply, payload, done) => {
    if (request.routeOptions.url !== `${DOCS}/` || typeof payload !== 'string') return done();
    const scripts = [...payload.matchAll(/<script(?![^>]*\ssrc=)[^>]*>([\s\S]*?)<\/script>/g)];
    const hashes = scripts.map((script) => `'sha256-${hash('sha256', script[1] as string, 'base64')}'`);
    const header = String(reply.getHeader('content-security-policy'));
    reply.header(
      'content-security-policy',
      header.replace("script-src 'self'", ["script-src 'self'", ...hashes].join(' ')),
    );
    done();
  });
}

function isPage(route: string | undefined): boolean {
  return route === DOCS || route?.startsWith(`${DOCS}/`) === true;
}

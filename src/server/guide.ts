/** `/guide/`: the docs as pages, as `npm run build:site` made them. Where nobody built them, `/guide/` says how. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

export const GUIDE = '/guide';

/** From the sources, or from `dist` where they were compiled to. */
const BUILT = ['../../dist/site', '../../site'].map((path) => fileURLToPath(new URL(path, import.meta.url)));
/** The names of the pages stay while what they say changes. */
const MAX_AGE_SECONDS = 300;

const NOT_BUILT = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>iommu-lab: guide</title></head>
<body><h1>The guide was not built</h1><p><code>npm run build:site</code> makes it from <code>docs/</code>; it is there after a restart.</p></body></html>
`;

export async function serveGuide(
  app: FastifyInstance,
  basePath: string,
  folder: string | null = BUILT.find((path) => existsSync(path)) ?? null,
): Promise<void> {
  app.get(GUIDE, (_request, reply) => reply.redirect(`${basePath}${GUIDE}/`, 301));
  if (folder === null) {
    app.get(`${GUIDE}/`, (_request, reply) => reply.code(404).type('text/html; charset=utf-8').send(NOT_BUILT));
    return;
  }
  await app.register(fastifyStatic, {
    root: folder,
    prefix: `${GUIDE}/`,
    decorateReply: false,
    dotfiles: 'ignore',
    cacheControl: true,
    maxAge: MAX_AGE_SECONDS * 1000,
  });
}

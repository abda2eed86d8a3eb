/** `/guide/`: the docs as pages, as `npm run build:site` made them. Where nobody built them, `/guide/` says how. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { packageRoot } from '../api/contract.ts';

export const GUIDE = '/guide';

/** The names of the pages stay while what they say changes. */
const MAX_AGE_SECONDS = 300;

const NOT_BUILT = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>iommu-lab: guide</title></head>
<body><h1>The guide was not built</h1><p><code>npm run build:site</code> makes it from <code>docs/</code>; it is there after a restart.</p></body></html>
`;

/** @param folder absent: the package's. To be called after helmet is registered. */
export async function serveGuide(
  app: FastifyInstance,
  basePath: string,
  folder = join(packageRoot, 'dist', 'site'),
): Promise<void> {
  app.get(GUIDE, (_request, reply) => reply.redirect(`${basePath}${GUIDE}/`, 301));
  if (!existsSync(folder)) {
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

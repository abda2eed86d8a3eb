/**
 * The dashboard, a page built by `npm run build:dashboard` (`npm ci` does so by itself) into `dist/dashboard`:
 *
 *     /        the page, for who asks for HTML by name, as browsers do; all others get the front page, which is for them too
 *     /ui/...  its scripts and styles, each with a hash of its content in its name
 *
 * Its places are behind `#`, so that it takes no other path. Without a build, `/` is the front page for everybody. Both are open to all:
 * what they show they ask of the API, with a token where the server wants one.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { packageRoot } from '../api/contract.ts';
import { firstSteps, frontPage } from './front-page.ts';

export const ASSETS = '/ui/';

/** Where a page without scripts gets its text. */
const FIRST_STEPS = '<!-- first steps -->';

/**
 * Stricter than that of the reference: no inline script, and no inline style either. Charts and frames set styles by the CSSOM, which a
 * policy does not forbid.
 */
const POLICY = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'style-src': ["'self'"],
  'img-src': ["'self'"],
  'font-src': ["'self'"],
  'connect-src': ["'self'"],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
  'frame-ancestors': ["'none'"],
};

export interface DashboardSettings {
  basePath: string;
  /** Of the build; absent: the package's. */
  folder?: string;
}

/** To be called after helmet is registered. */
export async function serveDashboard(app: FastifyInstance, settings: DashboardSettings): Promise<void> {
  const { basePath, folder = join(packageRoot, 'dist', 'dashboard') } = settings;
  const page = join(folder, 'index.html');
  if (existsSync(page)) {
    await app.register(fastifyStatic, {
      root: join(folder, 'ui'),
      prefix: ASSETS,
      index: false,
      dotfiles: 'ignore',
      decorateReply: false,
      immutable: true,
      maxAge: '365d',
    });
  }

  app.get('/', async (request, reply) => {
    const origin = `${protocolOf(request)}://${request.host}`;
    const built = asksForHtml(request) ? await readPage(page) : null;
    reply.type('text/html; charset=utf-8').header('vary', 'accept').header('cache-control', 'no-cache');
    if (built === null) {
      reply.helmet();
      return frontPage(origin, basePath);
    }
    await protect(reply);
    return built.replace(FIRST_STEPS, () => firstSteps(origin + basePath));
  });
}

/** Read each time: it names the files of the newest build. Null: there is none. */
async function readPage(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return null;
  }
}

async function protect(reply: FastifyReply): Promise<void> {
  await reply.helmet({
    contentSecurityPolicy: { useDefaults: false, directives: POLICY },
    strictTransportSecurity: false,
  });
}

/** By name: curl and its like take anything. */
function asksForHtml({ headers }: FastifyRequest): boolean {
  return /(?:^|[,\s])text\/html\s*(?:[;,]|$)/i.test(headers.accept ?? '');
}

/** What a trusted proxy says is its own text. */
function protocolOf({ protocol }: FastifyRequest): string {
  return protocol === 'https' ? 'https' : 'http';
}

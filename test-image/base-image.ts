/**
 * The base image of the Dockerfile: pulled, or, where no registry can be reached, a stand-in of the same name, so that the same
 * Dockerfile is built. The stand-in is what the real one is made of: Debian of that release with essential packages only, Node of
 * that version under /usr/local, npm, and a user `node`.
 */
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildah, CACHE, hasImage, pull, ROOT } from './buildah.ts';
import { requirePrograms, run } from './programs.ts';

export interface BaseImage {
  /** Full, `docker.io/library/node:24.0.0-bookworm-slim`. */
  name: string;
  version: string;
  release: string;
}

/** The default in the Dockerfile. */
export function namedBaseImage(): BaseImage {
  const dockerfile = readFileSync(join(ROOT, 'docker/Dockerfile'), 'utf8');
  const match = /^ARG NODE_IMAGE=(\S+\/node:([0-9.]+)-([a-z]+)-slim)$/m.exec(dockerfile);
  if (match === null) throw new Error('docker/Dockerfile does not say which base image it has: ARG NODE_IMAGE=...');
  const [, name, version, release] = match as unknown as [string, string, string, string];
  return { name, version, release };
}

/** Has it in the storage afterwards; says where it came from. */
export async function provideBaseImage(image: BaseImage): Promise<string> {
  if (await hasImage(image.name)) return 'kept from an earlier run';
  try {
    await pull(image.name);
    return 'pulled';
  } catch (error) {
    await makeStandIn(image);
    return `made here, as it cannot be pulled: ${String(error).trim().split('\n').at(-1)}`;
  }
}

async function makeStandIn({ name, version, release }: BaseImage): Promise<void> {
  requirePrograms('mmdebstrap');
  if (process.versions.node !== version) {
    throw new Error(
      `The base image has Node ${version}, and this is ${process.versions.node}: the stand-in would be another one.`,
    );
  }
  const system = join(CACHE, `${release}.tar`);
  // As Debian's own slim images: no documents, manuals and translations.
  const without = ['doc', 'man', 'locale', 'info'].map((folder) => `--dpkgopt=path-exclude=/usr/share/${folder}/*`);
  await run('mmdebstrap', ['--quiet', '--variant=minbase', ...without, release, system]);
  const container = await buildah('from', 'scratch');
  try {
    await buildah('add', '--quiet', container, system, '/');
    await buildah('copy', '--quiet', '--chmod', '755', container, process.execPath, '/usr/local/bin/node');
    await buildah('copy', '--quiet', container, npmFolder(), '/usr/local/lib/node_modules/npm');
    await buildah('run', container, 'sh', '-c', SET_UP);
    await buildah('config', '--env', `NODE_VERSION=${version}`, '--env', PATH, '--cmd', 'node', container);
    await buildah('commit', '--quiet', '--format', 'docker', container, name);
  } finally {
    await buildah('rm', container);
    rmSync(system, { force: true });
  }
}

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const SET_UP = `
  ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
  ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
  groupadd --gid 1000 node
  useradd --uid 1000 --gid node --shell /bin/bash --create-home node
`;

/** Of the npm that runs this script. */
function npmFolder(): string {
  const cli = process.env.npm_execpath;
  if (cli === undefined) throw new Error('Run this by npm: npm run test:image');
  return dirname(dirname(cli));
}

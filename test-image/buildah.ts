/**
 * Debian's buildah, which builds and stores images without a daemon. Storage `vfs` and isolation `chroot` need no kernel feature that a
 * container lacks, so all this works inside one. What it stores stays in `.cache/`, for the base image's sake.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './programs.ts';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const CACHE = join(ROOT, '.cache', 'test-image');

const STORAGE = ['--root', join(CACHE, 'storage'), '--runroot', join(CACHE, 'run'), '--storage-driver', 'vfs'];
/** A registry that answers nothing at all is one that cannot be reached. */
const PULL_LIMIT_S = 120;

export async function buildah(command: string, ...args: string[]): Promise<string> {
  mkdirSync(CACHE, { recursive: true });
  const isolation = ['build', 'run', 'from'].includes(command) ? ['--isolation', 'chroot'] : [];
  return (await run('buildah', [...STORAGE, command, ...isolation, ...args])).trim();
}

export async function pull(name: string): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  await run('timeout', [String(PULL_LIMIT_S), 'buildah', ...STORAGE, 'pull', '--quiet', name]);
}

export async function hasImage(name: string): Promise<boolean> {
  return (await buildah('images', '--all', '--format', '{{.Name}}:{{.Tag}}')).split('\n').includes(name);
}

/** What a container engine reads of an image: Docker's form of its configuration. */
export interface ImageConfig {
  User: string;
  Env: string[];
  Entrypoint: string[];
  Cmd: string[] | null;
  WorkingDir: string;
  Volumes: Record<string, object>;
  ExposedPorts: Record<string, object>;
  Labels: Record<string, string>;
  StopSignal: string;
  Healthcheck: { Test: string[]; Interval: number; Timeout: number; StartPeriod: number; Retries: number };
}

export async function imageConfig(name: string): Promise<ImageConfig> {
  return JSON.parse(await buildah('inspect', '--type', 'image', name)).Docker.config;
}

/** The part of npm's settings here that `npm ci` needs inside a build: where the registry is, and whom to trust there. */
import { writeFileSync } from 'node:fs';
import { getCACertificates } from 'node:tls';
import { run } from './programs.ts';

/** Writes it for `--secret id=npmrc`: the registry, and all certificates when this machine has some of its own. */
export async function writeNpmrc(path: string): Promise<void> {
  const lines = [`registry=${(await run('npm', ['config', 'get', 'registry'])).trim()}`];
  // npm takes these in place of those that Node brings, so both are listed.
  if (getCACertificates('extra').length > 0) {
    for (const pem of getCACertificates('default')) lines.push(`ca[]=${JSON.stringify(pem.trim())}`);
  }
  writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o600 });
}

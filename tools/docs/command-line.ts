/** Parts of `docs/command-line.md`: the help of every command, and commands with what they print, run as anybody would run them. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { COMMANDS } from '../../src/cli/names.ts';

const BIN = fileURLToPath(new URL('../../bin/iommu-lab.mjs', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What the page shows, by the name of its part. */
const SHOWN: Record<string, string> = {
  'command line catalog': 'iommu-lab catalog rcache',
  'command line run': 'iommu-lab run thread-2008 --until ns=5000000 --set policy.invalidation.kind=strict',
  'command line compare':
    'iommu-lab compare thread-2008 --vary policy.invalidation.kind=strict,deferred-2008 --until ns=5000000',
  'command line repro': 'iommu-lab repro intel-iommu-2008',
};

/** Without a terminal, a server, or colours: the same everywhere. */
function printed(command: string): string {
  const own = Object.entries(process.env).filter(([name]) => !/^(IOMMU_LAB_|FORCE_COLOR$|NODE_TEST)/.test(name));
  const { stdout, stderr, status } = spawnSync(process.execPath, [BIN, ...command.split(' ').slice(1)], {
    cwd: ROOT,
    env: { ...Object.fromEntries(own), COLUMNS: '100', NO_COLOR: '1' },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${command} ended with ${status}:\n${stderr}`);
  return stdout;
}

function shown(command: string): string {
  return `\`\`\`console\n$ ${command}\n${printed(command).trimEnd()}\n\`\`\``;
}

/** `serve` and `token` read their own: their flags stand in other pages. */
function helps(): string {
  const own = COMMANDS.filter((name) => name !== 'serve' && name !== 'token');
  return own
    .map((name) => `### ${name}\n\n\`\`\`text\n${printed(`iommu-lab ${name} --help`).trimEnd()}\n\`\`\``)
    .join('\n\n');
}

export const commandLineParts: Record<string, () => string> = {
  'command line help': () => `\`\`\`text\n${printed('iommu-lab --help').trimEnd()}\n\`\`\``,
  'command line helps': helps,
  ...Object.fromEntries(Object.entries(SHOWN).map(([name, command]) => [name, () => shown(command)])),
};

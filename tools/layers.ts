/**
 * Which part may import which. The compiler does not care, and a wrong import works, until simulation logic sits in a route or the
 * core can no longer run anywhere but here. `npm run check` runs this; alone: `npm run layers`.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

interface Rule {
  /** Files whose imports are looked at. */
  files: RegExp;
  /** What they may import: a path from the root, or a package. */
  may?: RegExp;
  /** What they may not. */
  mayNot?: RegExp;
  /** Types are free: they are gone at run time. */
  typesToo: boolean;
  reason: string;
}

const RULES: Rule[] = [
  {
    files: /^src\/core\//,
    may: /^(src\/core\/|pure-rand\/)/,
    typesToo: true,
    reason: 'the core is pure: the same digest on any machine, in a worker, in a browser',
  },
  {
    files: /^src\/core\/sim\//,
    may: /^(src\/core\/(sim\/|assert\.ts)|pure-rand\/)/,
    typesToo: false,
    reason: 'time, locks and chance know nothing of what they are used for',
  },
  {
    files: /^src\/core\/hardware\//,
    mayNot: /^src\/core\/(os|truth|devices|apply|look)\//,
    typesToo: true,
    reason: 'a chip knows no kernel; what it does it tells the oracle, and asks it nothing that it acts on',
  },
  {
    files: /^src\/core\/os\//,
    mayNot: /^src\/core\/(devices|apply|look)\//,
    typesToo: false,
    reason: 'a kernel learns of devices by what they ask of it',
  },
  {
    files: /^src\/core\/truth\//,
    mayNot: /^src\/core\/(apply|devices|os)\//,
    typesToo: false,
    reason: 'the oracle is told what happens and does nothing itself',
  },
  {
    files: /^src\/host\//,
    mayNot: /^(routes|src\/(server|stream))\//,
    typesToo: true,
    reason: 'sessions are hosted for whoever asks, not for HTTP',
  },
  {
    files: /^src\/lab\//,
    mayNot: /^(routes|src\/(server|stream))\//,
    typesToo: true,
    reason: 'experiments run on the core, here or in a worker somewhere; who asks for them is no matter of theirs',
  },
  {
    files: /^src\/(core|host|api)\//,
    mayNot: /^src\/lab\//,
    typesToo: true,
    reason: 'sessions know of no experiment that uses them',
  },
  {
    files: /^(routes|src\/stream)\//,
    mayNot: /^src\/core\/(?!catalog\.ts|operations\.ts|version\.ts)/,
    typesToo: false,
    reason: 'routes and streams reach sessions only through the host; what the core offers is in its catalog',
  },
  {
    files: /^src\/(host|stream|core|lab)\//,
    mayNot: /^src\/access\//,
    typesToo: true,
    reason: 'who may see a session is decided before it is reached',
  },
  {
    files: /^(routes\/|src\/((api|host|lab|stream|core)\/|access\/(?!command-line)))/,
    mayNot: /^src\/(server\/|main\.ts|config\.ts)/,
    typesToo: true,
    reason: 'the server stands around the parts, none of which knows it',
  },
  {
    files: /^(routes\/|src\/(?!cli\/))/,
    mayNot: /^src\/cli\//,
    typesToo: true,
    reason: 'the command line is one of those who use the rest',
  },
  {
    files: /^src\/cli\//,
    mayNot: /^(routes|src\/(server|stream))\//,
    typesToo: true,
    reason: 'what a server does, the command line asks of one, or starts one with `serve`',
  },
  {
    files: /^src\/trace\/(formats|lines|payloads)\//,
    may: /^(src\/trace\/|node:buffer$)/,
    typesToo: true,
    reason: 'what a recording says is the same wherever its bytes come from: no I/O, no clock',
  },
  {
    files: /^src\/api\//,
    mayNot: /^(routes|src\/(host|stream|server))\//,
    typesToo: false,
    reason: 'the contract is what the others share',
  },
  {
    files: /^src\/dashboard\//,
    may: /^(src\/dashboard\/|preact$|preact\/hooks$|@preact\/signals$)/,
    typesToo: false,
    reason: 'the page knows the server by its contract, whose types alone it may have',
  },
  {
    files: /^(routes\/|src\/(?!dashboard\/))/,
    mayNot: /^src\/dashboard\//,
    typesToo: true,
    reason: 'the dashboard is a client like any other',
  },
  {
    files: /^clients\/typescript\/src\//,
    may: /^clients\/typescript\/src\//,
    typesToo: true,
    reason: 'the package for clients stands alone: no server code, and no package of its own',
  },
  {
    files: /^(routes|src)\//,
    mayNot: /^clients\//,
    typesToo: true,
    reason: 'the clients are among those who use the server',
  },
  {
    files: /^(routes|src)\//,
    mayNot: /^(test|bench|tools)\//,
    typesToo: true,
    reason: 'the package has none of these',
  },
];

interface Import {
  file: string;
  line: number;
  target: string;
  typeOnly: boolean;
}

/** `import`, `export ... from` and `import()`, as the formatter writes them. */
const IMPORT_FORM = /(?:^|\n)(?:import|export)(\s+type)?\b(?:[^;'"]*?\bfrom\s*)?\s*'([^']+)'|\bimport\('([^']+)'\)/g;

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(IMPORT_FORM)].map((match) => {
    const [whole, type, from, dynamic] = match;
    const named = (from ?? dynamic) as string;
    const target = named.startsWith('.') ? normalize(join(dirname(file), named)).replaceAll('\\', '/') : named;
    const line = text.slice(0, match.index + whole.length).split('\n').length;
    return { file, line, target, typeOnly: type !== undefined };
  });
}

/** One line for each import that a rule forbids. */
export function violations(imports: Import[], rules: Rule[] = RULES): string[] {
  return imports.flatMap(({ file, line, target, typeOnly }) =>
    rules
      .filter((rule) => rule.files.test(file) && (rule.typesToo || !typeOnly))
      .filter((rule) => (rule.may !== undefined && !rule.may.test(target)) || rule.mayNot?.test(target))
      .map((rule) => `${file}:${line} imports ${target}: ${rule.reason}`),
  );
}

if (import.meta.main) {
  const files = globSync(['src/**/*.{ts,tsx}', 'routes/**/*.ts', 'clients/typescript/src/**/*.ts']).map((file) =>
    file.replaceAll('\\', '/'),
  );
  const found = violations(files.flatMap(importsOf));
  for (const line of found) console.error(line);
  console.log(`layers: ${files.length} files, ${found.length} imports against the rules`);
  process.exitCode = found.length === 0 ? 0 : 1;
}

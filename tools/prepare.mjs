/**
 * Builds the dashboard, the guide and the parsed contract after `npm ci`, so that `npm start` has them. Plain JavaScript: it runs on whatever Node the machine has.
 *
 * Where what they are built with is not installed (`--omit=dev`) nothing is said. A build that fails is told and fails nothing: the server
 * is whole without its pages.
 */
const BUILDS = {
  contract: async () => {
    const { keepParsed } = await import('../src/api/parsed-contract.ts');
    keepParsed('.');
  },
  dashboard: async () => {
    const { build } = await import('vite');
    await build({ logLevel: 'warn' });
  },
  site: async () => {
    const { buildSite } = await import('./site/build.ts');
    buildSite('dist/site');
  },
};

for (const [name, build] of Object.entries(BUILDS))
  try {
    await build();
  } catch (error) {
    if (error?.code === 'ERR_MODULE_NOT_FOUND') continue;
    console.warn(`The ${name} was not built: ${error?.message ?? error}. Try: npm run build:${name}`);
  }

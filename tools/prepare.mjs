/**
 * Builds the dashboard after `npm ci`, so that `npm start` has it. Plain JavaScript: it runs on whatever Node the machine has.
 *
 * Where Vite is not installed (`--omit=dev`) there is nothing to build with and nothing is said. A build that fails is told and fails
 * nothing: the server is whole without its page.
 */
try {
  await import('vite').then(
    ({ build }) => build({ logLevel: 'warn' }),
    (error) => {
      if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    },
  );
} catch (error) {
  console.warn(`The dashboard was not built: ${error?.message ?? error}. Try: npm run build:dashboard`);
}

/** The dashboard, `src/dashboard`, into `dist/dashboard`: `npm run build:dashboard`. The server finds it there. */
import { defineConfig } from 'vite';

export default defineConfig({
  root: 'src/dashboard',
  publicDir: 'public',
  // Relative: the page is the same whatever the server's base path.
  base: './',
  worker: { format: 'es' },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../../dist/dashboard',
    emptyOutDir: true,
    // Everything but the page itself has a hash in its name and stands below `/ui`, which the server lets browsers keep for ever.
    assetsDir: 'ui',
    assetsInlineLimit: 0,
    // Inline scripts and `data:` are what the page's Content-Security-Policy forbids.
    modulePreload: { polyfill: false },
    target: 'es2023',
    reportCompressedSize: false,
  },
  // `npx vite` beside `npm start -- --port 8080`, for who works on the dashboard.
  server: {
    proxy: { '/v1': { target: 'http://127.0.0.1:8080', ws: true }, '/docs': 'http://127.0.0.1:8080' },
  },
});

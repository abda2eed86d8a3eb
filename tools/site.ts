/** `npm run build:site`: the docs as pages of HTML in `dist/site`, which the server serves at `/guide/`. */
import { buildSite } from './site/build.ts';

const OUT = 'dist/site';
console.log(`${buildSite(OUT)} pages in ${OUT}`);

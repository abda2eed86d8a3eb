/** Where a built server starts: `npm run build` makes `dist/main.js` of this, and `node dist/main.js` runs it without TypeScript. */
import './src/main.ts';

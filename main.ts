/**
 * Where a built server starts: `npm run build` makes `dist/main.js` of this, and `node dist/main.js` runs it without TypeScript. With a
 * command for its first word (`worker`, `compare`) it is the command line instead, so that one image does for all.
 */
import { COMMANDS } from './src/cli/names.ts';

const words: readonly string[] = COMMANDS;
if (words.includes(process.argv[2] ?? '')) await import('./src/cli/main.ts');
else await import('./src/main.ts');

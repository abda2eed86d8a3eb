/** `npm run build:contract`: see `src/api/parsed-contract.ts`. */
import { keepParsed } from '../../src/api/parsed-contract.ts';

keepParsed('.');

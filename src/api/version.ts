/** Which version this is, of the package and of the contract. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { contractDocument, packageRoot } from './contract.ts';

/** Of the package. */
export const version = String(JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')).version);

/** Of the contract: `info.version`. */
export const apiVersion = String((contractDocument.info as { version: string }).version);

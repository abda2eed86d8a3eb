/** A recording as numbers on the disk: `tape/layout.ts` says how, `tape/writer.ts` makes one, `tape/reader.ts` reads it. */

export type { TapeFacts } from './tape/facts.ts';
export { TAPE_VERSION, TapeError } from './tape/layout.ts';
export { openTape, TapeReader } from './tape/reader.ts';
export { type TapeSeal, TapeWriter } from './tape/writer.ts';

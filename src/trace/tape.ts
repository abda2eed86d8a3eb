/** A recording as numbers on the disk: `tape/layout.ts` says how, `tape/writer.ts` makes one, `tape/reader.ts` reads it. */
export { TAPE_VERSION, TapeError } from './tape/layout.ts';
export { openTape, type TapeFacts, TapeReader } from './tape/reader.ts';
export { type TapeSeal, TapeWriter } from './tape/writer.ts';

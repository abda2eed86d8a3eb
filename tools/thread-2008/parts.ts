/** Every number of `docs/thread-2008.md`, by the name of the place in the page where it stands. */
import { allocatorScenes } from '../docs/allocators.ts';
import type { Step, Transcriber } from '../docs/curl.ts';
import { startTranscriber } from '../docs/curl.ts';
import { policyScenes } from '../docs/policies.ts';
import { tutorialScenes } from '../docs/tutorial.ts';
import { batchingTable, breakdownTable } from './batching.ts';
import { diskTable } from './disks.ts';
import { hostileTable } from './hostile.ts';
import { lapTable } from './lap.ts';
import { costTable, exposureTable } from './policies.ts';
import { publishedTable } from './published.ts';
import { scatterTable } from './scatter.ts';
import * as scenes from './scenes.ts';

export type Part = () => string | Promise<string>;

let transcriber: Promise<Transcriber> | null = null;
export const scene = (steps: Step[]): Part => {
  return async () => (await (transcriber ??= startTranscriber())).transcribe(steps);
};

/** Lets the server of the transcripts go. */
export async function closeScenes(): Promise<void> {
  await (await transcriber)?.close();
  transcriber = null;
}

export const threadParts: Record<string, Part> = {
  'thread-2008 first run': scene(scenes.firstRun),
  'thread-2008 other arm': scene(scenes.otherArm),
  'thread-2008 wrap on the tree': scene(scenes.wrapOnTree),
  'thread-2008 costs': costTable,
  'thread-2008 batching': batchingTable,
  'thread-2008 breakdown': breakdownTable,
  'thread-2008 lists': scene(scenes.scatter),
  'thread-2008 lists table': scatterTable,
  'thread-2008 disks': diskTable,
  'thread-2008 exposure': exposureTable,
  'thread-2008 laps': lapTable,
  'thread-2008 hostile': hostileTable,
  'thread-2008 ahead of the cursor': scene(scenes.aheadOfCursor),
  'thread-2008 guests': scene(scenes.guests),
  'thread-2008 guests strict': scene(scenes.guestsStrict),
  'thread-2008 published': publishedTable,
};

/** Blocks of other pages that need the same server. */
export const sceneParts: Record<string, Part> = {
  'worked example': scene(scenes.readme),
  'bad input': scene(scenes.badInput),
  ...Object.fromEntries(
    Object.entries({ ...allocatorScenes, ...policyScenes, ...tutorialScenes }).map(([name, steps]) => [
      name,
      scene(steps),
    ]),
  ),
};

/**
 * A thread of `exports.ts`: one history to text, at the pace at which it is taken. Records come when they are asked for, pieces of text wait
 * for their turn: neither side has more of the other's than a few.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { ResolvedSpec } from '../../core/spec.ts';
import type { HistoryRecord } from '../../host/history.ts';
import { messageOf } from '../../host/problems.ts';
import { Tapes } from '../../host/recordings.ts';
import type { ExportSettings, FromExport, ToExport } from './exports.ts';
import { HistoryText } from './history.ts';

/** Characters of text that go in one message. */
const PIECE = 65_536;
/** Pieces that may lie between here and whoever reads. */
const AHEAD = 4;

if (parentPort === null) throw new Error('thread.ts runs as a worker thread of exports.ts');
const port = parentPort;
const settings = workerData as ExportSettings;

let untaken = 0;
let arrived: ToExport['records'] | undefined;
let wake: () => void = () => {};
port.on('message', (message: ToExport) => {
  if (message.records !== undefined) arrived = message.records;
  untaken -= message.taken ?? 0;
  wake();
});

function said(): Promise<void> {
  return new Promise((resolve) => {
    wake = resolve;
  });
}

function tell(message: FromExport): void {
  port.postMessage(message);
}

let text = '';
async function write(piece: string, last = false): Promise<void> {
  text += piece;
  if (text.length < PIECE && !last) return;
  while (untaken >= AHEAD) await said();
  untaken++;
  tell({ kind: 'text', text });
  text = '';
}

async function nextRecords(): Promise<HistoryRecord[] | null> {
  for (;;) {
    const records = arrived;
    arrived = undefined;
    if (records !== undefined) return records;
    await said();
  }
}

async function main(): Promise<void> {
  const { spec, labEvents, traces } = settings;
  const recordings = new Tapes(traces).of(null);
  const history = new HistoryText(spec as unknown as ResolvedSpec, { labEvents, recordings });
  await write(history.begin());
  for (;;) {
    tell({ kind: 'want' });
    const records = await nextRecords();
    if (records === null) break;
    for (const record of records) for (const piece of history.record(record)) await write(piece);
  }
  await write(history.end(), true);
  tell({ kind: 'end' });
}

main().catch((error: Error) => tell({ kind: 'failed', reason: messageOf(error) }));

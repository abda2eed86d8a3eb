/**
 * Reads one recording in a thread of its own: bytes from the file of its upload, which may still grow, through the unpacker and the
 * importer onto a tape. It never reads beyond what it was told is there.
 */
import { open } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../host/problems.ts';
import type { EventSink } from '../event.ts';
import { TapeError, TapeWriter } from '../tape.ts';
import type { TraceProblem, TraceReading } from '../trace.ts';
import type { FromReader, ReaderTask, ToReader } from './reader.ts';
import { UnpackError, unpack } from './unpack.ts';

const BLOCK_BYTES = 256 * 1024;
const TELL_MS = 250;

/** What is used of `createImporter`. */
interface Importer {
  write(chunk: Uint8Array): void;
  end(): void;
  summary(): TraceReading & { devices: readonly string[] };
}
interface ImporterModule {
  createImporter(settings: {
    format: string;
    options: Readonly<Record<string, unknown>>;
    strict: boolean;
    sink: EventSink;
  }): Importer;
}

if (parentPort === null) throw new Error('reader-thread.ts runs as a worker thread of reader.ts');
const port = parentPort;
const task = workerData as ReaderTask;

let available = 0;
let complete = false;
let read = 0;
let wake: (() => void) | null = null;
let toldDevices = 0;
/** Tells how far it is. */
let tellProgress = (): void => {};

port.on('message', (message: ToReader) => {
  available = Math.max(available, message.available);
  complete ||= message.complete;
  wake?.();
});

function tell(message: FromReader): void {
  port.postMessage(message);
}

async function* bytesOfUpload(): AsyncGenerator<Uint8Array> {
  const file = await open(task.upload, 'r');
  try {
    for (;;) {
      while (read < available) {
        const block = Buffer.alloc(Math.min(BLOCK_BYTES, available - read));
        const { bytesRead } = await file.read(block, 0, block.length, read);
        if (bytesRead === 0) throw new Error(`${task.upload} has only ${read} of ${available} bytes`);
        read += bytesRead;
        yield block.subarray(0, bytesRead);
      }
      if (complete && read >= available) return;
      // Whoever sends is held back by what is not read, and a thread without work may have to give way.
      tellProgress();
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      wake = null;
    }
  } finally {
    await file.close();
  }
}

/** All but the names of devices, of which only the new ones go. */
function reading(importer: Importer): { reading: TraceReading; devices: string[] } {
  const { devices, ...summary } = importer.summary();
  const fresh = devices.slice(toldDevices);
  toldDevices = devices.length;
  return { reading: summary, devices: fresh };
}

async function readIt(): Promise<void> {
  const tape = new TapeWriter(task.tape, task.largestTapeBytes);
  let importer: Importer | null = null;
  try {
    const { createImporter } = (
      task.importer === null ? await import('../importer.ts') : await import(task.importer)
    ) as ImporterModule;
    importer = createImporter({ format: task.format, options: task.options, strict: task.strict, sink: tape });
    let toldMs = performance.now();
    tellProgress = () => {
      toldMs = performance.now();
      tell({ kind: 'progress', read, tapeBytes: tape.bytes, records: tape.count, ...reading(importer!) });
    };
    await unpack(bytesOfUpload(), task.encoding, task, (bytes) => {
      importer!.write(bytes);
      if (performance.now() - toldMs >= TELL_MS) tellProgress();
    });
    importer.end();
    const said = reading(importer);
    const seal = tape.seal(said.reading);
    tell({ kind: 'ended', read, seal, ...said });
  } catch (error) {
    tape.abandon();
    const said = importer === null ? { reading: null, devices: [] } : reading(importer);
    tell({ kind: 'failed', read, problem: problemOf(error), ...said });
  }
}

function problemOf(error: unknown): TraceProblem {
  const detail = messageOf(error);
  if (error instanceof UnpackError) return { code: error.code, detail };
  if (error instanceof TapeError) {
    // The path is no matter of whoever uploads.
    const said = error.code === 'disk-full' ? 'The disk of the server is full.' : detail.replace(`${task.tape}: `, '');
    return { code: error.code === 'disk-full' ? 'storage-full' : `tape-${error.code}`, detail: said };
  }
  // Of the importer: known by its shape, as it is another's class.
  const { code, line } = error as { code?: unknown; line?: unknown };
  if ((error as Error | null)?.name === 'ImportError' && typeof code === 'string')
    return { code, detail, ...(typeof line === 'number' ? { line } : {}) };
  return { code: 'reader-failed', detail };
}

await readIt();
port.close();

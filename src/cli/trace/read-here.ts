/** What a recording says, read here: no server, no more memory than a block and what the importer keeps. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { ARCHIVE_LIMITS } from '../../trace/archive/limits.ts';
import { UnpackError, unpack } from '../../trace/archive/unpack.ts';
import type { EventSink } from '../../trace/event.ts';
import { ImportError } from '../../trace/import-error.ts';
import { createImporter } from '../../trace/importer.ts';
import type { TraceProblem, TraceReading } from '../../trace/trace.ts';
import { EXIT, Failure } from '../failure.ts';
import { encodingOf } from './upload.ts';

export interface ReadHere extends TraceReading {
  devices: readonly string[];
  /** Why it was not read to its end. */
  problem: TraceProblem | null;
}

const BLOCK_BYTES = 256 * 1024;

function nowhere(): EventSink {
  let devices = 0;
  return { event() {}, device: () => devices++ };
}

/** @param sink where its events go; closed by nobody here */
export async function readHere(
  path: string,
  { format, strict, options }: { format: string; strict: boolean; options: Record<string, unknown> },
  onBytes: (done: number, total: number) => void,
  signal: AbortSignal,
  sink: EventSink = nowhere(),
): Promise<ReadHere> {
  const { size } = await stat(path);
  const importer = importerFor();
  let problem: TraceProblem | null = null;
  try {
    await unpack(counted(), await encodingOf(path), ARCHIVE_LIMITS, (bytes) => importer.write(bytes));
    importer.end();
  } catch (error) {
    if (!(error instanceof ImportError || error instanceof UnpackError)) throw error;
    const line = error instanceof ImportError ? error.line : null;
    problem = { code: error.code, detail: error.message, ...(line === null ? {} : { line }) };
  }
  return { ...importer.summary(), problem };

  function importerFor() {
    try {
      return createImporter({ format, strict, options, sink });
    } catch (error) {
      if (error instanceof ImportError) throw new Failure(EXIT.usage, error.message);
      throw error;
    }
  }

  async function* counted(): AsyncGenerator<Uint8Array> {
    let done = 0;
    for await (const block of createReadStream(path, { highWaterMark: BLOCK_BYTES, signal })) {
      yield block as Buffer;
      done += (block as Buffer).length;
      onBytes(done, size);
    }
  }
}

/** In the place of the importer: it takes its time, and makes an event of each block. */
import { EVENT_KINDS, type EventSink } from '../../../src/trace/event.ts';
import { blankReading } from '../../../src/trace/trace.ts';
import { blankEvent } from '../tape/events.ts';

const BLOCK_MS = 20;

export function createImporter({ sink }: { sink: EventSink }) {
  let bytes = 0;
  return {
    write(chunk: Uint8Array): void {
      bytes += chunk.length;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCK_MS);
      sink.event({ ...blankEvent(), kind: EVENT_KINDS.map });
    },
    end(): void {},
    summary() {
      return { ...blankReading('ftrace'), bytes, devices: [] };
    },
  };
}

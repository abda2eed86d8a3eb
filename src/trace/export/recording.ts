/** A recording as ftrace text again: what an import understood, in the kernel's words. Of our own exports that is the text they were. */
import type { RecordedEvents } from '../../core/devices/replay/source.ts';
import { type EventKind, emptyEvent } from '../event.ts';
import { FtraceLines } from './lines.ts';

export interface RecordingTextOptions {
  labEvents: boolean;
  /** The stamp of the first event, as the import's summary has it. */
  origin: { seconds: number; nanoseconds: number } | null;
  /** As `LineOptions.queued`: no event says which interface an invalidation went through. */
  queued?: boolean;
}

/** Events of a step. */
const STEP = 1024;

/** The text in pieces. */
export function* recordingText(
  events: RecordedEvents,
  { labEvents, origin, queued = true }: RecordingTextOptions,
): Generator<string> {
  let text = '';
  const lines = new FtraceLines({
    device: (index) => events.devices[index] ?? 'unknown',
    labEvents,
    queued,
    ...(origin === null ? {} : { origin }),
    write: (line) => {
      text += line;
    },
  });
  const line = emptyEvent();
  for (let index = 0; index < events.count; index++) {
    events.load(index);
    line.kind = events.kind as EventKind;
    line.timeNs = events.timeNs;
    line.timePs = events.timePs;
    line.cpu = events.cpu;
    line.pid = events.pid;
    line.device = events.device;
    line.domain = events.domain;
    line.iovaPage = events.iovaPage;
    line.iovaOffset = events.iovaOffset;
    line.lengthBytes = events.lengthBytes;
    line.physicalPage = events.physicalPage;
    line.physicalOffset = events.physicalOffset;
    line.direction = events.direction;
    line.write = events.write;
    line.detail = events.detail;
    lines.event(line);
    if (index % STEP === STEP - 1) {
      yield text;
      text = '';
    }
  }
  lines.end();
  yield text;
}

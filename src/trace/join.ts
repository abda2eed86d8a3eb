import { ABSENT, EVENT_KINDS, type EventSink, type RecordedEvent } from './event.ts';
import type { RangeList } from './range-list.ts';

export class Joiner {
  private readonly sink: EventSink;
  /** Events that went to the sink, segments included. */
  events = 0;
  openMaps = 0;
  unmatchedUnmaps = 0;

  constructor(sink: EventSink) {
    this.sink = sink;
  }

  event(event: RecordedEvent, ranges: RangeList): void {
    this.sink.event(event);
    this.events++;
    for (let i = 0; i < ranges.count; i++) {
      event.kind = EVENT_KINDS.segment;
      event.iovaPage = ranges.iovaPage[i]!;
      event.iovaOffset = ranges.iovaOffset[i]!;
      event.lengthBytes = ranges.lengthBytes[i]!;
      event.physicalPage = ranges.physicalPage[i]!;
      event.physicalOffset = ranges.physicalOffset[i]!;
      event.detail = ABSENT;
      event.partner = ABSENT;
      event.call = ABSENT;
      this.sink.event(event);
      this.events++;
    }
  }
}

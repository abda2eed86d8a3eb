import type { RecordedEvent } from './event.ts';
import type { Joiner } from './join.ts';
import type { RangeList } from './range-list.ts';

export class CpuMerge {
  private readonly joiner: Joiner;
  late = 0;

  constructor(_window: number, joiner: Joiner) {
    this.joiner = joiner;
  }

  event(event: RecordedEvent, ranges: RangeList): void {
    this.joiner.event(event, ranges);
  }

  end(): void {}
}

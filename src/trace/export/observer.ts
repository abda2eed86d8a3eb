/**
 * A simulation watched from outside: what a kernel would trace of it, and what only a simulator knows, as recorded events.
 *
 * It stands around the parts' own methods (map, unmap, table entries, descriptors, accesses, frames), of one simulation that is there
 * to be watched: the session's own is never touched, and no line of the core is slower for it. It changes nothing: the watched
 * simulation has the digest of any other. When each line is said to be is told in `observed/lines.ts`.
 */
import type { Operation } from '../../core/operations.ts';
import type { Simulator } from '../../core/simulator.ts';
import { EVENT_KINDS } from '../event.ts';
import { ObservedCalls } from './observed/calls.ts';
import { ObservedChip } from './observed/chip.ts';
import { ObservedLines, type ObservedSink } from './observed/lines.ts';
import { ObservedMemory } from './observed/memory.ts';

export class Observer {
  private readonly simulator: Simulator;
  private readonly lines: ObservedLines;
  private readonly calls: ObservedCalls;
  /** [device]: domain in which it was last seen. */
  private readonly attached = new Map<number, number>();
  /** Whether invalidations go through a queue: only those are traced by the kernel. */
  readonly queued: boolean;

  constructor(simulator: Simulator, sink: ObservedSink) {
    this.simulator = simulator;
    this.queued = !simulator.unit.register;
    this.lines = new ObservedLines(simulator, sink);
    new ObservedMemory(simulator, this.lines);
    this.calls = new ObservedCalls(simulator, this.lines);
    new ObservedChip(simulator, this.lines);
  }

  /** As the kernel gives it, in segment 0. */
  nameOf(device: number): string {
    return `0000:${this.simulator.deviceAt(device).bdf}`;
  }

  /** Before an operation is applied. */
  begins(operation: Operation): void {
    this.lines.stampNow();
    this.calls.begins(operation);
  }

  /** After it was, if it was not refused. */
  ended(): void {
    this.calls.ended();
    this.attachments();
  }

  /** Tells of devices that have come, moved or gone since it was asked last. */
  attachments(): void {
    for (const device of this.simulator.everyDevice) {
      const now = device.removed ? -1 : (device.domain?.index ?? -1);
      const before = this.attached.get(device.index) ?? -1;
      if (now === before) continue;
      this.attached.set(device.index, now);
      const line = this.lines.fresh(now < 0 ? EVENT_KINDS.detach : EVENT_KINDS.attach);
      line.device = device.index;
      this.lines.tell(line);
    }
  }
}

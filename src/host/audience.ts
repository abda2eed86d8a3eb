/** Who hears of frames, epochs and ends of sessions. One that fails harms nobody else. */
import type { FrameListener } from './host.ts';
import type { HostLogger } from './logger.ts';

export class Audience {
  private readonly logger: HostLogger;
  private readonly listeners: FrameListener[] = [];

  constructor(logger: HostLogger) {
    this.logger = logger;
  }

  add(listener: FrameListener): void {
    this.listeners.push(listener);
  }

  tell(say: (listener: FrameListener) => void): void {
    for (const listener of this.listeners) {
      try {
        say(listener);
      } catch (error) {
        this.logger.error({ err: error }, 'a frame listener failed');
      }
    }
  }
}

/**
 * What a stream has sent, taken in order and a little in each frame: all topics of a session come at once, a hundred kilobytes of them ten
 * times a second, and to read them all in one frame would hold it up. Where nobody looks, or much waits, nothing is put off for long.
 */

/** Read in one frame, about; a message that is longer is read alone. */
const CHARACTERS = 24_000;
/** Of what waits, taken in a frame at least, so that the history that a page begins with is there in some frames. */
const SHARE = 1 / 6;
/** So much waits only where there are no frames. */
const MOST = 500;

export interface FrameClock {
  /** Calls back before the next frame. */
  next(work: () => void): void;
  /** Nobody looks: there may be no next frame. */
  isHidden(): boolean;
  /** Something was read: this frame has less room for other things. */
  worked(): void;
}

export class Inbox {
  private readonly take: (text: string) => void;
  private readonly clock: FrameClock;
  private waiting: string[] = [];
  private asked = false;
  /** Read since the frame before. */
  private read = 0;

  constructor(take: (text: string) => void, clock: FrameClock) {
    this.take = take;
    this.clock = clock;
  }

  push(text: string): void {
    this.waiting.push(text);
    if (this.clock.isHidden() || this.waiting.length > MOST) this.drain();
    else this.work(1);
  }

  /** All that waits, now. */
  drain(): void {
    const all = this.waiting;
    this.waiting = [];
    for (const text of all) this.take(text);
  }

  /** Forgets what waits. */
  clear(): void {
    this.waiting = [];
  }

  private work(least: number): void {
    const before = this.read;
    for (let taken = 0; this.waiting.length > 0; taken++) {
      const { length } = this.waiting[0] as string;
      const isFirst = taken < least && (least > 1 || this.read === 0);
      if (!isFirst && this.read + length > CHARACTERS) break;
      this.read += length;
      this.take(this.waiting.shift() as string);
    }
    if (this.read > before) this.clock.worked();
    if (this.asked || this.read === 0) return;
    this.asked = true;
    this.clock.next(() => {
      this.asked = false;
      this.read = 0;
      this.work(Math.max(1, Math.ceil(this.waiting.length * SHARE)));
    });
  }
}

/**
 * Looks at a space again and again, keeps what it saw, and shows the newest or an earlier one.
 *
 * A look is asked for when the one before has come, so that a slow server is asked less often; a page that nobody sees does not ask.
 */
import { computed, type Signal, signal } from '@preact/signals';
import type { Problem, SpaceCells } from '../../api/contract-types.ts';
import { problemOf } from '../api.ts';

/** Looks that are kept. */
export const KEPT = 300;

export class Player {
  readonly looks: Signal<readonly SpaceCells[]> = signal([]);
  /** Place in `looks`; null: the newest, whatever comes. */
  readonly chosen: Signal<number | null> = signal(null);
  readonly playing = signal(true);
  readonly problem: Signal<Problem | null> = signal(null);
  /** Looks a second that came, of the last few. */
  readonly rate = signal(0);
  readonly shown = computed<SpaceCells | null>(
    () => this.looks.value[this.chosen.value ?? this.looks.value.length - 1] ?? null,
  );
  perSecond = 5;
  private readonly ask: () => Promise<SpaceCells>;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asking = false;
  private again = false;
  private ended = false;
  private came: number[] = [];

  constructor(ask: () => Promise<SpaceCells>) {
    this.ask = ask;
    document.addEventListener('visibilitychange', this.seen);
  }

  end(): void {
    this.ended = true;
    clearTimeout(this.timer);
    document.removeEventListener('visibilitychange', this.seen);
  }

  private readonly seen = (): void => {
    if (!document.hidden && this.playing.peek()) void this.look();
  };

  play(on: boolean): void {
    this.playing.value = on;
    if (!on) {
      clearTimeout(this.timer);
      return;
    }
    this.chosen.value = null;
    void this.look();
  }

  /** Looks now; what is on its way counts no more. */
  async look(): Promise<void> {
    clearTimeout(this.timer);
    if (this.ended) return;
    if (this.asking) {
      this.again = true;
      return;
    }
    this.asking = true;
    const begun = performance.now();
    try {
      const reply = await this.ask();
      this.problem.value = null;
      if (!this.ended && !this.again) this.keep(reply);
    } catch (error) {
      this.problem.value = problemOf(error);
    }
    this.asking = false;
    if (this.again) {
      this.again = false;
      return this.look();
    }
    if (!this.playing.peek() || this.ended || document.hidden) return;
    const wait = this.problem.peek() === null ? 1000 / this.perSecond - (performance.now() - begun) : 2_000;
    this.timer = setTimeout(() => void this.look(), Math.max(10, wait));
  }

  private keep(reply: SpaceCells): void {
    const now = performance.now();
    this.came = [...this.came.slice(-9), now];
    const first = this.came[0] as number;
    this.rate.value = this.came.length < 2 ? 0 : ((this.came.length - 1) * 1000) / Math.max(1, now - first);
    const looks = this.looks.peek();
    const before = looks.at(-1);
    // Nothing has happened since: the same look again is not kept.
    const isSame =
      before !== undefined && before.timeNs === reply.timeNs && JSON.stringify(before) === JSON.stringify(reply);
    if (isSame) return;
    const dropped = looks.length >= KEPT ? 1 : 0;
    this.looks.value = [...looks.slice(dropped), reply];
    const at = this.chosen.peek();
    if (at !== null) this.chosen.value = Math.max(0, at - dropped);
  }

  /** Another stretch or another space: what was kept is of no use to it. */
  forget(): void {
    this.looks.value = [];
    this.chosen.value = null;
    this.came = [];
  }
}

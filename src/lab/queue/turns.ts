/**
 * Jobs of a worker side by side; one that may have ended a worker before has the process to itself, so that it takes no other job along
 * the next time. In order of arrival.
 */
export class Turns {
  private inside = 0;
  private aloneInside = false;
  private readonly waiting: { alone: boolean; enter: () => void }[] = [];

  /** Resolves to what is to be called at the end. */
  enter(alone: boolean): Promise<() => void> {
    return new Promise((resolve) => {
      this.waiting.push({ alone, enter: () => resolve(this.leaving(alone)) });
      this.admit();
    });
  }

  private leaving(alone: boolean): () => void {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.inside--;
      if (alone) this.aloneInside = false;
      this.admit();
    };
  }

  private admit(): void {
    for (let first = this.waiting[0]; first !== undefined; first = this.waiting[0]) {
      if (this.aloneInside || (first.alone && this.inside > 0)) return;
      this.waiting.shift();
      this.inside++;
      this.aloneInside = first.alone;
      first.enter();
    }
  }
}

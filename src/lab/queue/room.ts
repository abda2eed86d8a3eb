/** How many bytes are under way at a time. Who finds no room waits, in order; one that is larger than all the room goes alone. */
export class Room {
  private readonly bytes: number;
  private used = 0;
  private readonly inside = new Map<string, number>();
  private readonly waiting = new Map<string, { bytes: number; enter: () => void }>();

  constructor(bytes: number) {
    this.bytes = bytes;
  }

  /** @param entered called when there is room, which may be at once */
  enter(id: string, bytes: number, entered: () => void): void {
    this.waiting.set(id, { bytes, enter: entered });
    this.admit();
  }

  has(id: string): boolean {
    return this.inside.has(id);
  }

  /** Also of one that still waits. */
  leave(id: string): void {
    this.used -= this.inside.get(id) ?? 0;
    this.inside.delete(id);
    this.waiting.delete(id);
    this.admit();
  }

  private admit(): void {
    for (const [id, { bytes, enter }] of this.waiting) {
      if (this.inside.size > 0 && this.used + bytes > this.bytes) return;
      this.waiting.delete(id);
      this.inside.set(id, bytes);
      this.used += bytes;
      enter();
    }
  }
}

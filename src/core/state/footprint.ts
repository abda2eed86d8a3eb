/**
 * How much memory a simulation holds: every object that can be reached from it, each once, as V8 lays them out, about. It is found by
 * looking, not by book-keeping, so that an allocator or a device that is added later is counted like the rest. Columns are exact, and
 * they are nearly all of it; objects and strings are what they take at least. Nothing is touched.
 *
 * An object costs some 0.5 us, and a large session has millions, so it is done in steps. What changes in between is counted as it was
 * when it was met, or is missed.
 */
import type { Footprint } from '../simulator-api.ts';

/** Of an object without its fields: header, elements, properties; a field or an element; an entry of a hash table. */
const OBJECT_BYTES = 24;
const FIELD_BYTES = 8;
const ENTRY_BYTES = 40;
/** Of a column beside its bytes: the view, its buffer, and what V8 keeps of that outside the heap. */
const COLUMN_BYTES = 200;

export class Walk implements Footprint {
  private readonly seen = new Set<object>();
  private readonly waiting: object[] = [];
  private bytes = 0;

  constructor(root: object) {
    this.meet(root);
  }

  private meet(value: unknown): void {
    if (typeof value === 'string') this.bytes += value.length;
    else if (typeof value === 'object' && value !== null && !this.seen.has(value)) {
      this.seen.add(value);
      this.waiting.push(value);
    }
  }

  step(objects: number): number | null {
    const { waiting } = this;
    for (let left = objects; left > 0; left--) {
      const object = waiting.pop();
      if (object === undefined) return this.bytes;
      this.look(object);
    }
    return waiting.length === 0 ? this.bytes : null;
  }

  private look(object: object): void {
    if (ArrayBuffer.isView(object)) {
      this.bytes += COLUMN_BYTES;
      this.meet(object.buffer);
    } else if (object instanceof ArrayBuffer) this.bytes += object.byteLength;
    else if (Array.isArray(object)) {
      this.bytes += OBJECT_BYTES + object.length * FIELD_BYTES;
      for (const element of object) this.meet(element);
    } else if (object instanceof Map) {
      this.bytes += OBJECT_BYTES + object.size * ENTRY_BYTES;
      for (const [key, value] of object) {
        this.meet(key);
        this.meet(value);
      }
    } else if (object instanceof Set) {
      this.bytes += OBJECT_BYTES + object.size * ENTRY_BYTES;
      for (const value of object) this.meet(value);
    } else {
      const fields = Object.values(object);
      this.bytes += OBJECT_BYTES + fields.length * FIELD_BYTES;
      for (const value of fields) this.meet(value);
    }
  }
}

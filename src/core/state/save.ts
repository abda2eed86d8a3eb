/**
 * Writes a simulation down: every object that can be reached from it, each once, in the order in which it is met, breadth first.
 *
 * Nothing is left out in silence: a class that `classes.ts` does not know, a function where it names none, a symbol, a property that is
 * hidden or computed throw. Nothing is touched.
 */
import { InvariantError } from '../assert.ts';
import type { Simulator } from '../simulator.ts';
import { ImageWriter } from './bytes.ts';
import { fixedOf, found, given, made } from './classes.ts';
import { type Column, columnType, writeColumn } from './columns.ts';
import { BARE, fillHeader, firstOf, HEADER_BYTES, KIND, PLAIN, specDigest, VALUE } from './form.ts';
import { growthOf } from './grow.ts';

interface Shape {
  index: number;
  name: string;
  keys: string[];
  functions: ReadonlySet<string>;
}

const none: ReadonlySet<string> = new Set();

class Saver {
  private readonly writer = new ImageWriter();
  /** [object]: its number. */
  private readonly numbers = new Map<object, number>();
  private readonly objects: object[] = [];
  private readonly shapes = new Map<string, Shape>();
  /** [object]: of those with fields. */
  private readonly shapeOf = new Map<object, Shape>();
  /** [buffer]: number of the column that has it to itself, or its own. */
  private readonly buffers = new Map<object, number>();
  private unfoldedBytes = 0;

  save(simulator: Simulator): Uint8Array {
    const { writer, objects } = this;
    writer.text(specDigest(simulator.spec));
    writer.text(JSON.stringify(growthOf(simulator)));
    const fixed = fixedOf(simulator);
    writer.count(fixed.length);
    for (const object of fixed) this.number(object);
    this.number(simulator);
    this.shape(simulator);
    for (const object of firstOf(simulator)) {
      this.number(object);
      this.shape(object);
    }
    for (let i = fixed.length; i < objects.length; i++) this.content(objects[i]!);
    const image = writer.behind(HEADER_BYTES);
    fillHeader(image, this.unfoldedBytes);
    return image;
  }

  private number(object: object): void {
    if (!this.numbers.has(object)) this.numbers.set(object, this.objects.length);
    this.objects.push(object);
  }

  /** Writes which fields an object has. */
  private shape(object: object): void {
    const { shapes, writer } = this;
    const prototype = Object.getPrototypeOf(object);
    const name: string =
      prototype === null ? BARE : prototype === Object.prototype ? PLAIN : (prototype.constructor?.name ?? '');
    const keys = Object.keys(object);
    if (Reflect.ownKeys(object).length !== keys.length)
      throw new InvariantError(`an object of the class "${name}" has members that an image cannot have beside ${keys}`);
    const form = `${name} ${keys.join(' ')}`;
    let shape = shapes.get(form);
    if (shape !== undefined) {
      writer.count(shape.index);
      this.shapeOf.set(object, shape);
      return;
    }
    let functions = given;
    if (name !== PLAIN && name !== BARE) {
      if (!(name in found) && !(name in made))
        throw new InvariantError(`a state has an object of the class "${name}", which state/classes.ts does not know`);
      functions = name in found ? new Set(found[name]) : none;
    }
    if (keys.some((key) => key.includes(' ')))
      throw new InvariantError(`an object of the class "${name}" has a member that an image cannot have: ${keys}`);
    for (const key of keys)
      if (!('value' in Object.getOwnPropertyDescriptor(object, key)!))
        throw new InvariantError(`the member "${key}" of an object of the class "${name}" is computed`);
    shape = { index: shapes.size, name, keys, functions };
    shapes.set(form, shape);
    this.shapeOf.set(object, shape);
    writer.count(shape.index);
    writer.text(name);
    writer.count(keys.length);
    for (const key of keys) writer.text(key);
  }

  private value(value: unknown, holder: string, key: unknown, functions: ReadonlySet<string> = none): void {
    const { writer } = this;
    switch (typeof value) {
      case 'undefined':
        writer.byte(VALUE.undefined);
        return;
      case 'boolean':
        writer.byte(value ? VALUE.true : VALUE.false);
        return;
      case 'number':
        if ((value | 0) === value && !Object.is(value, -0)) {
          writer.byte(VALUE.whole);
          writer.whole(value);
        } else {
          writer.byte(VALUE.double);
          writer.double(value);
        }
        return;
      case 'string':
        writer.byte(VALUE.text);
        writer.text(value);
        return;
      case 'bigint':
        writer.byte(value < 0n ? VALUE.negativeBigint : VALUE.bigint);
        writer.text((value < 0n ? -value : value).toString(16));
        return;
      case 'function':
        if (!functions.has(key as string))
          throw new InvariantError(`"${key}" of an object of the class "${holder}" holds a function`);
        writer.byte(VALUE.kept);
        return;
      case 'symbol':
        throw new InvariantError(`"${String(key)}" of an object of the class "${holder}" holds a symbol`);
    }
    if (value === null) {
      writer.byte(VALUE.null);
      return;
    }
    const object = value as object;
    const known = this.numbers.get(object);
    if (known !== undefined) {
      writer.byte(VALUE.known);
      writer.count(known);
      return;
    }
    this.head(object, `"${String(key)}" of an object of the class "${holder}"`);
  }

  private head(object: object, where: string): void {
    const { writer } = this;
    if (ArrayBuffer.isView(object)) {
      this.column(object as unknown as Column, where);
      return;
    }
    const prototype = Object.getPrototypeOf(object);
    if (Array.isArray(object)) {
      writer.byte(VALUE.object + (Object.isFrozen(object) ? KIND.frozenArray : KIND.array));
      writer.count(object.length);
    } else if (prototype === Map.prototype) {
      writer.byte(VALUE.object + KIND.map);
      writer.count((object as Map<unknown, unknown>).size);
    } else if (prototype === Set.prototype) {
      writer.byte(VALUE.object + KIND.set);
      writer.count((object as Set<unknown>).size);
    } else {
      const plain = prototype === Object.prototype || prototype === null;
      const frozen = Object.isFrozen(object) && Object.keys(object).length > 0;
      if (frozen && !plain) throw new InvariantError(`${where} is frozen`);
      writer.byte(VALUE.object + (frozen ? KIND.frozenPlain : plain ? KIND.plain : KIND.instance));
      this.shape(object);
    }
    this.number(object);
  }

  private column(column: Column, where: string): void {
    const { writer, buffers } = this;
    const type = columnType(column);
    const { buffer, byteOffset, length, BYTES_PER_ELEMENT: size } = column;
    if (
      type < 0 ||
      Object.getPrototypeOf(buffer) !== ArrayBuffer.prototype ||
      (buffer as { resizable?: boolean }).resizable
    )
      throw new InvariantError(`${where} is a column of a kind that an image does not have`);
    const whole = byteOffset === 0 && length * size === buffer.byteLength;
    let of = buffers.get(buffer);
    if (of === undefined && whole) {
      writer.byte(VALUE.object + KIND.column);
      writer.byte(type);
      writer.count(length);
      writeColumn(writer, new Uint8Array(buffer), size);
      this.unfoldedBytes += buffer.byteLength;
      buffers.set(buffer, this.objects.length);
      this.number(column);
      return;
    }
    if (of === undefined) {
      of = this.objects.length;
      writer.byte(VALUE.object + KIND.buffer);
      writer.count(buffer.byteLength);
      writeColumn(writer, new Uint8Array(buffer), 1);
      this.unfoldedBytes += buffer.byteLength;
      buffers.set(buffer, of);
      this.number(buffer);
    }
    writer.byte(VALUE.object + KIND.view);
    writer.byte(type);
    writer.count(of);
    writer.count(byteOffset);
    writer.count(length);
    this.number(column);
  }

  private content(object: object): void {
    if (ArrayBuffer.isView(object) || object instanceof ArrayBuffer) return;
    if (Array.isArray(object)) this.elements(object);
    else if (object instanceof Map) {
      this.without(object, 'Map');
      for (const [key, value] of object) {
        this.value(key, 'Map', 'key');
        this.value(value, 'Map', key);
      }
    } else if (object instanceof Set) {
      this.without(object, 'Set');
      for (const value of object) this.value(value, 'Set', 'element');
    } else {
      const { name, keys, functions } = this.shapeOf.get(object)!;
      const fields = object as Record<string, unknown>;
      for (const key of keys) this.value(fields[key], name, key, functions);
    }
  }

  /** A list may be long and hold little: what is between its elements is but counted. */
  private elements(array: unknown[]): void {
    const { writer } = this;
    const hole = (elements: number) => {
      writer.byte(VALUE.hole);
      writer.count(elements);
    };
    let at = 0;
    for (const key of Object.keys(array)) {
      const index = Number(key);
      if (!(index >= at)) throw new InvariantError(`a list of a state has a member of its own, "${key}"`);
      if (index > at) hole(index - at);
      this.value(array[index], 'Array', index);
      at = index + 1;
    }
    if (at < array.length) hole(array.length - at);
  }

  private without(object: object, name: string): void {
    if (Object.keys(object).length > 0)
      throw new InvariantError(`a state has an object of the class "${name}" with members of its own`);
  }
}

/** All of a simulation as bytes: two in the same state, made by the same operations, have the same. */
export function save(simulator: Simulator): Uint8Array {
  return new Saver().save(simulator);
}

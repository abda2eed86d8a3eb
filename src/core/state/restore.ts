/**
 * A simulation from its image: the spec's own is built anew, what operations had added is put there (`grow.ts`), and the image is laid
 * over it, object by object, in the order in which it was written. An object that stands in the same place already is kept, so what
 * closures know of it stays true; any other is made by its class.
 */
import { Simulator, type Surroundings } from '../simulator.ts';
import type { ResolvedSpec } from '../spec.ts';
import { coreVersion } from '../version.ts';
import { ImageReader } from './bytes.ts';
import { fixedOf, made } from './classes.ts';
import { type Column, columnClass, columnType, readColumn } from './columns.ts';
import { BARE, firstOf, KIND, PLAIN, readHeader, specDigest, VALUE } from './form.ts';
import { type Growth, grow, growthBytes } from './grow.ts';
import { StateImageError } from './image-error.ts';

/** What an image may unfold to if nothing else is said. */
const MOST_BYTES = 2 ** 31;

interface Shape {
  name: string;
  keys: string[];
}

function misfit(message: string): StateImageError {
  return new StateImageError('misfit', message);
}

function nameOf(object: object): string {
  const prototype = Object.getPrototypeOf(object);
  return prototype === null ? BARE : prototype === Object.prototype ? PLAIN : prototype.constructor.name;
}

class Restorer {
  private readonly reader: ImageReader;
  private readonly objects: object[] = [];
  /** [number]: shape of an object with fields, size of a map or set. */
  private readonly forms: (Shape | number)[] = [];
  private readonly shapes: Shape[] = [];
  /** Those of the new simulation that have their number. */
  private readonly taken = new Set<object>();
  private readonly toFreeze: object[] = [];
  private bytesLeft: number;
  private simulator!: Simulator;

  constructor(content: Uint8Array, mostBytes: number) {
    this.reader = new ImageReader(content);
    this.bytesLeft = mostBytes;
  }

  restore(spec: ResolvedSpec, surroundings: Surroundings): Simulator {
    const { reader, objects } = this;
    if (reader.text() !== specDigest(spec))
      throw new StateImageError('other-spec', 'the image is of a simulation of another spec');
    const growth: Growth = JSON.parse(reader.text());
    this.charge(growthBytes(growth));
    this.simulator = new Simulator(spec, surroundings);
    const { simulator } = this;
    grow(simulator, growth);
    const fixed = fixedOf(simulator);
    if (reader.count() !== fixed.length) throw misfit('the image has another number of fixed objects');
    for (const object of fixed) this.number(object, 0);
    this.first(simulator);
    for (const object of firstOf(simulator)) this.first(object);
    for (let i = fixed.length; i < objects.length; i++) this.content(objects[i]!, this.forms[i]!);
    if (reader.left > 0) throw misfit(`the image has ${reader.left} bytes more than its content`);
    for (const object of this.toFreeze) Object.freeze(object);
    return simulator;
  }

  private number(object: object, form: Shape | number): void {
    this.objects.push(object);
    this.forms.push(form);
    this.taken.add(object);
  }

  private charge(bytes: number): void {
    this.bytesLeft -= bytes;
    if (!(this.bytesLeft >= 0)) throw new StateImageError('too-large', 'the image unfolds to more bytes than it may');
  }

  /** An object of the new simulation that the image begins with. */
  private first(object: object): void {
    const shape = this.shape();
    this.mustFit(object, shape);
    this.number(object, shape);
  }

  private mustFit(object: object, { name, keys }: Shape): void {
    const own = Object.keys(object);
    if (nameOf(object) !== name || own.length !== keys.length || own.some((key, i) => key !== keys[i]))
      throw misfit(`an object of the class "${name}" has other fields here: ${own} instead of ${keys}`);
  }

  private shape(): Shape {
    const { reader, shapes } = this;
    const index = reader.count();
    const known = shapes[index];
    if (known !== undefined) return known;
    if (index !== shapes.length) throw misfit('the image names a shape that it does not have');
    const name = reader.text();
    const keys: string[] = [];
    for (let left = reader.countOf(1); left > 0; left--) keys.push(reader.text());
    const shape = { name, keys };
    shapes.push(shape);
    return shape;
  }

  /** @param before what stands in the place of the value */
  private value(before: unknown): unknown {
    const { reader } = this;
    const tag = reader.byte();
    switch (tag) {
      case VALUE.undefined:
        return undefined;
      case VALUE.null:
        return null;
      case VALUE.false:
        return false;
      case VALUE.true:
        return true;
      case VALUE.whole:
        return reader.whole();
      case VALUE.double:
        return reader.double();
      case VALUE.text:
        return reader.text();
      case VALUE.bigint:
        return BigInt(`0x${reader.text()}`);
      case VALUE.negativeBigint:
        return -BigInt(`0x${reader.text()}`);
      case VALUE.kept:
        if (typeof before !== 'function') throw misfit('a function of the image is not there');
        return before;
      case VALUE.known: {
        const known = this.objects[reader.count()];
        if (known === undefined) throw misfit('the image names an object that it does not have');
        return known;
      }
      case VALUE.object + KIND.buffer:
        this.buffer();
        return this.value(before);
      default:
        return this.object(tag - VALUE.object, before);
    }
  }

  /** Finds or makes an object that is met for the first time; what is in it comes later, but for columns. */
  private object(kind: number, before: unknown): object {
    const { reader } = this;
    const there = typeof before === 'object' && before !== null && !this.taken.has(before) ? before : null;
    switch (kind) {
      case KIND.instance: {
        const shape = this.shape();
        const object = there !== null && nameOf(there) === shape.name ? there : this.make(shape.name);
        this.mustFit(object, shape);
        this.number(object, shape);
        return object;
      }
      case KIND.plain:
      case KIND.frozenPlain: {
        const shape = this.shape();
        const { name, keys } = shape;
        let object: object = name === BARE ? Object.create(null) : {};
        if (kind === KIND.frozenPlain) this.toFreeze.push(object);
        else if (there !== null && nameOf(there) === name && !Object.isFrozen(there)) {
          const own = Object.keys(there);
          if (own.length === keys.length && own.every((key, i) => key === keys[i])) object = there;
        }
        this.number(object, shape);
        return object;
      }
      case KIND.array:
      case KIND.frozenArray: {
        const length = reader.count();
        if (length >= 2 ** 32) throw misfit('the image has a list that is too long');
        this.charge(length * 8);
        const fits = kind === KIND.array && Array.isArray(there) && !Object.isFrozen(there);
        const array: unknown[] = fits ? there : [];
        if (kind === KIND.frozenArray) this.toFreeze.push(array);
        if (array.length > length) array.length = length;
        this.number(array, length);
        return array;
      }
      case KIND.map: {
        const map = there instanceof Map ? there : new Map();
        this.number(map, reader.countOf(2));
        return map;
      }
      case KIND.set: {
        const set = there instanceof Set ? there : new Set();
        this.number(set, reader.countOf(1));
        return set;
      }
      case KIND.column:
        return this.column(there);
      case KIND.view:
        return this.view();
      default:
        throw misfit(`the image has a value of an unknown kind, ${kind}`);
    }
  }

  private make(name: string): object {
    const maker = Object.hasOwn(made, name) ? made[name] : undefined;
    if (maker === undefined) throw misfit(`there is no object of the class "${name}" where the image has one`);
    const object = maker(this.simulator);
    for (const value of Object.values(object)) if (ArrayBuffer.isView(value)) this.charge(value.byteLength);
    return object;
  }

  private column(there: object | null): object {
    const { reader } = this;
    const type = reader.byte();
    const Class = columnClass(type);
    const length = reader.count();
    this.charge(length * Class.BYTES_PER_ELEMENT);
    let column = there as Column | null;
    const fits =
      column !== null &&
      ArrayBuffer.isView(column) &&
      columnType(column) === type &&
      column.length === length &&
      column.byteLength === column.buffer.byteLength &&
      !this.taken.has(column.buffer);
    if (!fits) column = new Class(length);
    this.taken.add(column!.buffer);
    readColumn(reader, new Uint8Array(column!.buffer), Class.BYTES_PER_ELEMENT);
    this.number(column!, 0);
    return column!;
  }

  private buffer(): void {
    const length = this.reader.count();
    this.charge(length);
    const buffer = new ArrayBuffer(length);
    readColumn(this.reader, new Uint8Array(buffer), 1);
    this.number(buffer, 0);
  }

  private view(): object {
    const { reader } = this;
    const Class = columnClass(reader.byte());
    const of = this.objects[reader.count()];
    const buffer = of instanceof ArrayBuffer ? of : ArrayBuffer.isView(of) ? (of.buffer as ArrayBuffer) : null;
    const offset = reader.count();
    const length = reader.count();
    if (buffer === null || offset + length * Class.BYTES_PER_ELEMENT > buffer.byteLength)
      throw misfit('the image has a view beyond its memory');
    const view = new Class(buffer, offset, length);
    this.number(view, 0);
    return view;
  }

  private content(object: object, form: Shape | number): void {
    if (typeof form === 'object') this.fields(object as Record<string, unknown>, form);
    else if (Array.isArray(object)) this.elements(object, form);
    else if (object instanceof Map) {
      const before = new Map(object);
      object.clear();
      for (let left = form; left > 0; left--) {
        const key = this.value(undefined);
        object.set(key, this.value(before.get(key)));
      }
    } else if (object instanceof Set) {
      object.clear();
      for (let left = form; left > 0; left--) object.add(this.value(undefined));
    }
  }

  private fields(object: Record<string, unknown>, { keys }: Shape): void {
    for (const key of keys) {
      const before = object[key];
      const value = this.value(before);
      if (value !== undefined && Object.is(value, before)) continue;
      if (key === '__proto__')
        Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
      else object[key] = value;
    }
  }

  private elements(array: unknown[], length: number): void {
    const { reader } = this;
    for (let at = 0; at < length; ) {
      if (reader.peek() === VALUE.hole) {
        reader.byte();
        const end = at + reader.count();
        if (end === at || end > length) throw misfit('a list of the image overflows');
        // What is not there is not written: a list that holds little stays one that takes little.
        for (let gone = at; gone < Math.min(end, array.length); gone++) delete array[gone];
        at = end;
        continue;
      }
      const before = array[at];
      const value = this.value(before);
      if (at === array.length) array.push(value);
      else if (value === undefined || !Object.is(value, before)) array[at] = value;
      at++;
    }
    if (array.length < length) array.length = length;
  }
}

export interface RestoreLimits {
  /** Bytes that an image may unfold to; 2 GiB unless said. */
  mostBytes?: number;
}

/**
 * @param spec the one that the image is of
 * @throws StateImageError when the bytes are no image of a simulation of that spec by this core
 */
export function restore(
  spec: ResolvedSpec,
  image: Uint8Array,
  { mostBytes = MOST_BYTES }: RestoreLimits = {},
  surroundings: Surroundings = {},
): Simulator {
  const header = readHeader(image);
  if (header.coreVersion !== coreVersion)
    throw new StateImageError(
      'core-version',
      `the image is of the core "${header.coreVersion}"; this is the core "${coreVersion}"`,
    );
  if (!(header.unfoldedBytes <= mostBytes))
    throw new StateImageError(
      'too-large',
      `the image unfolds to ${header.unfoldedBytes} bytes; allowed are ${mostBytes}`,
    );
  try {
    return new Restorer(header.content, mostBytes).restore(spec, surroundings);
  } catch (error) {
    if (error instanceof StateImageError) throw error;
    throw new StateImageError('misfit', `the image does not fit: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}

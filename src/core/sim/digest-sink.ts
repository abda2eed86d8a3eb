/** Where state goes to be hashed; see `digest.ts`. */
export interface DigestSink {
  /** Any double: whole numbers, fractions, negative; hashed by its 64 bits. */
  number(value: number): void;
  /** The first `count` elements of a column. */
  column(values: Float64Array | Int32Array | Uint32Array | Uint16Array | Uint8Array, count: number): void;
  text(value: string): void;
}

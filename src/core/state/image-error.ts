/** Why bytes are no state of this simulation. */

export type ImageFault =
  /** No image at all. */
  | 'foreign'
  /** An image in a form that this code does not read. */
  | 'format'
  /** Written on a machine that stores numbers the other way round. */
  | 'byte-order'
  /** Shorter or longer than it says. */
  | 'length'
  /** Its content is not what was written. */
  | 'corrupt'
  /** Of another core: the same operations may give another state there. */
  | 'core-version'
  /** Of a simulation of another spec. */
  | 'other-spec'
  /** It would unfold to more bytes than the caller allows. */
  | 'too-large'
  /** Whole, of this core and spec, and still not of the form that this core gives its parts: made by something else. */
  | 'misfit';

export class StateImageError extends Error {
  override name = 'StateImageError';
  readonly fault: ImageFault;

  constructor(fault: ImageFault, message: string, options?: { cause: unknown }) {
    super(message, options);
    this.fault = fault;
  }
}

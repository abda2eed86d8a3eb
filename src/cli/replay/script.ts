/**
 * The same operations for another policy, under which the IOVAs and the ids are others: what came out of one operation and went into
 * a later one is written as a `Reference`. An address that lies in what some mapping of the session had becomes the address of the same
 * byte under the same mapping.
 *
 * Departs: addresses that no mapping ever had stay as they are, so that a device that guesses guesses the same numbers.
 */
import type { Operation } from '../../core/operations.ts';
import type { Plain } from '../../lab/experiment.ts';

const PAGE = 4096n;
/** Larger pieces are looked for one by one. */
const MOST_PAGES = 64n;

/** What an operation made, or an address in what it mapped. */
export class Reference {
  /** Of the session that is done again. */
  readonly id: string;
  /** From the first byte of the mapping; null: the id itself. Below 0: before it, on its page. */
  readonly offset: bigint | null;
  /** The mapping had one segment there, so that its bytes lie side by side. */
  readonly single: boolean;

  constructor(id: string, offset: bigint | null = null, single = true) {
    this.id = id;
    this.offset = offset;
    this.single = single;
  }
}

export interface Made {
  id: string;
  segments?: { iova: string; lengthBytes: number }[];
}

/** What a reference stands for where `made` came of the operation; null: nothing, as it has no such byte. */
export function standsFor({ offset }: Reference, made: Made): string | null {
  if (offset === null) return made.id;
  const segments = made.segments ?? [];
  let left = offset;
  for (const [i, { iova, lengthBytes }] of segments.entries()) {
    // What lies behind the last byte is still on its page.
    if (left < BigInt(lengthBytes) || i === segments.length - 1) {
      const address = BigInt(iova) + left;
      return address < 0n ? null : `0x${address.toString(16)}`;
    }
    left -= BigInt(lengthBytes);
  }
  return null;
}

interface Piece {
  id: string;
  single: boolean;
  base: bigint;
  lengthBytes: bigint;
  /** In the mapping, of its first byte. */
  offset: bigint;
  /** The newest wins: addresses are used again. */
  number: number;
}

/** Operations whose `iova` is one of the DMA API's, and not of whoever says it. */
const TRANSLATED: ReadonlySet<string> = new Set(['dma', 'unmap', 'invalidate']);

export interface ScriptLine {
  /** With `Reference`s. */
  line: Plain & { op: string };
  /** Under which later lines refer to it; null: none does. */
  makes: string | null;
  /** It failed in the session, too. */
  failedThere: boolean;
}

export class Translator {
  private readonly made = new Set<string>();
  /** `device page` and ` page` -> the newest piece there. */
  private readonly byPage = new Map<string, Piece>();
  private readonly large: { device: string; piece: Piece }[] = [];
  private pieces = 0;

  /** @param result what came of it in the session; null: the simulated kernel failed */
  line(operation: Operation, result: Plain | null): ScriptLine {
    const line = this.translated(operation as unknown as Plain) as ScriptLine['line'];
    const { iova, device } = operation as { iova?: string | number; device?: string };
    if (TRANSLATED.has(operation.op) && iova !== undefined) line.iova = this.address(BigInt(iova), device ?? '');
    const makes = typeof result?.id === 'string' ? result.id : null;
    if (makes !== null) {
      this.made.add(makes);
      if (operation.op === 'map') this.keep(operation.device, makes, result!);
    }
    return { line, makes, failedThere: result === null };
  }

  private translated(value: Plain): Plain {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, this.member(member)]));
  }

  private member(value: unknown): unknown {
    if (typeof value === 'string') return this.made.has(value) ? new Reference(value) : value;
    if (Array.isArray(value)) return value.map((each) => this.member(each));
    return typeof value === 'object' && value !== null ? this.translated(value as Plain) : value;
  }

  private keep(device: string, id: string, result: Plain): void {
    const segments = result.segments as Made['segments'];
    let offset = 0n;
    for (const { iova, lengthBytes } of segments!) {
      const [base, length] = [BigInt(iova), BigInt(lengthBytes)];
      const piece: Piece = {
        id,
        single: segments!.length === 1,
        base,
        lengthBytes: length,
        offset,
        number: this.pieces++,
      };
      offset += length;
      const [first, last] = [base / PAGE, (base + length - 1n) / PAGE];
      if (last - first >= MOST_PAGES) this.large.push({ device, piece });
      else
        for (let page = first; page <= last; page++) {
          this.byPage.set(`${device} ${page}`, piece);
          this.byPage.set(` ${page}`, piece);
        }
    }
  }

  /** By the device's own mappings, else by anyone's: a device may use an address that it was never given. */
  private address(iova: bigint, device: string): Reference | string {
    const piece = this.find(iova, device) ?? this.find(iova, '');
    if (piece === undefined) return `0x${iova.toString(16)}`;
    return new Reference(piece.id, piece.offset + iova - piece.base, piece.single);
  }

  private find(iova: bigint, device: string): Piece | undefined {
    const small = this.byPage.get(`${device} ${iova / PAGE}`);
    const large = this.large.findLast(
      ({ device: of, piece: { base, lengthBytes } }) =>
        (device === '' || of === device) && base <= iova && iova < base + lengthBytes,
    )?.piece;
    if (small === undefined || large === undefined) return small ?? large;
    return small.number > large.number ? small : large;
  }
}

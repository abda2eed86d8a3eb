/**
 * Named random streams: each part draws from its own, so that one more draw in the NIC leaves the allocator's run as it was.
 *
 * Generator: xoroshiro128+ (Blackman and Vigna) from pure-rand. Draws use its 32-bit output and integer arithmetic alone.
 */
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { DigestSink } from './digest-sink.ts';

type Generator = ReturnType<typeof xoroshiro128plus>;

export class RandomStream {
  private readonly generator: Generator;

  constructor(seed: number, name: string) {
    // FNV-1a over the seed's seven bytes, then the name: no seed and name read like another seed and name.
    let mixed = 0x811c9dc5 | 0;
    for (let i = 0, rest = seed; i < 7; i++, rest = Math.floor(rest / 256))
      mixed = Math.imul(mixed ^ (rest % 256), 0x01000193);
    for (let i = 0; i < name.length; i++) mixed = Math.imul(mixed ^ name.charCodeAt(i), 0x01000193);
    this.generator = xoroshiro128plus(mixed | 0);
  }

  /** A whole number from 0 to `bound - 1`, every value equally likely up to one part in 2^32 / bound; bound from 1 to 2^32. */
  below(bound: number): number {
    return Math.floor(((this.generator.next() >>> 0) * bound) / 2 ** 32);
  }

  digest(sink: DigestSink): void {
    for (const word of this.generator.getState()) sink.number(word);
  }
}

/** All streams of a simulation; a stream exists from the first time its name is asked for. */
export class RandomStreams {
  private readonly seed: number;
  private readonly streams = new Map<string, RandomStream>();

  constructor(seed: number) {
    this.seed = seed;
  }

  stream(name: string): RandomStream {
    let found = this.streams.get(name);
    if (!found) this.streams.set(name, (found = new RandomStream(this.seed, name)));
    return found;
  }

  digest(sink: DigestSink): void {
    for (const name of [...this.streams.keys()].sort()) {
      sink.text(name);
      this.streams.get(name)!.digest(sink);
    }
  }
}

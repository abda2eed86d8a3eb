/**
 * How far V8's compiler puts one function into another, for code that simulates.
 *
 * One packet runs through some 60 small functions. With V8's own limits about half of them stay calls, and a number beyond 2^31 that
 * is handed to a call is boxed. With these limits a packet takes 20 to 25 per cent less time; see `bench/RESULTS.md`. What is put into one
 * function altogether, 20,000 bytes of bytecode, is as much as a process needs that has met every allocator and policy: with half of it a
 * packet takes 6 to 13 per cent more there. It takes longer to compile: a new worker is at its speed after some 0.7 s of simulating,
 * and not after 0.45. They hold for the whole process, so they are set once, before the first worker starts.
 */
import { setFlagsFromString } from 'node:v8';

const LIMITS = {
  'max-inlined-bytecode-size': 1000,
  'max-inlined-bytecode-size-cumulative': 20_000,
  'max-inlined-bytecode-size-absolute': 100_000,
  'min-inlining-frequency': 0.05,
};

export function tuneCompiler(): void {
  for (const [name, value] of Object.entries(LIMITS)) setFlagsFromString(`--${name}=${value}`);
}

/**
 * Requests that failed to say who asks, counted by the address they come from. So many a minute are told what is wrong (401), the rest are
 * told to wait (429).
 *
 * Nobody guesses a token of 256 bits; what this holds back is the flood, and with it the lines it would write into the record and push
 * others out. Only failures are counted and only failures are held back: a right token is let in from any address, whatever else comes
 * from there, so that behind a proxy, a NAT or a shared machine nobody is locked out by a neighbour.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { Rate } from './rates.ts';

/** Beyond it the address that failed longest ago is forgotten: some 2 MB in all. */
const MOST_ADDRESSES = 10_000;
/** A flood from one address is on record once in this time. */
const RECORD_MS = 60_000;

interface Attempts {
  rate: Rate;
  recordedMs: number;
}

export interface HeldBack {
  retryAfterSeconds: number;
  /** Whether it is to be put on record. */
  recorded: boolean;
}

export class FailedAttempts {
  readonly perMinute: number;
  private readonly mostAddresses: number;
  /** In the order in which they last failed. */
  private readonly byAddress = new Map<string, Attempts>();

  /** @param perMinute of one address, also at once; 0: all are answered */
  constructor(perMinute: number, mostAddresses = MOST_ADDRESSES) {
    this.perMinute = perMinute;
    this.mostAddresses = mostAddresses;
  }

  /** Counts one. @returns null while it may be answered */
  count(address: string, nowMs: number): HeldBack | null {
    const { perMinute, byAddress } = this;
    if (perMinute === 0) return null;
    const subject = networkOf(address);
    const attempts = byAddress.get(subject) ?? {
      rate: new Rate(perMinute, perMinute / 60, nowMs),
      recordedMs: Number.NEGATIVE_INFINITY,
    };
    byAddress.delete(subject);
    byAddress.set(subject, attempts);
    if (byAddress.size > this.mostAddresses) byAddress.delete(byAddress.keys().next().value as string);
    if (attempts.rate.take(nowMs)) return null;
    const recorded = nowMs - attempts.recordedMs >= RECORD_MS;
    if (recorded) attempts.recordedMs = nowMs;
    return { retryAfterSeconds: Math.max(1, Math.ceil(attempts.rate.waitMs(1, nowMs) / 1000)), recorded };
  }

  /** Forgets those that are as good as new. */
  dropFull(nowMs: number): void {
    for (const [subject, { rate, recordedMs }] of this.byAddress)
      if (rate.isFull(nowMs) && nowMs - recordedMs >= RECORD_MS) this.byAddress.delete(subject);
  }

  get size(): number {
    return this.byAddress.size;
  }
}

/** What one customer has: an IPv4 address, or the 64 bits of IPv6 that are given out together. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined && isIPv4(mapped)) return mapped;
  const bare = address.split('%')[0] as string;
  if (!isIPv6(bare)) return address;
  // The URL parser brings every spelling into the shortest one (RFC 5952).
  const [head, tail] = new URL(`http://[${bare}]/`).hostname.slice(1, -1).split('::') as [string, string?];
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = new Array<string>(8 - groups.length - after.length).fill('0');
  return `${[...groups, ...zeros, ...after].slice(0, 4).join(':')}::/64`;
}

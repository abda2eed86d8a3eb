/**
 * Connections of one address: so many and no more, so that a stranger cannot have all that there are. Addresses of the machine itself
 * and of trusted proxies are not counted: behind them is everybody.
 */
import { BlockList, isIP } from 'node:net';
import { networkOf } from '../access/failed-attempts.ts';
import { isLoopbackName } from './host-names.ts';

export class Crowding {
  private readonly perAddress: number;
  private readonly exempt: (address: string) => boolean;
  /** Of IPv6 the network of 64 bits. */
  private readonly counts = new Map<string, number>();

  /** @param perAddress 0: no limit */
  constructor(perAddress: number, exempt: (address: string) => boolean) {
    this.perAddress = perAddress;
    this.exempt = exempt;
  }

  /** @returns what is to be called when the connection is over; null: it is one too many */
  enter(address: string): (() => void) | null {
    if (this.perAddress === 0 || this.exempt(address)) return () => {};
    const network = networkOf(address);
    const count = (this.counts.get(network) ?? 0) + 1;
    if (count > this.perAddress) return null;
    this.counts.set(network, count);
    return () => {
      const left = this.counts.get(network)! - 1;
      if (left === 0) this.counts.delete(network);
      else this.counts.set(network, left);
    };
  }

  get size(): number {
    return this.counts.size;
  }
}

/** @param trusted addresses and networks (`10.0.0.0/8`) of proxies */
export function exemptFrom(trusted: readonly string[]): (address: string) => boolean {
  const proxies = new BlockList();
  for (const each of trusted) {
    const [address, bits] = each.split('/') as [string, string?];
    const family = familyOf(address);
    if (bits === undefined) proxies.addAddress(address, family);
    else proxies.addSubnet(address, Number(bits), family);
  }
  return (address) => isLoopbackName(address) || (isIP(address) !== 0 && proxies.check(address, familyOf(address)));
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

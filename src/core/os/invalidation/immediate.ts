/** The common part of policies that hold nothing back: no queue, no timer. */

import type { DigestSink } from '../../sim/digest-sink.ts';
import type { Lock } from '../../sim/lock.ts';
import type { Domain } from '../domain.ts';
import type { InvalidationPolicy, PolicyParts } from './policy.ts';

export abstract class ImmediatePolicy implements InvalidationPolicy {
  declare protected readonly parts: PolicyParts;
  readonly queued = 0;
  readonly capacity = 0;
  readonly locks: readonly Lock[] = [];

  constructor(parts: PolicyParts) {
    this.parts = parts;
  }

  abstract unmapped(domain: Domain, pfn: number, pages: number): void;
  wrapped(_domain: Domain, _all: boolean): void {}
  freedAhead(_domain: Domain, _pfn: number, _pages: number): void {}
  drain(_domain: Domain): void {}
  timer(_token: number): boolean {
    return false;
  }
  holds(): boolean {
    return false;
  }
  queue(): [] {
    return [];
  }
  rebase(_ps: number): void {}
  digest(_sink: DigestSink): void {}
}

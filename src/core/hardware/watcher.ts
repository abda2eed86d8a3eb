/**
 * What the chip tells whoever watches it, and the little of devices and domains that it knows. The oracle (`truth/`) implements the
 * watchers; nothing that they answer changes what the chip does.
 */

import type { Iotlb } from './iotlb.ts';

/** A domain as the chip sees it: a tag and a tree. */
export interface TranslationDomain {
  readonly index: number;
  readonly levels: number;
  /** Highest IOVA page, inclusive. */
  readonly lastPage: number;
  readonly root: number;
  /** What translates the addresses in its tables, and what they translate to; null where those are the machine's own. */
  readonly secondStage: SecondStage | null;
}

/** A hypervisor's tables, from guest-physical addresses to those of the machine. */
export interface SecondStage {
  /** Of its entries in walk caches. */
  readonly tag: number;
  readonly levels: number;
  readonly root: number;
  /** Highest guest-physical page, inclusive. */
  readonly lastPage: number;
}

/** A device as the chip sees it: a requester id and the context entry behind it. */
export interface Requester<Domain extends TranslationDomain> {
  readonly index: number;
  readonly bdf: string;
  readonly domain: Domain | null;
  contextCached: boolean;
  /** Its own cache of translations; null without ATS. */
  readonly deviceTlb: Iotlb | null;
}

/** How a piece got through; numbers of `causeNames` in `truth/oracle.ts`. */
export const PATH = { iotlb: 1, walkCache: 2, deviceTlb: 3, pte: 4, noProtection: 6 } as const;

/** Judges pieces. Verdicts are its own numbers: the chip passes them on, the worst is the highest. */
export interface AccessWatcher<Domain extends TranslationDomain> {
  /** Cause of the last verdict, 0 when it needs none. */
  readonly cause: number;
  /** @param path one of PATH; @param entry IOTLB entry, NO_ENTRY without one; @param now ps after the clock's base; @returns the verdict */
  classify(
    domain: Domain,
    page: number,
    start: number,
    end: number,
    permission: number,
    frame: number,
    entry: number,
    path: number,
    now: number,
  ): number;
  /** As `classify`, of a piece that an entry of a device TLB translated. */
  classifyHeld(
    deviceTlb: Iotlb,
    domain: Domain,
    page: number,
    start: number,
    end: number,
    permission: number,
    frame: number,
    entry: number,
    now: number,
  ): number;
  /** A piece was blocked. @returns the verdict of that */
  blocked(domain: Domain | null, page: number): number;
  /** A write to the interrupt range was taken as an interrupt. @returns the verdict of that */
  interrupted(): number;
  /** An entry was filled from the leaf of a page of a domain. */
  origin(entry: number, domain: Domain, page: number): void;
  /** A device was given what an entry translates. */
  copied(entry: number, deviceTlb: Iotlb, deviceEntry: number): void;
  /** What was last done to a page: whole ns since the session began, -1 never; index of the direction. */
  lastTouch(domain: Domain | null, page: number): { mappedNs: number; unmappedNs: number; direction: number };
}

/** Follows cached entries through time. */
export interface EntryWatcher {
  /** Present of the access in progress, ps after the clock's base. */
  now: number;
  filled(domain: number, page: number, entry: number, at: number): void;
  copied(entry: number, device: number, deviceEntry: number, at: number): void;
}

/**
 * Exposure windows: how long after its unmap a page can still be reached.
 *
 * One window per unmapped 4 KiB page per unmap. `potential` runs from the return of `unmap` to the end of the last invalidation that
 * can be needed; `actual` only while a cached entry, or the PTE itself, still translates the page. Any covering invalidation, by
 * whomever, ends a window; where devices have TLBs of their own, theirs after the IOTLB's (`device-holds.ts`). While the PTE stands none
 * does: what is walked anew is not gone.
 * Source: vIOMMU (ATC 2011) for stale mappings and their bound; the integral is the natural one.
 *
 * A window is booked once, when it closes, in the account of whoever unmapped; the session's figures are sums over the accounts, and
 * what is still open is added when someone asks. Booking openings too, and everything twice, took 200 ns of a packet's 1,150.
 */
import type { Iotlb } from '../hardware/iotlb.ts';
import * as iotlbConstants from '../hardware/iotlb.ts';
import type { Histogram } from '../meter/histogram.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import { ExactSum } from '../sim/exact-sum.ts';
import { growFloat64, growInt32 } from '../sim/growable.ts';
import { Integral } from '../sim/integral.ts';
import { DeviceHolds, LeavingEntries, type TranslatingDevice } from './device-holds.ts';
import * as exposureLedgerConstants from './exposure-ledger.ts';
import { ExposureLedger } from './exposure-ledger.ts';
import type { PageChunk, TruthPages } from './pages.ts';
import * as pendingUnmapConstants from './pending-unmap.ts';
import { PendingUnmap } from './pending-unmap.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { NO_ENTRY } = iotlbConstants;
const { KIND, SESSION } = exposureLedgerConstants;
const { NO_DEVICE } = pendingUnmapConstants;

export { SESSION };

const NONE = -1;
/** In the place of a window's IOTLB entry: the PTE stands, so the window is actual whatever is cached. */
const STANDS = -2;
/** Which windows to close: all; those whose PTE is gone; those whose PTE stands. */
const ALL = 0;
const GONE = 1;
const STANDING = 2;
/** Windows kept one by one. Beyond it (`never` opens without end) the further ones are only counted, until all of theirs close. */
const MAX_OPEN = 2 ** 21;
/** What an exact sum takes in one step. */
const EXACT = 2 ** 52;

/** One kind as someone asks for it: closed windows, and those open up to now. */
export interface ExposureFigures {
  /** Windows x ps and bytes x ps, exact (of a window open for more than 2.5 hours to one part in 2^52). */
  pagePs: bigint;
  bytePs: bigint;
  currentPages: number;
  /** Of open windows that are kept one by one, which all are that are actual. */
  currentBytes: number;
  peakPages: number;
  /** Of the session: since its last run began. */
  peakPagesSinceMark: number;
  longestPs: number;
  windows: number;
  histogram: Histogram;
}

/** Windows of one domain and account that are only counted. */
interface Beyond {
  domain: number;
  workload: number;
  pages: Integral;
  bytes: Integral;
  oldest: number;
}

// Columns of a window, interleaved: what one packet touches of a window lies in two cache lines instead of twelve.
const TIMES = 4;
const PAGE = 0;
const OPENED = 1;
const ACTUAL_SINCE = 2;
const BYTES = 3;
const LINKS = 8;
const DOMAIN = 0;
const WORKLOAD = 1;
const ENTRY = 2;
const NEXT_ON_ENTRY = 3;
const PREVIOUS_ON_ENTRY = 4;
const NEXT_ON_PAGE = 5;
const NEXT_IN_DOMAIN = 6;
const PREVIOUS_IN_DOMAIN = 7;

export class Exposure {
  private readonly ledger = new ExposureLedger();
  /** Workload whose unmap is in progress, SESSION an interactive one. */
  workload = SESSION;
  declare readonly pending: PendingUnmap;
  declare private readonly iotlb: Iotlb;
  /** [domain] */
  private readonly pagesOf: (domain: number) => TruthPages;

  private capacity = 1024;
  /** [window * TIMES + column]: page; ps after the clock's base at which it opened and became actual; mapped bytes, 0 to 4,096. */
  private times = new Float64Array(this.capacity * TIMES);
  /**
   * [window * LINKS + column]: domain; workload whose unmap opened it; IOTLB entry that keeps it actual, NO_ENTRY, or STANDS; the
   * neighbours in the lists of that entry, of its page and of its domain, NONE. A free window is linked by NEXT_IN_DOMAIN.
   */
  private links = new Int32Array(this.capacity * LINKS);
  private freeHead = NONE;
  private used = 0;
  open = 0;
  /** Of those, windows whose PTE stands. */
  private standing = 0;

  /** [domain]: first window, and how many. */
  private domainHead: number[] = [];
  private domainOpen: number[] = [];
  private beyond: Beyond[] = [];

  // Device TLBs. Nothing of this is touched in a session without.
  private readonly devicesOf: (domain: number) => readonly TranslatingDevice[];
  private readonly holds = new DeviceHolds();
  /** Device TLBs there ever were. */
  private watched = 0;
  /** By domain, of windows that are only counted: devices that they wait for, once the IOTLB is done. */
  private readonly beyondOwed = new Map<number, number[]>();

  constructor(
    iotlb: Iotlb,
    pagesOf: (domain: number) => TruthPages,
    devicesOf: (domain: number) => readonly TranslatingDevice[],
  ) {
    this.iotlb = iotlb;
    this.pagesOf = pagesOf;
    this.devicesOf = devicesOf;
    this.pending = new PendingUnmap(devicesOf);
    iotlb.observer = this;
  }

  /** A device caches translations from now on. */
  watch({ index, deviceTlb }: TranslatingDevice): void {
    this.watched++;
    this.pending.watched = true;
    this.holds.watch(index, deviceTlb!);
    deviceTlb!.observer = new LeavingEntries(this, index);
  }

  /** An entry left the TLB of a device. */
  leftDevice(device: number, entry: number): void {
    for (const window of this.holds.release(device, entry))
      if (this.links[window * LINKS + ENTRY] === NO_ENTRY) this.closeActual(window, this.now);
  }

  /** A workload gets an account of its own. */
  openAccount(workload: number): void {
    this.ledger.open(workload);
  }

  /**
   * Opens the window of one page.
   * @param chunk that of the page
   * @param at ps after the clock's base: the return of unmap
   * @param stands whether the page's PTE is still there: it is within reach to the end, cached or not
   * @returns whether anything still translates the page
   */
  openWindow(domain: number, chunk: PageChunk, page: number, bytes: number, at: number, stands: boolean): boolean {
    const { workload } = this;
    this.ledger.rise(workload, KIND.potential);
    const entry = this.iotlb.probe(domain, page);
    if (this.open >= MAX_OPEN) {
      this.openBeyond(domain, bytes, at);
      return stands || entry !== NO_ENTRY || (this.watched > 0 && this.inDevice(domain, page));
    }
    let window = this.freeHead;
    if (window === NONE) {
      window = this.used++;
      if (window === this.capacity) this.grow();
    } else this.freeHead = this.links[window * LINKS + NEXT_IN_DOMAIN]!;
    this.open++;
    const { times, links } = this;
    const time = window * TIMES;
    const link = window * LINKS;
    times[time + PAGE] = page;
    times[time + OPENED] = at;
    times[time + BYTES] = bytes;
    links[link + DOMAIN] = domain;
    links[link + WORKLOAD] = workload;
    links[link + ENTRY] = NO_ENTRY;
    if (domain >= this.domainHead.length) this.begin(domain);
    const head = this.domainHead[domain]!;
    links[link + NEXT_IN_DOMAIN] = head;
    links[link + PREVIOUS_IN_DOMAIN] = NONE;
    if (head !== NONE) links[head * LINKS + PREVIOUS_IN_DOMAIN] = window;
    this.domainHead[domain] = window;
    this.domainOpen[domain]!++;
    const at512 = page & 511;
    links[link + NEXT_ON_PAGE] = chunk.window[at512]!;
    chunk.window[at512] = window;
    if (stands) {
      this.stand(window, at);
      return true;
    }
    if (entry !== NO_ENTRY) this.attach(window, entry, at);
    if (this.watched > 0 && this.holdOpened(window, domain, page, at)) return true;
    return entry !== NO_ENTRY;
  }

  private inDevice(domain: number, page: number): boolean {
    return this.devicesOf(domain).some(({ deviceTlb }) => deviceTlb!.probe(domain, page) !== NO_ENTRY);
  }

  /** What devices have of a page whose window opens. @returns whether they have anything */
  private holdOpened(window: number, domain: number, page: number, at: number): boolean {
    for (const { index, deviceTlb } of this.devicesOf(domain)) {
      const entry = deviceTlb!.probe(domain, page);
      if (entry !== NO_ENTRY) this.hold(window, index, entry, at);
    }
    const owed = this.pending.owed(page);
    if (owed !== null) this.holds.owe(window, owed);
    return this.holds.holds(window);
  }

  private hold(window: number, device: number, entry: number, at: number): void {
    if (this.links[window * LINKS + ENTRY] === NO_ENTRY && !this.holds.holds(window)) this.beginActual(window, at);
    this.holds.hold(window, device, entry);
  }

  private beginActual(window: number, at: number): void {
    this.times[window * TIMES + ACTUAL_SINCE] = at;
    this.ledger.rise(this.links[window * LINKS + WORKLOAD]!, KIND.actual);
  }

  /** A device was given what an IOTLB entry translates: whatever that entry keeps open is open in the device too. */
  copied(iotlbEntry: number, device: number, entry: number, at: number): void {
    const { links, times } = this;
    let window = this.iotlb.window[iotlbEntry]!;
    for (; window !== NONE; window = links[window * LINKS + NEXT_ON_ENTRY]!)
      this.hold(window, device, entry, Math.max(at, times[window * TIMES + OPENED]!));
  }

  private stand(window: number, at: number): void {
    this.links[window * LINKS + ENTRY] = STANDS;
    this.standing++;
    this.beginActual(window, at);
  }

  /** PTEs that stood after their unmap are cleared at last: from now on only what is cached keeps their windows actual. */
  cleared(domain: number, first: number, last: number, at: number): void {
    this.pending.cleared(domain, first, last);
    if (this.standing === 0) return;
    const pages = this.pagesOf(domain);
    for (let page = first; page <= last; page++) {
      const chunk = pages.peek(page);
      if (chunk === undefined) page += 511 - (page % 512);
      else
        for (
          let window = chunk.window[page & 511]!;
          window !== NONE;
          window = this.links[window * LINKS + NEXT_ON_PAGE]!
        )
          if (this.links[window * LINKS + ENTRY] === STANDS) this.fall(window, domain, page, at);
    }
  }

  /** The PTE of a window is gone; what was cached of it goes on. */
  private fall(window: number, domain: number, page: number, at: number): void {
    this.standing--;
    const entry = this.iotlb.probe(domain, page);
    this.links[window * LINKS + ENTRY] = NO_ENTRY;
    if (entry !== NO_ENTRY) this.link(window, entry);
    if (this.watched > 0)
      for (const { index, deviceTlb } of this.devicesOf(domain)) {
        const copy = deviceTlb!.probe(domain, page);
        if (copy !== NO_ENTRY) this.holds.hold(window, index, copy);
      }
    if (!this.cached(window)) this.closeActual(window, at);
  }

  /** The PTE that stands after its unmap became a live mapping's again: nothing of it is exposed any more. */
  remapped(domain: number, first: number, last: number, at: number): void {
    if (this.standing === 0) return;
    this.closePages(domain, first, last, at, STANDING);
  }

  /** Empty lists up to a domain that never had a window. */
  private begin(domain: number): void {
    while (this.domainHead.length <= domain) {
      this.domainHead.push(NONE);
      this.domainOpen.push(0);
    }
  }

  private openBeyond(domain: number, bytes: number, at: number): void {
    const { workload } = this;
    let rest = this.beyond.find((each) => each.domain === domain && each.workload === workload);
    if (!rest) {
      rest = { domain, workload, pages: new Integral(), bytes: new Integral(), oldest: at };
      this.beyond.push(rest);
    }
    rest.pages.change(1, at);
    rest.bytes.change(bytes, at);
    if (at < rest.oldest) rest.oldest = at;
    this.beyondOwed.delete(domain);
  }

  private attach(window: number, entry: number, at: number): void {
    if (this.watched === 0 || !this.holds.holds(window)) this.beginActual(window, at);
    this.link(window, entry);
  }

  /** Puts a window into the list of an entry. */
  private link(window: number, entry: number): void {
    const { links, iotlb } = this;
    const link = window * LINKS;
    links[link + ENTRY] = entry;
    const head = iotlb.window[entry]!;
    links[link + NEXT_ON_ENTRY] = head;
    links[link + PREVIOUS_ON_ENTRY] = NONE;
    if (head !== NONE) links[head * LINKS + PREVIOUS_ON_ENTRY] = window;
    iotlb.window[entry] = window;
  }

  /** A stale path put a page into the IOTLB again whose windows are open. */
  filled(domain: number, page: number, entry: number, at: number): void {
    const open = this.domainOpen[domain];
    if (open === undefined || open === 0) return;
    const size = this.iotlb.size[entry]!;
    const pages = this.pagesOf(domain);
    if (size === 0) {
      const chunk = pages.peek(page);
      if (chunk !== undefined && chunk.window[page & 511] !== NONE)
        this.attachAll(chunk.window[page & 511]!, entry, at);
      return;
    }
    const first = this.iotlb.page[entry]!;
    const last = first + (size === 1 ? 511 : 262_143);
    for (let at4k = first; at4k <= last; at4k++) {
      const chunk = pages.peek(at4k);
      if (chunk === undefined) at4k += 511 - (at4k % 512);
      else this.attachAll(chunk.window[at4k & 511]!, entry, at);
    }
  }

  private attachAll(firstOnPage: number, entry: number, at: number): void {
    for (let window = firstOnPage; window !== NONE; window = this.links[window * LINKS + NEXT_ON_PAGE]!)
      if (this.links[window * LINKS + ENTRY] === NO_ENTRY) {
        const opened = this.times[window * TIMES + OPENED]!;
        this.attach(window, entry, at > opened ? at : opened);
      }
  }

  /** Present of the operation or access in progress, for entries that go away by replacement. */
  now = 0;

  /** IOTLB observer: an entry left, so its windows are no longer actual. */
  dropped(entry: number): void {
    const { iotlb, now, links } = this;
    for (let window = iotlb.window[entry]!; window !== NONE; window = links[window * LINKS + NEXT_ON_ENTRY]!) {
      if (this.watched === 0 || !this.holds.holds(window)) this.closeActual(window, now);
      links[window * LINKS + ENTRY] = NO_ENTRY;
    }
    iotlb.window[entry] = NONE;
  }

  private closeActual(window: number, at: number): void {
    const { times } = this;
    const time = window * TIMES;
    // Another CPU's invalidation may have completed before this unmap returned: then there was no window.
    const length = at - times[time + ACTUAL_SINCE]!;
    this.ledger.fall(
      this.links[window * LINKS + WORKLOAD]!,
      KIND.actual,
      times[time + BYTES]!,
      length > 0 ? length : 0,
    );
  }

  /** Books a window and frees it; the lists of its entry, page and domain are the caller's. */
  private finish(window: number, at: number): void {
    const { links, times } = this;
    const link = window * LINKS;
    const time = window * TIMES;
    if (this.cached(window)) this.closeActual(window, at);
    if (links[link + ENTRY] === STANDS) this.standing--;
    if (this.watched > 0) this.holds.forget(window);
    const length = at - times[time + OPENED]!;
    this.ledger.fall(links[link + WORKLOAD]!, KIND.potential, times[time + BYTES]!, length > 0 ? length : 0);
    links[link + NEXT_IN_DOMAIN] = this.freeHead;
    this.freeHead = window;
    this.open--;
  }

  /** Whether something cached still translates the page of a window. */
  private cached(window: number): boolean {
    return this.links[window * LINKS + ENTRY] !== NO_ENTRY || (this.watched > 0 && this.holds.holds(window));
  }

  /** Closes one window of a domain; its page's list is the caller's. */
  private close(window: number, at: number): void {
    const { links, iotlb } = this;
    const link = window * LINKS;
    const entry = links[link + ENTRY]!;
    if (entry >= 0) {
      const next = links[link + NEXT_ON_ENTRY]!;
      const previous = links[link + PREVIOUS_ON_ENTRY]!;
      if (previous === NONE) iotlb.window[entry] = next;
      else links[previous * LINKS + NEXT_ON_ENTRY] = next;
      if (next !== NONE) links[next * LINKS + PREVIOUS_ON_ENTRY] = previous;
    }
    const domain = links[link + DOMAIN]!;
    const next = links[link + NEXT_IN_DOMAIN]!;
    const previous = links[link + PREVIOUS_IN_DOMAIN]!;
    if (previous === NONE) this.domainHead[domain] = next;
    else links[previous * LINKS + NEXT_IN_DOMAIN] = next;
    if (next !== NONE) links[next * LINKS + PREVIOUS_IN_DOMAIN] = previous;
    this.domainOpen[domain]!--;
    this.finish(window, at);
  }

  /**
   * An invalidation completed. Call before the caches drop their entries.
   * @param domain -1 for all
   * @param at ps after the clock's base: when it was complete
   */
  invalidated(domain: number, first: number, last: number, at: number): void {
    this.now = at;
    if (this.watched > 0) {
      if (domain < 0) {
        const domains = Math.max(this.domainHead.length, this.pending.domain + 1);
        for (let each = 0; each < domains; each++) this.invalidatedDomain(each, first, last, at);
      } else this.invalidatedDomain(domain, first, last, at);
    } else this.iotlbWasLast(domain, first, last, at);
  }

  /** One domain, in a session with device TLBs. */
  private invalidatedDomain(domain: number, first: number, last: number, at: number): void {
    const devices = this.devicesOf(domain).map(({ index }) => index);
    if (devices.length === 0) {
      this.iotlbWasLast(domain, first, last, at);
      return;
    }
    this.pending.told(NO_DEVICE, domain, first, last);
    this.forEachIn(domain, first, last, (window) => {
      if (this.links[window * LINKS + ENTRY] !== STANDS) this.holds.owe(window, devices);
    });
    if (first === 0 && last === Number.POSITIVE_INFINITY) this.beyondOwed.set(domain, devices);
  }

  /** A device has dropped what it had of pages of its domain. Call before it does. */
  deviceInvalidated(device: number, domain: number, first: number, last: number, at: number): void {
    this.now = at;
    this.pending.told(device, domain, first, last);
    this.forEachIn(domain, first, last, (window, page) => {
      if (!this.holds.settle(window, device)) return;
      this.unlinkFromPage(window, domain, page);
      this.close(window, at);
    });
    const owed = this.beyondOwed.get(domain);
    if (owed === undefined || first > 0 || last < this.pagesEnd) return;
    const left = owed.filter((each) => each !== device);
    this.beyondOwed.set(domain, left);
    if (left.length === 0) this.closeBeyond(domain, at);
  }

  /** Last page of a device-TLB command for everything. */
  private readonly pagesEnd = 2 ** 52 - 1;

  private forEachIn(domain: number, first: number, last: number, visit: (window: number, page: number) => void): void {
    const { links } = this;
    for (let window = this.domainHead[domain] ?? NONE; window !== NONE; ) {
      const next = links[window * LINKS + NEXT_IN_DOMAIN]!;
      const page = this.times[window * TIMES + PAGE]!;
      if (page >= first && page <= last) visit(window, page);
      window = next;
    }
  }

  /** The IOTLB is all that caches: its invalidation ends windows. */
  private iotlbWasLast(domain: number, first: number, last: number, at: number): void {
    this.pending.iotlbWasLast(domain, first, last);
    if (this.standing > 0) {
      this.invalidatedUnderStanding(domain, first, last, at);
      return;
    }
    if (domain < 0) {
      for (let each = 0; each < this.domainHead.length; each++) this.closeDomain(each, at);
      return;
    }
    if (first === 0 && last === Number.POSITIVE_INFINITY) {
      this.closeDomain(domain, at);
      return;
    }
    this.closePages(domain, first, last, at, ALL);
  }

  /** As `invalidated`, where windows are open whose PTE stands: those stay. */
  private invalidatedUnderStanding(domain: number, first: number, last: number, at: number): void {
    if (domain >= 0) this.closePages(domain, first, last, at, GONE);
    else for (let each = 0; each < this.domainHead.length; each++) this.closePages(each, 0, last, at, GONE);
    if (last !== Number.POSITIVE_INFINITY) return;
    for (let each = 0; each < this.domainHead.length; each++)
      if (domain < 0 || each === domain) this.closeBeyond(each, at);
  }

  /** Whether a window is one of ALL, GONE or STANDING. */
  private isOf(which: number, window: number): boolean {
    return which === ALL || (which === STANDING) === (this.links[window * LINKS + ENTRY] === STANDS);
  }

  /** Closes windows on pages of a domain. @param which ALL, GONE or STANDING */
  private closePages(domain: number, first: number, last: number, at: number, which: number): void {
    const open = this.domainOpen[domain] ?? 0;
    if (open === 0) return;
    const { links } = this;
    if (last - first > open) {
      for (let window = this.domainHead[domain]!; window !== NONE; ) {
        const next = links[window * LINKS + NEXT_IN_DOMAIN]!;
        const page = this.times[window * TIMES + PAGE]!;
        if (page >= first && page <= last && this.isOf(which, window)) {
          this.unlinkFromPage(window, domain, page);
          this.close(window, at);
        }
        window = next;
      }
      return;
    }
    const pages = this.pagesOf(domain);
    for (let page = first; page <= last; page++) {
      const chunk = pages.peek(page);
      if (chunk === undefined) {
        page += 511 - (page % 512);
        continue;
      }
      let window = chunk.window[page & 511]!;
      let kept = NONE;
      while (window !== NONE) {
        const next = links[window * LINKS + NEXT_ON_PAGE]!;
        if (this.isOf(which, window)) {
          this.close(window, at);
          if (kept !== NONE) links[kept * LINKS + NEXT_ON_PAGE] = next;
          else chunk.window[page & 511] = next;
        } else kept = window;
        window = next;
      }
    }
  }

  private unlinkFromPage(window: number, domain: number, page: number): void {
    const { links } = this;
    const chunk = this.pagesOf(domain).chunk(page);
    const next = links[window * LINKS + NEXT_ON_PAGE]!;
    let at = chunk.window[page & 511]!;
    if (at === window) {
      chunk.window[page & 511] = next;
      return;
    }
    while (links[at * LINKS + NEXT_ON_PAGE] !== window) at = links[at * LINKS + NEXT_ON_PAGE]!;
    links[at * LINKS + NEXT_ON_PAGE] = next;
  }

  /** All windows of a domain at once: no list needs mending, each is emptied. */
  private closeDomain(domain: number, at: number): void {
    let window = this.domainHead[domain] ?? NONE;
    if (window !== NONE) {
      const { links, times, iotlb } = this;
      const pages = this.pagesOf(domain);
      while (window !== NONE) {
        const next = links[window * LINKS + NEXT_IN_DOMAIN]!;
        const page = times[window * TIMES + PAGE]!;
        const entry = links[window * LINKS + ENTRY]!;
        pages.chunk(page).window[page & 511] = NONE;
        if (entry >= 0) iotlb.window[entry] = NONE;
        this.finish(window, at);
        window = next;
      }
      this.domainHead[domain] = NONE;
      this.domainOpen[domain] = 0;
    }
    if (this.beyond.length > 0) this.closeBeyond(domain, at);
  }

  private closeBeyond(domain: number, at: number): void {
    for (const { workload, pages, bytes, oldest } of this.beyond.filter((each) => each.domain === domain))
      this.ledger.fallMany(workload, KIND.potential, pages.current, pages.exactAt(at), bytes.exactAt(at), at - oldest);
    this.beyond = this.beyond.filter((each) => each.domain !== domain);
  }

  /** A run begins: the session's peaks are kept for it too. */
  mark(): void {
    this.ledger.mark();
  }

  /** A run begins: a workload's account starts anew, what it booked is the session's. */
  restart(workload: number, now: number): void {
    for (const kind of ['potential', 'actual'] as const)
      this.ledger.restart(workload, KIND[kind], this.openFigures(kind, workload, now));
  }

  /** What the open windows of an account, or of all (SESSION), come to by now. */
  private openFigures(
    kind: 'potential' | 'actual',
    workload: number,
    now: number,
  ): { pagePs: bigint; bytePs: bigint; longestPs: number; currentBytes: number } {
    const { times, links } = this;
    let currentBytes = 0;
    const pages = new ExactSum();
    const bytes = new ExactSum();
    let hugePages = 0n;
    let hugeBytes = 0n;
    let longestPs = 0;
    const since = kind === 'potential' ? OPENED : ACTUAL_SINCE;
    for (const head of this.domainHead)
      for (let window = head; window !== NONE; window = links[window * LINKS + NEXT_IN_DOMAIN]!) {
        if (workload >= 0 && links[window * LINKS + WORKLOAD] !== workload) continue;
        if (kind === 'actual' && !this.cached(window)) continue;
        // A CPU's unmap may return later than now: the window is counted as open, and has not begun.
        const length = Math.max(0, now - times[window * TIMES + since]!);
        const size = times[window * TIMES + BYTES]!;
        currentBytes += size;
        if (length * 4096 < EXACT) {
          pages.add(length);
          bytes.add(length * size);
        } else {
          hugePages += BigInt(length);
          hugeBytes += BigInt(length) * BigInt(size);
        }
        if (length > longestPs) longestPs = length;
      }
    if (kind === 'potential')
      for (const rest of this.beyond) {
        if (workload >= 0 && rest.workload !== workload) continue;
        hugePages += atLeastNone(rest.pages.exactAt(now));
        hugeBytes += atLeastNone(rest.bytes.exactAt(now));
        if (now - rest.oldest > longestPs) longestPs = now - rest.oldest;
      }
    return { pagePs: pages.toBigInt() + hugePages, bytePs: bytes.toBigInt() + hugeBytes, longestPs, currentBytes };
  }

  /**
   * One kind by now.
   * @param workload since its run began, or SESSION: of everybody, since the session began
   */
  figures(kind: 'potential' | 'actual', workload: number, now: number): ExposureFigures {
    const open = this.openFigures(kind, workload, now);
    const figures = this.ledger.read(workload, KIND[kind]);
    const others = workload === SESSION ? this.ledger.accounts : 0;
    for (let account = 0; account < others; account++) {
      const part = this.ledger.closed(account, KIND[kind]);
      figures.pagePs += part.pagePs;
      figures.bytePs += part.bytePs;
      figures.windows += part.windows;
      figures.longestPs = Math.max(figures.longestPs, part.longestPs);
      figures.histogram.merge(part.histogram);
    }
    figures.pagePs += open.pagePs;
    figures.bytePs += open.bytePs;
    figures.longestPs = Math.max(figures.longestPs, open.longestPs);
    figures.currentBytes = open.currentBytes;
    return figures;
  }

  /** Open windows of a domain, newest first. */
  forEachOpen(domain: number, visit: (page: number, cached: boolean) => void): void {
    const { links, times } = this;
    for (
      let window = this.domainHead[domain] ?? NONE;
      window !== NONE;
      window = links[window * LINKS + NEXT_IN_DOMAIN]!
    )
      visit(times[window * TIMES + PAGE]!, this.cached(window));
  }

  /**
   * Open windows of one page, newest first, until `visit` answers false.
   * @param first `PageChunk.window` of the page
   * @param visit ps after the clock's base at which it opened; whether its PTE stands; whether anything still translates the page
   */
  forEachOnPage(first: number, visit: (opened: number, stands: boolean, cached: boolean) => boolean): void {
    const { links, times } = this;
    for (let window = first; window !== NONE; window = links[window * LINKS + NEXT_ON_PAGE]!)
      if (!visit(times[window * TIMES + OPENED]!, links[window * LINKS + ENTRY] === STANDS, this.cached(window)))
        return;
  }

  rebase(ps: number): void {
    const { times } = this;
    for (let time = 0; time < this.used * TIMES; time += TIMES) {
      times[time + OPENED]! -= ps;
      times[time + ACTUAL_SINCE]! -= ps;
    }
    for (const rest of this.beyond) {
      rest.oldest -= ps;
      rest.pages.rebase(ps);
      rest.bytes.rebase(ps);
    }
  }

  digest(sink: DigestSink): void {
    const { links, times } = this;
    this.ledger.digest(sink);
    sink.number(this.open);
    for (const head of this.domainHead)
      for (let window = head; window !== NONE; window = links[window * LINKS + NEXT_IN_DOMAIN]!) {
        sink.number(times[window * TIMES + PAGE]!);
        sink.number(times[window * TIMES + OPENED]!);
        sink.number(links[window * LINKS + ENTRY]!);
        if (this.cached(window)) sink.number(times[window * TIMES + ACTUAL_SINCE]!);
        if (this.watched > 0) this.holds.digestWindow(sink, window);
      }
    for (const rest of this.beyond) {
      sink.number(rest.domain);
      sink.number(rest.workload);
      rest.pages.digest(sink);
      rest.bytes.digest(sink);
    }
  }

  private grow(): void {
    const length = (this.capacity *= 2);
    this.times = growFloat64(this.times, length * TIMES);
    this.links = growInt32(this.links, length * LINKS);
  }
}

function atLeastNone(sum: bigint): bigint {
  return sum < 0n ? 0n : sum;
}

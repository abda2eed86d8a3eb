/**
 * Exposure windows: how long after its unmap a page can still be reached.
 *
 * One window per unmapped 4 KiB page per unmap. `potential` runs from the return of `unmap` to the end of the last invalidation that
 * can be needed; `actual` only while a cached entry still translates the page. Any covering invalidation, by whomever, ends a window.
 * Source: vIOMMU (ATC 2011) for stale mappings and their bound; the integral is the natural one.
 */
import { type Iotlb, NO_ENTRY } from '../hardware/iotlb.ts';
import { Histogram } from '../meter/histogram.ts';
import type { DigestSink } from '../sim/digest-sink.ts';
import { growFloat64, growInt32 } from '../sim/growable.ts';
import { Integral } from '../sim/integral.ts';
import type { TruthPages } from './pages.ts';

const NONE = -1;
/** Windows kept one by one. Beyond it (`never` opens without end) the further ones are only counted, until all of theirs close. */
const MAX_OPEN = 2 ** 21;
const NOT_ACTUAL = Number.POSITIVE_INFINITY;

/** One of the two kinds. */
export class ExposureMeter {
  readonly pages = new Integral();
  readonly bytes = new Integral();
  /** Length of closed windows in ns, rounded down. */
  readonly histogram = new Histogram();
  longestPs = 0;
  opened = 0;

  open(bytes: number, at: number): void {
    this.opened++;
    this.pages.change(1, at);
    this.bytes.change(bytes, at);
  }

  close(bytes: number, opened: number, at: number): void {
    // Another CPU's invalidation may have completed before this unmap returned: then there was no window.
    const end = at > opened ? at : opened;
    this.pages.change(-1, end);
    this.bytes.change(-bytes, end);
    const length = end - opened;
    this.histogram.record(Math.floor(length / 1000));
    if (length > this.longestPs) this.longestPs = length;
  }

  /** Forgets the past: a run counts from its own start. */
  restart(at: number): void {
    this.pages.restart(at);
    this.bytes.restart(at);
    this.histogram.clear();
    this.longestPs = 0;
    this.opened = 0;
  }

  rebase(ps: number): void {
    this.pages.rebase(ps);
    this.bytes.rebase(ps);
  }

  digest(sink: DigestSink): void {
    this.pages.digest(sink);
    this.bytes.digest(sink);
    this.histogram.digest(sink);
    sink.number(this.longestPs);
    sink.number(this.opened);
  }
}

/** Both kinds of one cause of exposure: the whole session, or the unmaps of one workload. */
export class ExposureAccount {
  readonly potential = new ExposureMeter();
  readonly actual = new ExposureMeter();

  restart(at: number): void {
    this.potential.restart(at);
    this.actual.restart(at);
  }

  rebase(ps: number): void {
    this.potential.rebase(ps);
    this.actual.rebase(ps);
  }

  digest(sink: DigestSink): void {
    this.potential.digest(sink);
    this.actual.digest(sink);
  }
}

export class Exposure {
  readonly session = new ExposureAccount();
  /** [workload]: account of the unmaps that it made. */
  readonly ofWorkload: ExposureAccount[] = [];
  /** Workload whose unmap is in progress, -1 an interactive one. */
  workload = -1;
  private readonly iotlb: Iotlb;
  /** [domain] */
  private readonly pagesOf: (domain: number) => TruthPages;

  private capacity = 1024;
  private page = new Float64Array(this.capacity);
  private domain = new Int32Array(this.capacity);
  private opened = new Float64Array(this.capacity);
  private bytes = new Int32Array(this.capacity);
  /** [window]: workload whose unmap opened it, -1 none. */
  private workloadOf = new Int32Array(this.capacity);
  /** [window]: ps at which it became actual, NOT_ACTUAL while nothing translates the page. */
  private actualSince = new Float64Array(this.capacity);
  /** [window]: IOTLB entry that keeps it actual, NO_ENTRY. */
  private entry = new Int32Array(this.capacity);
  private nextOnEntry = new Int32Array(this.capacity);
  private previousOnEntry = new Int32Array(this.capacity);
  private nextOnPage = new Int32Array(this.capacity);
  private nextInDomain = new Int32Array(this.capacity);
  private previousInDomain = new Int32Array(this.capacity);
  private freeHead = NONE;
  private used = 0;
  open = 0;

  /** [domain]: first window, and how many. */
  private domainHead: number[] = [];
  private domainOpen: number[] = [];
  /** [domain]: windows beyond MAX_OPEN: pages, bytes, the oldest. */
  private uncounted: ({ pages: number; bytes: number; oldest: number } | undefined)[] = [];

  // The unmap in progress: its PTEs are cleared, it has not returned. What is invalidated before it returns opens no window.
  private pendingDomain = NONE;
  private pendingFirst = 0;
  private pendingLast = 0;
  private pendingCovered: [number, number][] = [];

  constructor(iotlb: Iotlb, pagesOf: (domain: number) => TruthPages) {
    this.iotlb = iotlb;
    this.pagesOf = pagesOf;
    iotlb.observer = this;
  }

  beginUnmap(domain: number, first: number, last: number): void {
    this.pendingDomain = domain;
    this.pendingFirst = first;
    this.pendingLast = last;
    if (this.pendingCovered.length > 0) this.pendingCovered = [];
  }

  /** Whether pages of the unmap in progress are still without an invalidation. */
  get pendingOpen(): boolean {
    return this.pendingDomain !== NONE;
  }

  pendingIsOpen(page: number): boolean {
    if (this.pendingDomain === NONE) return false;
    for (const [first, last] of this.pendingCovered) if (page >= first && page <= last) return false;
    return true;
  }

  /** The unmap returns: what it left open becomes windows, by `openWindow`. */
  endUnmap(): void {
    this.pendingDomain = NONE;
  }

  /**
   * Opens the window of one page.
   * @param at ps after the clock's base: the return of unmap
   * @returns whether a cached entry still translates the page
   */
  openWindow(domain: number, page: number, bytes: number, at: number): boolean {
    const account = this.workload < 0 ? null : this.ofWorkload[this.workload]!;
    this.session.potential.open(bytes, at);
    account?.potential.open(bytes, at);
    const entry = this.iotlb.probe(domain, page);
    if (this.open >= MAX_OPEN) {
      const rest = (this.uncounted[domain] ??= { pages: 0, bytes: 0, oldest: at });
      rest.pages++;
      rest.bytes += bytes;
      if (at < rest.oldest) rest.oldest = at;
      return entry !== NO_ENTRY;
    }
    let window = this.freeHead;
    if (window !== NONE) this.freeHead = this.nextInDomain[window]!;
    else {
      window = this.used++;
      if (window === this.capacity) this.grow();
    }
    this.open++;
    this.page[window] = page;
    this.domain[window] = domain;
    this.opened[window] = at;
    this.bytes[window] = bytes;
    this.workloadOf[window] = this.workload;
    const head = this.domainHead[domain] ?? NONE;
    this.nextInDomain[window] = head;
    this.previousInDomain[window] = NONE;
    if (head !== NONE) this.previousInDomain[head] = window;
    this.domainHead[domain] = window;
    this.domainOpen[domain] = (this.domainOpen[domain] ?? 0) + 1;
    const chunk = this.pagesOf(domain).chunk(page);
    const at512 = page & 511;
    this.nextOnPage[window] = chunk.window[at512]!;
    chunk.window[at512] = window;
    if (entry === NO_ENTRY) {
      this.entry[window] = NO_ENTRY;
      this.actualSince[window] = NOT_ACTUAL;
      return false;
    }
    this.attach(window, entry, at);
    return true;
  }

  private attach(window: number, entry: number, at: number): void {
    this.entry[window] = entry;
    this.actualSince[window] = at;
    const head = this.iotlb.window[entry]!;
    this.nextOnEntry[window] = head;
    this.previousOnEntry[window] = NONE;
    if (head !== NONE) this.previousOnEntry[head] = window;
    this.iotlb.window[entry] = window;
    const bytes = this.bytes[window]!;
    this.session.actual.open(bytes, at);
    if (this.workloadOf[window]! >= 0) this.ofWorkload[this.workloadOf[window]!]!.actual.open(bytes, at);
  }

  /** A stale path put a page into the IOTLB again whose windows are open. */
  filled(domain: number, page: number, entry: number, at: number): void {
    if ((this.domainOpen[domain] ?? 0) === 0) return;
    const first = this.iotlb.page[entry]!;
    const size = this.iotlb.size[entry]!;
    const last = size === 0 ? page : first + (size === 1 ? 511 : 262_143);
    const pages = this.pagesOf(domain);
    for (let at4k = size === 0 ? page : first; at4k <= last; at4k++) {
      const chunk = pages.peek(at4k);
      if (!chunk) {
        at4k += 511 - (at4k % 512);
        continue;
      }
      for (let window = chunk.window[at4k & 511]!; window !== NONE; window = this.nextOnPage[window]!)
        if (this.entry[window] === NO_ENTRY) this.attach(window, entry, Math.max(at, this.opened[window]!));
    }
  }

  /** Present of the operation or access in progress, for entries that go away by replacement. */
  now = 0;

  /** IOTLB observer: an entry left, so its windows are no longer actual. */
  dropped(entry: number): void {
    const { iotlb, now } = this;
    for (let window = iotlb.window[entry]!; window !== NONE; window = this.nextOnEntry[window]!) {
      this.closeActual(window, now);
      this.entry[window] = NO_ENTRY;
      this.actualSince[window] = NOT_ACTUAL;
    }
    iotlb.window[entry] = NONE;
  }

  private closeActual(window: number, at: number): void {
    const bytes = this.bytes[window]!;
    const since = this.actualSince[window]!;
    this.session.actual.close(bytes, since, at);
    if (this.workloadOf[window]! >= 0) this.ofWorkload[this.workloadOf[window]!]!.actual.close(bytes, since, at);
  }

  private close(window: number, at: number): void {
    const entry = this.entry[window]!;
    const bytes = this.bytes[window]!;
    if (entry !== NO_ENTRY) {
      this.closeActual(window, at);
      const next = this.nextOnEntry[window]!;
      const previous = this.previousOnEntry[window]!;
      if (previous === NONE) this.iotlb.window[entry] = next;
      else this.nextOnEntry[previous] = next;
      if (next !== NONE) this.previousOnEntry[next] = previous;
    }
    this.session.potential.close(bytes, this.opened[window]!, at);
    if (this.workloadOf[window]! >= 0)
      this.ofWorkload[this.workloadOf[window]!]!.potential.close(bytes, this.opened[window]!, at);
    const domain = this.domain[window]!;
    const next = this.nextInDomain[window]!;
    const previous = this.previousInDomain[window]!;
    if (previous === NONE) this.domainHead[domain] = next;
    else this.nextInDomain[previous] = next;
    if (next !== NONE) this.previousInDomain[next] = previous;
    this.domainOpen[domain]!--;
    this.open--;
    this.nextInDomain[window] = this.freeHead;
    this.freeHead = window;
  }

  /**
   * An invalidation completed. Call before the caches drop their entries.
   * @param domain -1 for all
   * @param at ps after the clock's base: when it was complete
   */
  invalidated(domain: number, first: number, last: number, at: number): void {
    this.now = at;
    if (this.pendingDomain !== NONE && (domain < 0 || domain === this.pendingDomain)) {
      if (first <= this.pendingFirst && last >= this.pendingLast) this.pendingDomain = NONE;
      else if (first <= this.pendingLast && last >= this.pendingFirst) this.pendingCovered.push([first, last]);
    }
    if (domain < 0) {
      for (let each = 0; each < this.domainHead.length; each++) this.closeDomain(each, at);
      return;
    }
    const open = this.domainOpen[domain] ?? 0;
    if (open === 0) return;
    if (first === 0 && last === Number.POSITIVE_INFINITY) {
      this.closeDomain(domain, at);
      return;
    }
    if (last - first > open) {
      for (let window = this.domainHead[domain]!; window !== NONE; ) {
        const next = this.nextInDomain[window]!;
        const page = this.page[window]!;
        if (page >= first && page <= last) {
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
      if (!chunk) {
        page += 511 - (page % 512);
        continue;
      }
      for (let window = chunk.window[page & 511]!; window !== NONE; ) {
        const next = this.nextOnPage[window]!;
        this.close(window, at);
        window = next;
      }
      chunk.window[page & 511] = NONE;
    }
  }

  private unlinkFromPage(window: number, domain: number, page: number): void {
    const chunk = this.pagesOf(domain).chunk(page);
    let at = chunk.window[page & 511]!;
    if (at === window) {
      chunk.window[page & 511] = this.nextOnPage[window]!;
      return;
    }
    while (this.nextOnPage[at] !== window) at = this.nextOnPage[at]!;
    this.nextOnPage[at] = this.nextOnPage[window]!;
  }

  private closeDomain(domain: number, at: number): void {
    let window = this.domainHead[domain] ?? NONE;
    if (window !== NONE) {
      const pages = this.pagesOf(domain);
      while (window !== NONE) {
        const next = this.nextInDomain[window]!;
        const page = this.page[window]!;
        pages.chunk(page).window[page & 511] = NONE;
        this.close(window, at);
        window = next;
      }
    }
    const rest = this.uncounted[domain];
    if (rest) {
      const { potential } = this.session;
      potential.pages.change(-rest.pages, at);
      potential.bytes.change(-rest.bytes, at);
      if (at - rest.oldest > potential.longestPs) potential.longestPs = at - rest.oldest;
      this.uncounted[domain] = undefined;
    }
  }

  /** Longest windows of both kinds in ps, those still open counted up to `now`. */
  longest(now: number, workload = -1): { potential: number; actual: number } {
    const account = workload < 0 ? this.session : this.ofWorkload[workload]!;
    let { longestPs: potential } = account.potential;
    let { longestPs: actual } = account.actual;
    for (const head of this.domainHead)
      for (let window = head; window !== NONE; window = this.nextInDomain[window]!) {
        if (workload >= 0 && this.workloadOf[window] !== workload) continue;
        potential = Math.max(potential, now - this.opened[window]!);
        if (this.entry[window] !== NO_ENTRY) actual = Math.max(actual, now - this.actualSince[window]!);
      }
    if (workload < 0) for (const rest of this.uncounted) if (rest) potential = Math.max(potential, now - rest.oldest);
    return { potential, actual };
  }

  /** Open windows of a domain, newest first. */
  forEachOpen(domain: number, visit: (page: number, cached: boolean) => void): void {
    for (let window = this.domainHead[domain] ?? NONE; window !== NONE; window = this.nextInDomain[window]!)
      visit(this.page[window]!, this.entry[window] !== NO_ENTRY);
  }

  rebase(ps: number): void {
    for (let window = 0; window < this.used; window++) {
      this.opened[window]! -= ps;
      this.actualSince[window]! -= ps;
    }
    for (const rest of this.uncounted) if (rest) rest.oldest -= ps;
    this.session.rebase(ps);
    for (const account of this.ofWorkload) account.rebase(ps);
  }

  digest(sink: DigestSink): void {
    this.session.digest(sink);
    for (const account of this.ofWorkload) account.digest(sink);
    sink.number(this.open);
    for (const head of this.domainHead)
      for (let window = head; window !== NONE; window = this.nextInDomain[window]!) {
        sink.number(this.page[window]!);
        sink.number(this.opened[window]!);
        sink.number(this.entry[window]!);
      }
  }

  private grow(): void {
    const length = (this.capacity *= 2);
    this.page = growFloat64(this.page, length);
    this.domain = growInt32(this.domain, length);
    this.opened = growFloat64(this.opened, length);
    this.bytes = growInt32(this.bytes, length);
    this.workloadOf = growInt32(this.workloadOf, length);
    this.actualSince = growFloat64(this.actualSince, length);
    this.entry = growInt32(this.entry, length);
    this.nextOnEntry = growInt32(this.nextOnEntry, length);
    this.previousOnEntry = growInt32(this.previousOnEntry, length);
    this.nextOnPage = growInt32(this.nextOnPage, length);
    this.nextInDomain = growInt32(this.nextInDomain, length);
    this.previousInDomain = growInt32(this.previousInDomain, length);
  }
}

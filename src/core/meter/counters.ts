/**
 * What happened, counted; names as in `GET .../metrics` under `counters`. Plain number fields: the cheapest form V8 has for them.
 * `look/counters.ts` adds what an allocator counts by itself.
 */

export class Counters {
  mapSingleCalls = 0;
  mapPageCalls = 0;
  mapSgCalls = 0;
  mapCoherentCalls = 0;
  unmapCalls = 0;
  mapFailures = 0;
  iommuMapCalls = 0;
  iommuUnmapCalls = 0;
  syncCalls = 0;
  allocationAttempts = 0;
  allocationFailures = 0;
  nodesVisited = 0;
  wordsScanned = 0;
  gapLevels = 0;
  /** Allocations that a cache of freed ranges served (but `IovaAllocator.ownHits`), those it could not serve, and those too long for it. */
  cacheHits = 0;
  cacheMisses = 0;
  cacheBypasses = 0;
  /** Full magazines that a CPU took from a depot and put there, and those whose ranges went back to the tree from there. */
  depotGets = 0;
  depotPuts = 0;
  depotFrees = 0;
  /** Allocations that found the space full and made the caches give back all they had. */
  cacheFlushes = 0;
  ptesWritten = 0;
  ptesCleared = 0;
  tablePagesFreed = 0;
  invalidationsGlobal = 0;
  invalidationsDomain = 0;
  invalidationsRange = 0;
  /** Pages that range invalidations covered beyond those asked for: the address-mask rule. */
  amplifiedPages = 0;
  /** Range requests that became domain-wide: mask too large, or no page-selective capability. */
  maskFallbacks = 0;
  descriptors = 0;
  waitDescriptors = 0;
  registerCommands = 0;
  deviceTlbInvalidations = 0;
  /** Submissions that waited for the hardware to be done with those before, or for room in the ring, and how long both took together. */
  invalidationBacklogWaits = 0;
  invalidationRoomWaits = 0;
  invalidationBacklogPs = 0;
  contextInvalidations = 0;
  flushesTimer = 0;
  flushesFull = 0;
  flushesWrap = 0;
  flushesBatch = 0;
  flushesExplicit = 0;
  entriesFlushed = 0;
  timersFired = 0;
  dmaReads = 0;
  dmaWrites = 0;
  dmaBytes = 0;
  dmaPieces = 0;
  interrupts = 0;
  contextLookups = 0;
  contextHits = 0;
  walks = 0;
  memoryReferences = 0;
  staleWalks = 0;
  /** Asked for by devices with a TLB of their own. */
  translationRequests = 0;
  faults = 0;
  /** Accesses by piece to a page whose mapping is over, and those of them that faulted: detectability. */
  attemptsAfterUnmap = 0;
  attemptsDetected = 0;
  freedWhileMapped = 0;
  misuse = 0;
  packetsOffered = 0;
  packetsDropped = 0;
  drainWaits = 0;
  /** Bytes that the kernel copied between a driver's memory and what a device sees of it; bytes it cleared around them. */
  bytesCopied = 0;
  bytesZeroed = 0;
  /** Slots of the bounce pool that searches looked at; maps for which it had no room. */
  bounceSlotsScanned = 0;
  bounceFailures = 0;
  /** Shadow buffers made; maps that were too long for one; maps for which the pool had no room. */
  shadowBuffersMade = 0;
  shadowFallbacks = 0;
  shadowFailures = 0;
  /** Exits of a guest to its hypervisor; requests of a paravirtual guest. */
  vmExits = 0;
  hostRequests = 0;
  /** Commands of a guest that its host did not carry out. */
  flushesDropped = 0;
}

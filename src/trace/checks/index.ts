/** The checks of a recording: a new one is a file in this folder and a line here. One pass over the events serves them all. */
import type { RecordedEvents } from '../../core/devices/replay/source.ts';
import { ABSENT, EVENT_KINDS } from '../event.ts';
import type { Check, CheckEntry, Finding, Scene } from './check.ts';
import { doubleUnmaps } from './double-unmaps.ts';
import { fragmentation } from './fragmentation.ts';
import { missingInvalidations, superfluousInvalidations } from './invalidations.ts';
import { leaks } from './leaks.ts';
import { LiveMappings, type Mapping } from './live.ts';
import { wrongDirections, wrongFunctions, wrongSizes } from './mismatches.ts';
import { sizes } from './sizes.ts';
import { unchanging } from './unchanging.ts';

export const checks: Record<string, CheckEntry> = Object.fromEntries(
  [
    leaks,
    doubleUnmaps,
    wrongSizes,
    wrongDirections,
    wrongFunctions,
    missingInvalidations,
    superfluousInvalidations,
    unchanging,
    sizes,
    fragmentation,
  ].map((entry) => [entry.check, entry]),
);

/** Pages without a mapping within an unmapped range that are looked at. */
const MOST_MISSES = 4096;

export interface ChecksReport {
  /** Events that were looked at. */
  events: number;
  findings: Finding[];
  /** Checks that found nothing. */
  clean: string[];
  /** Mappings that were not followed, as too many were live. */
  refused: number;
}

/** One pass, for callers that want to pause between events: load each in turn and give it here. */
export class CheckPass {
  private readonly scene: Scene;
  private readonly running: { entry: CheckEntry; check: Check }[];
  /** A list whose ranges come. */
  private openList: Mapping | null = null;

  constructor(events: RecordedEvents) {
    this.scene = { events, index: 0, live: new LiveMappings(events) };
    this.running = Object.values(checks).map((entry) => ({ entry, check: entry.create() }));
  }

  event(index: number): void {
    const { scene, running } = this;
    const { events } = scene;
    scene.index = index;
    if (events.kind === EVENT_KINDS.segment) {
      this.segment();
      return;
    }
    this.endList();
    // What a list's end needs may have moved the events on.
    events.load(index);
    for (const { check } of running) check.event?.(scene);
    switch (events.kind) {
      case EVENT_KINDS.map:
      case EVENT_KINDS.alloc:
        if (events.iovaPage !== ABSENT) this.began(this.mapping(index));
        return;
      case EVENT_KINDS.mapSg:
        this.openList = this.mapping(index);
        this.openList.ranges = [];
        this.openList.lengthBytes = 0;
        return;
      case EVENT_KINDS.iommuMap:
        if (events.joined === ABSENT && events.iovaPage !== ABSENT) this.began(this.mapping(index));
        return;
      case EVENT_KINDS.unmap:
      case EVENT_KINDS.free:
      case EVENT_KINDS.unmapSg:
        this.ended();
        return;
      case EVENT_KINDS.iommuUnmap:
        if (events.joined === ABSENT) this.rangeEnded();
        return;
    }
  }

  private mapping(index: number): Mapping {
    const { events } = this.scene;
    const { kind, device, line, timeNs, cpu, iovaPage, iovaOffset, lengthBytes, direction } = events;
    return {
      device,
      kind,
      index,
      line,
      timeNs,
      cpu,
      page: iovaPage,
      offset: Math.max(0, iovaOffset),
      lengthBytes,
      direction,
      physicalPage: events.physicalPage,
      physicalOffset: events.physicalOffset,
      ranges: null,
      written: false,
    };
  }

  private segment(): void {
    const { openList, scene } = this;
    const { iovaPage, iovaOffset, lengthBytes } = scene.events;
    if (openList === null || iovaPage === ABSENT) return;
    const offset = Math.max(0, iovaOffset);
    if (openList.page === ABSENT) {
      openList.page = iovaPage;
      openList.offset = offset;
    }
    openList.ranges!.push({ page: iovaPage, offset, lengthBytes });
    openList.lengthBytes += lengthBytes;
  }

  private endList(): void {
    const { openList } = this;
    this.openList = null;
    if (openList !== null) this.began(openList);
  }

  private began(mapping: Mapping): void {
    const { scene, running } = this;
    if (!scene.live.add(mapping)) return;
    for (const { check } of running) check.mapped?.(mapping, scene);
  }

  private ended(): void {
    const { scene, running } = this;
    const { events, live } = scene;
    const { device, iovaPage, iovaOffset, partner } = events;
    const mapping =
      (partner === ABSENT ? null : live.ofEvent(partner)) ??
      (iovaPage === ABSENT ? null : live.at(device, iovaPage, Math.max(0, iovaOffset)));
    if (mapping === null) {
      for (const { check } of running) check.unmatched?.(scene);
      return;
    }
    live.remove(mapping);
    for (const { check } of running) check.unmapped?.(mapping, scene);
  }

  /** A range may end several mappings, and the beginning of one, which stays then. */
  private rangeEnded(): void {
    const { scene, running } = this;
    const { events, live } = scene;
    const end = events.iovaPage + Math.ceil(events.lengthBytes / 4096);
    let found = false;
    let misses = 0;
    for (let page = events.iovaPage; page < end && misses < MOST_MISSES; ) {
      const mapping = live.at(ABSENT, page, 0);
      const pages = mapping === null ? 1 : Math.ceil(mapping.lengthBytes / 4096);
      page += pages;
      if (mapping === null || page > end) {
        misses++;
        continue;
      }
      found = true;
      live.remove(mapping);
      for (const { check } of running) check.unmapped?.(mapping, scene);
    }
    if (!found) for (const { check } of running) check.unmatched?.(scene);
  }

  finish(): ChecksReport {
    const { scene, running } = this;
    const { events, live } = scene;
    if (events.count > 0) {
      this.endList();
      events.load(events.count - 1);
    }
    const findings: Finding[] = [];
    const clean: string[] = [];
    for (const { entry, check } of running) {
      const finding = events.count === 0 ? null : check.finish(scene);
      if (finding === null) clean.push(entry.check);
      else findings.push(finding);
    }
    return { events: events.count, findings, clean, refused: live.refused };
  }
}

/** All checks over all events. */
export function checkRecording(events: RecordedEvents): ChecksReport {
  const pass = new CheckPass(events);
  for (let index = 0; index < events.count; index++) {
    events.load(index);
    pass.event(index);
  }
  return pass.finish();
}

/**
 * What a profile's file says (`profiles/*.json`), and how it becomes a profile: inheritance and units are resolved once, at load.
 *
 * An inherited number keeps the source that it has where it comes from, and says from where. Unless the publication itself used that
 * number (`usedByPublication`, or it is what the number cites), it was not measured on this machine: it counts as an assumption from
 * half to twice its value.
 * Cycles are inherited as cycles and times as times: a step that its source gives in ns takes more cycles on a faster clock.
 */
import { assert } from '../assert.ts';

/** One number of a file: exactly one unit, where it is from, and how far off it may be. */
export interface FigureFile {
  cycles?: number;
  ns?: number;
  ghz?: number;
  gbps?: number;
  bytes?: number;
  percent?: number;
  count?: number;
  counts?: number[];
  /** What is no number. */
  is?: string | boolean;
  list?: string[];
  /** Names one of the profile's `publications`, or is `assumption`. */
  source: string;
  /** Lowest and highest, in the same unit; an assumption always has one. */
  range?: number[];
  /** Why that number; an assumption always says. */
  why?: string;
}

/** Figures by name, or groups of them. */
export interface FigureGroup {
  [name: string]: FigureFile | FigureGroup;
}

export interface ProfileFile {
  kind: string;
  title: string;
  /** Short names, one of which every citation of the file contains. */
  publications: string[];
  source: string;
  notMeasuredFor: string;
  inherits?: { profile: string; usedByPublication: boolean; why: string };
  clockGhz: FigureFile;
  linkGbps?: FigureFile;
  mappingsPerPacket?: FigureFile;
  steps: Record<string, FigureFile>;
  /** What the publication measured of its device; for the eye and for reproductions, nothing here acts by itself. */
  device?: Record<string, FigureFile>;
  /** What its chip was like, in the places of a spec's `iommu`; a spec that is silent gets the fixed defaults and not these. */
  hardware?: FigureGroup;
  /** What it measured in a guest. */
  guest?: Record<string, FigureFile>;
}

/** Where a number comes from that this profile has no number of its own for. */
export interface Inherited {
  profile: string;
  source: string;
}

export interface ProfileStep {
  cycles: number;
  /** Where the number is from, or `assumption`. */
  source: string;
  range?: number[];
  why?: string;
  inherited?: Inherited;
}

/** As in the file, and from where if inherited. */
export interface Figure extends FigureFile {
  inherited?: Inherited;
}

export interface CostProfile {
  kind: string;
  title: string;
  publications: string[];
  source: string;
  notMeasuredFor: string;
  inherits?: { profile: string; usedByPublication: boolean; why: string };
  clockGhz: number;
  linkGbps: number;
  mappingsPerPacket: number;
  /** The same three, with their sources. */
  machine: Record<'clockGhz' | 'linkGbps' | 'mappingsPerPacket', Figure>;
  steps: Record<string, ProfileStep>;
  device: Record<string, Figure>;
  hardware: FigureGroup;
  guest: Record<string, Figure>;
}

/** An inherited number may be half or twice as large on another machine. */
const LOWER = 0.5;
const HIGHER = 2;

export function isFigure(value: FigureFile | FigureGroup): value is FigureFile {
  return typeof value.source === 'string';
}

/** Its number, in whatever unit; none for a list or a word. */
export function numberOf(figure: FigureFile): number | undefined {
  return (
    figure.cycles ??
    figure.ns ??
    figure.ghz ??
    figure.gbps ??
    figure.bytes ??
    figure.percent ??
    figure.count ??
    undefined
  );
}

function inheritedFigure(figure: Figure, heir: ProfileFile): Figure {
  const { profile, usedByPublication } = heir.inherits!;
  const inherited = figure.inherited ?? { profile, source: figure.source };
  const own = heir.publications.some((publication) => figure.source.includes(publication));
  if (usedByPublication || own || figure.source === 'assumption') return { ...figure, inherited };
  const value = numberOf(figure)!;
  const [low, high] = figure.range ?? [value, value];
  return {
    ...figure,
    source: 'assumption',
    range: [Math.min(low!, LOWER * value), Math.max(high!, HIGHER * value)],
    why: `not measured here; ${inherited.profile} has it from: ${inherited.source}`,
    inherited,
  };
}

/** Milli-cycles are the smallest unit there is. */
const toMilli = (cycles: number): number => Math.round(cycles * 1000) / 1000;

function stepOf(name: string, figure: Figure, clockGhz: number): ProfileStep {
  const { ns, cycles, source, range, why, inherited } = figure;
  assert(ns !== undefined || cycles !== undefined, `step ${name} has neither cycles nor ns`);
  const factor = cycles === undefined ? clockGhz : 1;
  return {
    cycles: toMilli((cycles ?? ns!) * factor),
    source,
    ...(range && { range: range.map((bound) => toMilli(bound * factor)) }),
    ...(why !== undefined && { why }),
    ...(inherited && { inherited }),
  };
}

/**
 * @param files in any order; each inherits from one that is there
 * @returns profiles by kind, in the order of the files; all have the same steps, in the same order
 */
export function resolveProfiles(files: readonly ProfileFile[]): Record<string, CostProfile> {
  const byKind = new Map(files.map((file) => [file.kind, file]));
  /** Steps as figures, in the units of their sources: what heirs need. */
  const figures = new Map<string, Record<string, Figure>>();
  const machines = new Map<string, CostProfile['machine']>();

  const visit = (file: ProfileFile, heirs: string[]): Record<string, Figure> => {
    const known = figures.get(file.kind);
    if (known !== undefined) return known;
    assert(!heirs.includes(file.kind), `profile ${file.kind} inherits from itself`);
    const { clockGhz, linkGbps, mappingsPerPacket, inherits } = file;
    let steps: Record<string, Figure> = file.steps;
    const own = { clockGhz, ...(linkGbps && { linkGbps }), ...(mappingsPerPacket && { mappingsPerPacket }) };
    let machine = own as CostProfile['machine'];
    if (inherits !== undefined) {
      const parent = byKind.get(inherits.profile);
      assert(parent !== undefined, `profile ${file.kind} inherits from ${inherits.profile}, which there is not`);
      const base = visit(parent, [...heirs, file.kind]);
      const { profile } = inherits;
      const pass = (figure: Figure) => inheritedFigure(figure, file);
      for (const step of Object.keys(file.steps))
        assert(step in base, `profile ${file.kind} has a step "${step}" that ${profile} has not`);
      steps = Object.fromEntries(
        Object.entries(base).map(([step, figure]) => [step, file.steps[step] ?? pass(figure)]),
      );
      const above = machines.get(profile)!;
      machine = {
        clockGhz,
        linkGbps: linkGbps ?? pass(above.linkGbps),
        mappingsPerPacket: mappingsPerPacket ?? pass(above.mappingsPerPacket),
      };
    }
    figures.set(file.kind, steps);
    machines.set(file.kind, machine);
    return steps;
  };

  return Object.fromEntries(
    files.map((file) => {
      const steps = visit(file, []);
      const machine = machines.get(file.kind)!;
      const clockGhz = machine.clockGhz.ghz!;
      const { kind, title, publications, source, notMeasuredFor, inherits } = file;
      const profile: CostProfile = {
        kind,
        title,
        publications,
        source,
        notMeasuredFor,
        ...(inherits && { inherits }),
        clockGhz,
        linkGbps: machine.linkGbps.gbps!,
        mappingsPerPacket: machine.mappingsPerPacket.count!,
        machine,
        steps: Object.fromEntries(
          Object.entries(steps).map(([name, figure]) => [name, stepOf(name, figure, clockGhz)]),
        ),
        device: file.device ?? {},
        hardware: file.hardware ?? {},
        guest: file.guest ?? {},
      };
      return [kind, profile];
    }),
  );
}

/** What a profile's chip was like, as a spec's `iommu` has it: `{iotlb: {entries: 32}}`. */
export function hardwareOf(profile: CostProfile): Record<string, unknown> {
  return plainOf(profile.hardware);
}

function plainOf(group: FigureGroup): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(group).map(([name, value]) => [
      name,
      isFigure(value) ? (value.is ?? value.list ?? value.counts ?? numberOf(value)) : plainOf(value),
    ]),
  );
}

/** Imports for tests: bytes in, events out as plain objects that say only what the line said. */
import { ABSENT, EVENT_KINDS, type RecordedEvent } from '../../src/trace/event.ts';
import { createImporter, type ImportSummary } from '../../src/trace/importer.ts';

export interface Seen {
  kind: string;
  /** Addresses as hexadecimal, devices as names; what is ABSENT is left out. */
  [field: string]: unknown;
}

export interface Imported {
  events: Seen[];
  raw: RecordedEvent[];
  devices: string[];
  notes: [text: string, line: number][];
  summary: ImportSummary;
}

const KIND_NAMES = Object.fromEntries(Object.entries(EVENT_KINDS).map(([name, kind]) => [kind, name]));

export function hexOf(page: number, offset: number): string {
  return `0x${(BigInt(page) * 4096n + BigInt(offset)).toString(16)}`;
}

export interface ImportOptions {
  format?: string;
  options?: Record<string, unknown>;
  strict?: boolean;
  /** Bytes a chunk; all at once without. */
  chunk?: number;
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function importBytes(
  bytes: Uint8Array,
  { format = 'auto', options = {}, strict = false, chunk = bytes.length || 1 }: ImportOptions = {},
): Imported {
  const raw: RecordedEvent[] = [];
  const devices: string[] = [];
  const notes: [string, number][] = [];
  const importer = createImporter({
    format,
    options,
    strict,
    sink: {
      event: (event) => void raw.push({ ...event }),
      device: (name) => devices.push(name) - 1,
      note: (text, line) => void notes.push([text, line]),
    },
  });
  for (let at = 0; at < bytes.length; at += chunk) importer.write(bytes.subarray(at, at + chunk));
  importer.end();
  return { events: raw.map((event) => seen(event, devices)), raw, devices, notes, summary: importer.summary() };
}

export function importText(text: string, options: ImportOptions = {}): Imported {
  return importBytes(bytesOf(text), options);
}

export function seen(event: RecordedEvent, devices: readonly string[]): Seen {
  const { kind, iovaPage, iovaOffset, physicalPage, physicalOffset, device, timePs, ...rest } = event;
  const told: Seen = { kind: KIND_NAMES[kind]! };
  if (iovaPage !== ABSENT) told.iova = hexOf(iovaPage, iovaOffset);
  if (physicalPage !== ABSENT) told.physical = hexOf(physicalPage, physicalOffset);
  if (device !== ABSENT) told.device = devices[device];
  if (timePs !== 0) told.timePs = timePs;
  for (const [name, value] of Object.entries(rest)) if (value !== ABSENT) told[name] = value;
  return told;
}

/** `total` is the sum of the others. */
export function isBalanced({ lines }: ImportSummary): boolean {
  const skipped = lines.skipped.reduce((sum, { count }) => sum + count, 0);
  return lines.total === lines.understood + lines.comments + lines.blank + skipped && lines.understood >= 0;
}

/**
 * Which device TLBs keep exposure windows: the entries that still translate a page, and the devices that were not told yet.
 *
 * A window of a domain with device TLBs is over when the IOTLB was invalidated and after that every device: one that was told before
 * may have asked again and been given the old translation. Only such domains have anything here; numbers of windows are those of
 * `exposure.ts`.
 */
import type { EntryObserver, Iotlb } from '../hardware/iotlb.ts';
import type { DigestSink } from '../sim/digest-sink.ts';

/** A device as windows know it. */
export interface TranslatingDevice {
  readonly index: number;
  readonly deviceTlb: Iotlb | null;
}

/** The observer of a device's TLB: passes on which device it is that an entry left. */
export class LeavingEntries implements EntryObserver {
  private readonly windows: { leftDevice(device: number, entry: number): void };
  private readonly device: number;

  constructor(windows: { leftDevice(device: number, entry: number): void }, device: number) {
    this.windows = windows;
    this.device = device;
  }

  dropped(entry: number): void {
    this.windows.leftDevice(this.device, entry);
  }
}

/** More than a device TLB has entries. */
const ENTRIES = 2 ** 17;

export class DeviceHolds {
  /** By device. */
  private readonly tlbs = new Map<number, Iotlb>();
  /** By window: entries (device * ENTRIES + entry) that translate its page. */
  private readonly entriesOf = new Map<number, Set<number>>();
  /** By entry: windows. */
  private readonly windowsOf = new Map<number, Set<number>>();
  /** By window: devices that it waits for; absent until the IOTLB is done. */
  private readonly owed = new Map<number, number[]>();

  watch(device: number, tlb: Iotlb): void {
    this.tlbs.set(device, tlb);
  }

  holds(window: number): boolean {
    return this.entriesOf.has(window);
  }

  /** An entry of a device TLB translates the page of a window. */
  hold(window: number, device: number, entry: number): void {
    const key = device * ENTRIES + entry;
    let entries = this.entriesOf.get(window);
    if (entries === undefined) this.entriesOf.set(window, (entries = new Set()));
    entries.add(key);
    let windows = this.windowsOf.get(key);
    if (windows === undefined) this.windowsOf.set(key, (windows = new Set()));
    windows.add(window);
    this.tlbs.get(device)!.window[entry] = window;
  }

  /** An entry is gone. @returns the windows that nothing in a device translates any more */
  release(device: number, entry: number): number[] {
    const key = device * ENTRIES + entry;
    const free: number[] = [];
    for (const window of this.windowsOf.get(key) ?? []) {
      const entries = this.entriesOf.get(window)!;
      entries.delete(key);
      if (entries.size > 0) continue;
      this.entriesOf.delete(window);
      free.push(window);
    }
    this.windowsOf.delete(key);
    this.tlbs.get(device)!.window[entry] = -1;
    return free;
  }

  /** The IOTLB is done with a window: from here on it waits for these devices. */
  owe(window: number, devices: readonly number[]): void {
    this.owed.set(window, [...devices]);
  }

  /** A device dropped what it had of a window's page. @returns whether the window is over with that */
  settle(window: number, device: number): boolean {
    const devices = this.owed.get(window);
    if (devices === undefined) return false;
    const at = devices.indexOf(device);
    if (at >= 0) devices.splice(at, 1);
    return devices.length === 0;
  }

  /** A window is closed: its number will be another's. */
  forget(window: number): void {
    this.owed.delete(window);
    for (const key of this.entriesOf.get(window) ?? []) {
      const windows = this.windowsOf.get(key)!;
      windows.delete(window);
      if (windows.size > 0) continue;
      this.windowsOf.delete(key);
      this.tlbs.get(Math.floor(key / ENTRIES))!.window[key % ENTRIES] = -1;
    }
    this.entriesOf.delete(window);
  }

  digestWindow(sink: DigestSink, window: number): void {
    for (const key of [...(this.entriesOf.get(window) ?? [])].sort((a, b) => a - b)) sink.number(key);
    const devices = this.owed.get(window);
    sink.number(devices === undefined ? -1 : devices.length);
    for (const device of devices ?? []) sink.number(device);
  }
}

/** Looking without a trace: lists, single resources, and the insides of chip and kernel. */
import { faultDocument } from '../fault-notice.ts';
import type { Outcome } from '../operations.ts';
import { NO_MAPPING } from '../os/mappings.ts';
import { ok, refuse } from '../outcome.ts';
import type { Page, Reading } from '../reading.ts';
import type { Simulator } from '../simulator.ts';
import {
  bufferDocument,
  deviceDocument,
  domainDocument,
  mappingDocument,
  tenantDocument,
  workloadDocument,
} from './documents.ts';
import { allocatorInside, iotlbEntries, pageTableWalk, queuesInside, spaceInside, walkCacheEntries } from './inside.ts';
import { sessionMeters } from './meters.ts';
import { sessionMetrics } from './metrics.ts';
import { spaceCells } from './space-cells.ts';
import { spacePage } from './space-page.ts';

const DEFAULT_LIMIT = 100;

/** One page of things that are numbered in rising order; the cursor is the number of the last one shown. */
export function page<Thing>(
  things: Iterable<Thing>,
  { limit = DEFAULT_LIMIT, cursor }: Page,
  numberOf: (thing: Thing) => number,
  document: (thing: Thing) => Record<string, unknown>,
): Outcome {
  const after = cursor === undefined ? -1 : cursorNumber(cursor);
  if (Number.isNaN(after)) return refuse('invalid-cursor', `"${cursor}" is no cursor of this list`, '/cursor');
  const items: Record<string, unknown>[] = [];
  let last = after;
  for (const thing of things) {
    const number = numberOf(thing);
    if (number <= after) continue;
    if (items.length === limit) return ok({ items, nextCursor: `c${last}` });
    items.push(document(thing));
    last = number;
  }
  return ok({ items });
}

function cursorNumber(cursor: string): number {
  return /^c\d{1,15}$/.test(cursor) ? Number(cursor.slice(1)) : Number.NaN;
}

function* liveSlots(simulator: Simulator, device: number, from: number): Generator<number> {
  const { mappings } = simulator;
  for (let slot = from; slot < mappings.used; slot++)
    if (mappings.live[slot] === 1 && (device < 0 || mappings.device[slot] === device)) yield slot;
}

export function look(simulator: Simulator, reading: Reading): Outcome {
  const { tenants, domainNames, devices, buffers, workloads, mappings, faults, log } = simulator;
  const indexOf = ({ index }: { index: number }) => index;
  switch (reading.read) {
    case 'tenants':
      return page(tenants.all(), reading, indexOf, (tenant) => tenantDocument(simulator, tenant));
    case 'domains':
      return page(domainNames.all(), reading, indexOf, (domain) => domainDocument(simulator, domain));
    case 'devices':
      return page(devices.all(), reading, indexOf, (device) => deviceDocument(simulator, device));
    case 'buffers':
      return page(buffers.all(), reading, indexOf, (buffer) => bufferDocument(simulator, buffer));
    case 'workloads':
      return page(workloads.all(), reading, indexOf, workloadDocument);
    case 'mappings': {
      let device = -1;
      if (reading.device !== undefined) {
        const found = devices.find(reading.device);
        if (!found) return refuse('unknown-device', `no device "${reading.device}"`, '/device');
        device = found.index;
      }
      const from = reading.cursor === undefined ? 0 : cursorNumber(reading.cursor) + 1;
      return page(
        liveSlots(simulator, device, Number.isNaN(from) ? 0 : from),
        reading,
        (slot) => slot,
        (slot) => mappingDocument(simulator, slot),
      );
    }
    case 'faults': {
      const answer = page(
        faults.records,
        reading,
        ({ sequence }) => sequence,
        (record) => faultDocument(simulator, record),
      );
      if (answer.status === 'ok') Object.assign(answer.result, { dropped: faults.dropped, capacity: faults.capacity });
      return answer;
    }
    case 'events': {
      const after = reading.cursor === undefined ? 0 : cursorNumber(reading.cursor);
      if (Number.isNaN(after))
        return refuse('invalid-cursor', `"${reading.cursor}" is no cursor of this list`, '/cursor');
      const limit = reading.limit ?? DEFAULT_LIMIT;
      return page(
        log.after(after, limit + 1),
        reading,
        ({ sequence }) => sequence,
        ({ sequence, timeNs, type, data }) => ({ sequence, timeNs, type, ...data }),
      );
    }
    case 'tenant':
      return single(tenants.find(reading.id), 'tenant', reading.id, (tenant) => tenantDocument(simulator, tenant));
    case 'domain':
      return single(domainNames.find(reading.id), 'domain', reading.id, (domain) => domainDocument(simulator, domain));
    case 'device':
      return single(devices.find(reading.id), 'device', reading.id, (device) => deviceDocument(simulator, device));
    case 'buffer':
      return single(buffers.find(reading.id), 'buffer', reading.id, (buffer) => bufferDocument(simulator, buffer));
    case 'workload':
      return single(workloads.find(reading.id), 'workload', reading.id, workloadDocument);
    case 'mapping': {
      const slot = mappings.find(reading.id);
      if (reading.device !== undefined) {
        const device = devices.find(reading.device);
        if (!device) return refuse('unknown-device', `no device "${reading.device}"`, '/device');
        if (slot !== NO_MAPPING && mappings.device[slot] !== device.index)
          return refuse('unknown-mapping', `"${reading.id}" is no mapping of ${reading.device}`, '/id');
      }
      return single(slot === NO_MAPPING ? undefined : slot, 'mapping', reading.id, (found) =>
        mappingDocument(simulator, found),
      );
    }
    case 'metrics':
      return ok(sessionMetrics(simulator));
    case 'meters':
      return ok(sessionMeters(simulator));
    case 'iotlb':
      return ok(iotlbEntries(simulator));
    case 'walk-cache':
      return ok(walkCacheEntries(simulator));
    case 'queues':
      return ok(queuesInside(simulator));
    case 'space':
      return spaceInside(simulator, reading);
    case 'space-cells':
      return spaceCells(simulator, reading);
    case 'space-page':
      return spacePage(simulator, reading);
    case 'allocator':
      return allocatorInside(simulator, reading.domain);
    case 'page-table':
      return pageTableWalk(simulator, reading.domain, reading.iova);
  }
}

function single<Thing>(
  thing: Thing | undefined,
  what: string,
  id: string,
  document: (thing: Thing) => Record<string, unknown>,
): Outcome {
  return thing === undefined ? refuse(`unknown-${what}`, `no ${what} "${id}"`, '/id') : ok(document(thing));
}

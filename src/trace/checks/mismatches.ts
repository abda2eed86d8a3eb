/** Unmaps that do not say what the map said: another size, another direction, another function. */
import { ABSENT, DIRECTIONS, EVENT_KINDS } from '../event.ts';
import { type Check, type CheckEntry, Examples } from './check.ts';
import { directionText, UNMAP_OF } from './live.ts';

function entry(
  check: string,
  title: string,
  explanation: string,
  differs: (...given: Parameters<NonNullable<Check['unmapped']>>) => string | null,
): CheckEntry {
  return {
    check,
    title,
    create: () => {
      const examples = new Examples();
      return {
        unmapped(mapping, scene) {
          const difference = differs(mapping, scene);
          if (difference === null) return;
          examples.add(
            scene.events.line,
            () => `${scene.live.describe(mapping)} (line ${mapping.line}): ${difference}`,
          );
        },
        finish: () => examples.finding(check, 'error', explanation),
      };
    },
  };
}

export const wrongSizes = entry(
  'wrong-sizes',
  'Unmaps of another size than was mapped',
  'Too few bytes leave translations behind, and the IOVA is freed with the wrong size; too many take a neighbour with them. The kernel ' +
    'trusts the driver here unless CONFIG_DMA_API_DEBUG is on.',
  (mapping, { events }) => {
    const { kind, lengthBytes } = events;
    if (kind === EVENT_KINDS.unmapSg || kind === EVENT_KINDS.iommuUnmap || lengthBytes === ABSENT) return null;
    return lengthBytes === mapping.lengthBytes ? null : `unmapped with ${lengthBytes} bytes`;
  },
);

export const wrongDirections = entry(
  'wrong-directions',
  'Unmaps with another direction than was mapped',
  'With bounce buffers or caches that are not coherent the direction decides what is copied or flushed: data is lost.',
  (mapping, { events }) => {
    const { kind, direction } = events;
    const known = (value: number) => value !== DIRECTIONS.unknown;
    if (kind === EVENT_KINDS.iommuUnmap || !known(direction) || !known(mapping.direction)) return null;
    return direction === mapping.direction ? null : `unmapped as${directionText(direction) || ' for both sides'}`;
  },
);

export const wrongFunctions = entry(
  'wrong-functions',
  'Unmaps by another function than belongs to the map',
  'What a list, a single range or coherent memory needs at its end differs; by the wrong function part of it stays.',
  (mapping, { events }) =>
    UNMAP_OF[mapping.kind] === events.kind ? null : 'mapped by one function, unmapped by the other',
);

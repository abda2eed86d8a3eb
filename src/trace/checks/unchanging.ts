/** The same memory mapped again and again: a driver could keep it mapped (page_pool, premapped rings) and spare map, unmap and flush. */
import { ABSENT } from '../event.ts';
import { hexAddress } from '../export/lines.ts';
import { type CheckEntry, Examples } from './check.ts';

/** Ranges that are counted; those beyond are not. */
const MOST_RANGES = 262_144;
/** From so many times on. */
const OFTEN = 8;

export const unchanging: CheckEntry = {
  check: 'unchanging-mappings',
  title: 'Memory that is mapped over and over',
  create: () => {
    const ranges = new Map<
      string,
      { times: number; line: number; lastLine: number; sameAddress: number; address: number }
    >();
    let maps = 0;
    let uncounted = 0;
    return {
      mapped(mapping) {
        if (mapping.physicalPage === ABSENT || mapping.ranges !== null) return;
        maps++;
        const { device, physicalPage, physicalOffset, lengthBytes, direction, page, line } = mapping;
        const key = `${device} ${physicalPage} ${physicalOffset} ${lengthBytes} ${direction}`;
        const known = ranges.get(key);
        if (known === undefined) {
          if (ranges.size < MOST_RANGES)
            ranges.set(key, { times: 1, line, lastLine: line, sameAddress: 0, address: page });
          else uncounted++;
          return;
        }
        known.times++;
        known.lastLine = line;
        if (known.address === page) known.sameAddress++;
        known.address = page;
      },
      finish({ live }) {
        const often = [...ranges].filter(([, { times }]) => times >= OFTEN).sort(([, a], [, b]) => b.times - a.times);
        const spared = often.reduce((sum, [, { times }]) => sum + times - 1, 0);
        const examples = new Examples();
        for (const [key, { times, line, sameAddress }] of often) {
          const [device, page, offset, lengthBytes] = key.split(' ').map(Number) as [number, number, number, number];
          examples.add(
            line,
            () =>
              `${live.nameOf(device)}: ${lengthBytes} bytes at 0x${hexAddress(page, Math.max(0, offset))} mapped ${times} times, ${sameAddress} times at the address of the time before`,
          );
        }
        return examples.finding(
          'unchanging-mappings',
          'info',
          `Kept mapped, these would spare ${spared} of ${maps} maps, as many unmaps, and what flushes those cost. What is kept mapped stays ` +
            `within the device's reach, too: that is the price.${uncounted > 0 ? ` ${uncounted} maps of further ranges were not counted.` : ''}`,
        );
      },
    };
  },
};

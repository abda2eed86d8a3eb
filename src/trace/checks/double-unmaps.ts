/** Unmaps of what is not mapped: twice, or of what the recording never had. */
import { ABSENT, EVENT_KINDS } from '../event.ts';
import { hexAddress } from '../export/lines.ts';
import { ms } from '../forensics/lazy.ts';
import { pagesOf, Touches } from '../forensics/touches.ts';
import { type CheckEntry, Examples } from './check.ts';

export const doubleUnmaps: CheckEntry = {
  check: 'double-unmaps',
  title: 'Unmaps of what is not mapped any more',
  create: () => {
    const touches = new Touches();
    const twice = new Examples();
    let before = 0;
    let lost = 0;
    return {
      event({ events }) {
        if (events.kind === EVENT_KINDS.lost) lost++;
      },
      mapped(mapping) {
        for (const range of mapping.ranges ?? [mapping])
          if (range.page !== ABSENT)
            touches.mapped(mapping.device, {
              mapKind: mapping.kind,
              mapNs: mapping.timeNs,
              mapLine: mapping.line,
              mapIndex: mapping.index,
              unmapKind: ABSENT,
              unmapNs: ABSENT,
              unmapLine: ABSENT,
              page: range.page,
              offset: range.offset,
              lengthBytes: range.lengthBytes,
              physicalPage: ABSENT,
              physicalOffset: ABSENT,
              direction: mapping.direction,
            });
      },
      unmapped(mapping, { events }) {
        for (const range of mapping.ranges ?? [mapping])
          if (range.page !== ABSENT)
            touches.unmapped(
              mapping.device,
              range.page,
              pagesOf(range.offset, range.lengthBytes),
              events.kind,
              events.timeNs,
              events.line,
            );
      },
      unmatched({ events, live }) {
        const { device, iovaPage, iovaOffset, lengthBytes, line, timeNs } = events;
        const touch = iovaPage === ABSENT ? null : touches.at(device, iovaPage);
        if (touch === null || touch.unmapLine === ABSENT) {
          before++;
          return;
        }
        twice.add(
          line,
          () =>
            `${live.nameOf(device)} 0x${hexAddress(iovaPage, Math.max(0, iovaOffset))}, ${lengthBytes} bytes: unmapped already at line ${touch.unmapLine}, ${ms(timeNs - touch.unmapNs)} before`,
        );
      },
      finish: () =>
        twice.finding(
          'double-unmaps',
          lost > 0 ? 'warning' : 'error',
          'The second unmap takes away the translation of whoever has that address by then, and its IOVA is freed twice. ' +
            `${before} more unmaps are of mappings that the recording does not have, which is usual where it begins in the middle` +
            `${lost > 0 ? `; events were lost in ${lost} places, so that a map in between may be missing` : ''}.`,
        ),
    };
  },
};

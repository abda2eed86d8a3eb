/** `wrap` has no clock: its windows are as long as the cursor's trip round the bitmap. */
import { figure, table } from '../docs/table.ts';
import { RUN_NS, specOf } from './arms.ts';
import { run } from './lab.ts';

export function lapTable(): string {
  const rows = [2 ** 25, 2 ** 26, 2 ** 27, 2 ** 32].flatMap((apertureBytes) =>
    [10, 2].map((gbps) => {
      const spec = specOf({ allocator: 'bitmap', policy: 'wrap' }, { gbps }, {}, { apertureBytes });
      const { counts, exposure } = run(spec, RUN_NS);
      const { potential, actual } = exposure;
      return [
        apertureBytes >= 2 ** 30 ? `${apertureBytes / 2 ** 30} GiB` : `${apertureBytes / 2 ** 20} MiB`,
        gbps,
        counts.flushesWrap!,
        figure(potential.longestWindowNs / 1e6, 2),
        figure(potential.peakPages),
        figure(actual.longestWindowNs / 1000, 1),
      ];
    }),
  );
  return table(
    ['aperture', 'offered Gb/s', 'laps', 'longest window, ms', 'most pages at once', 'longest with a cached entry, us'],
    rows,
  );
}

/** The charts of a live session. */
import type { Session } from '../../api/contract-types.ts';
import { Chart } from '../parts/chart.tsx';
import type { Bucket } from '../parts/decades.ts';
import { Histogram } from '../parts/histogram.tsx';
import { useDrawn } from '../use-drawn.ts';
import { CounterCharts } from './counter-charts.tsx';
import { ROW_NAMES, ROWS } from './rates.ts';
import type { LiveStore } from './store.ts';
import { VerdictTable } from './verdict-table.tsx';

/** Fixed at the first metrics; a session with other workloads is loaded anew. */
export function Charts({ store, session }: { store: LiveStore; session: Session }) {
  const { first: metrics } = store;
  const workloads = (metrics.workloads ?? []).map(({ id, name, kind }) => ({ name: name ?? id ?? '', kind }));
  const named = workloads.map(({ name }, i) => ({ name, dashed: i % 2 === 1 }));
  const carriers = store.carriers.map((i) => ({ name: workloads[i]?.name ?? '', colour: i, dashed: i % 2 === 1 }));
  const bad = Object.keys(metrics.verdicts ?? {})
    .slice(2)
    .map((name, i) => ({ name, colour: i, dashed: i % 2 === 1 }));
  const locks = (metrics.locks ?? []).map(({ name }, i) => ({ name, dashed: i % 2 === 1 }));
  return (
    <div class="grid">
      {store.carriers.length > 0 && (
        <Chart title="Throughput" unit="Gb/s" series={carriers} feed={store.feed('throughput')} />
      )}
      {named.length > 0 && (
        <Chart
          title="Operations"
          unit="/s"
          series={named}
          feed={store.feed('operations')}
          about="Packets and I/Os completed."
        />
      )}
      <Chart
        title="CPU by what it does"
        unit="%"
        stacked
        atLeast={100}
        about={`Of ${session.spec.machine.cpus} CPU${session.spec.machine.cpus === 1 ? '' : 's'}, by row of the literature's breakdown.`}
        series={[
          ...ROWS.map((row, i) => ({ name: ROW_NAMES[row], colour: i })),
          { name: 'driver and stack', colour: 9 },
        ]}
        feed={store.feed('cpu')}
      />
      <Chart title="IOTLB hit rate" unit="%" atLeast={1} series={[{ name: 'hits' }]} feed={store.feed('hitRate')} />
      <Chart
        title="Page-walk memory reads"
        unit=""
        series={[{ name: 'a look-up', colour: 1 }]}
        feed={store.feed('walkReads')}
        about="Table reads, for each look-up of the IOTLB."
      />
      <Chart title="Flush queue" unit="entries" series={[{ name: 'waiting', colour: 6 }]} feed={store.feed('queue')} />
      <Chart
        title="Invalidations"
        unit="/s"
        series={[
          { name: 'global', colour: 3 },
          { name: 'of a domain', colour: 4, dashed: true },
          { name: 'of pages', colour: 2 },
        ]}
        feed={store.feed('invalidations')}
      />
      <Chart
        title="Exposed pages now"
        unit="pages"
        series={[
          { name: 'potential', colour: 0 },
          { name: 'actual', colour: 1, dashed: true },
        ]}
        feed={store.feed('exposed')}
      />
      <Windows store={store} />
      {locks.length > 0 && (
        <Chart
          title="Waiting for locks"
          unit="%"
          series={locks}
          feed={store.feed('locks')}
          about="Of the time of one CPU."
        />
      )}
      {bad.length > 0 && (
        <Chart
          title="Accesses that got through"
          unit="/s"
          series={bad}
          feed={store.feed('bad')}
          about="Neither blocked nor allowed in full by a live mapping, by verdict."
        />
      )}
      <VerdictTable store={store} />
      <CounterCharts store={store} />
    </div>
  );
}

function Windows({ store }: { store: LiveStore }) {
  const { exposure } = useDrawn(store.metrics);
  const buckets = (kind: 'potential' | 'actual') => (exposure[kind]?.histogram ?? []) as Bucket[];
  return (
    <Histogram
      title="Exposure windows"
      kinds={[
        { name: 'potential', buckets: buckets('potential') },
        { name: 'actual', buckets: buckets('actual') },
      ]}
      about="How long an unmapped page stayed reachable."
    />
  );
}

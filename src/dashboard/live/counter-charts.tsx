/** Any counter of the metrics as a chart, chosen by name; the address keeps which. */
import { useId } from 'preact/hooks';
import { place, setQuery } from '../location.ts';
import { Card } from '../parts/bits.tsx';
import { Chart } from '../parts/chart.tsx';
import { chartsOf, onlyGrows } from './counter-feeds.ts';
import type { LiveStore } from './store.ts';

export function CounterCharts({ store }: { store: LiveStore }) {
  const field = useId();
  const metrics = store.first;
  const names = Object.keys(metrics.counters ?? {});
  const chosen = chartsOf(place.value.query).filter((name) => names.length === 0 || names.includes(name));
  const set = (next: readonly string[]) => setQuery({ charts: next.join(',') });
  return (
    <>
      {chosen.map((name) => (
        <Chart
          key={name}
          title={inWords(name)}
          unit={onlyGrows(name, metrics) ? '/s' : ''}
          series={[{ name, colour: 0 }]}
          feed={store.feed(name)}
          end={
            <button
              type="button"
              class="quiet"
              aria-label={`Remove ${inWords(name)}`}
              onClick={() => set(chosen.filter((other) => other !== name))}
            >
              Remove
            </button>
          }
        />
      ))}
      <Card title="Another chart">
        <div class="field">
          <label for={field}>Counter</label>
          <select
            id={field}
            value=""
            onChange={({ currentTarget }) => {
              if (currentTarget.value !== '') set([...chosen, currentTarget.value]);
              currentTarget.value = '';
            }}
          >
            <option value="">choose one of {names.length}</option>
            {names
              .filter((name) => !chosen.includes(name))
              .map((name) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
          </select>
        </div>
        <p class="faint small">Counters that only grow are drawn as a rate, all others as they are.</p>
      </Card>
    </>
  );
}

/** `nodesVisited` -> `Nodes visited`. */
function inWords(name: string): string {
  const words = name.replace(/[A-Z]+/g, (capital) => ` ${capital.toLowerCase()}`);
  return words.charAt(0).toUpperCase() + words.slice(1);
}

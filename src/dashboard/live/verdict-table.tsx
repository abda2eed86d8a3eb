/** How many accesses got which verdict, from harmless to worst, in all and lately. */
import { count, figure } from '../format.ts';
import { verdictVariable } from '../palette.ts';
import { Card } from '../parts/bits.tsx';
import { useDrawn } from '../use-drawn.ts';
import type { LiveStore } from './store.ts';

const MEANING: Record<string, string> = {
  ok: 'allowed by a live mapping',
  fault: 'blocked',
  subpage: 'allowed, beside the mapped bytes',
  unprotected: 'nothing stood in between',
  stale: 'after unmap, page not reused',
  'stale-reused': 'after unmap, page given to another buffer',
  misdirected: 'after unmap, another mapping stands there',
  'stale-cross-tenant': 'after unmap, page belongs to another tenant',
};

export function VerdictTable({ store }: { store: LiveStore }) {
  const { verdicts, verdictsPerSecond } = useDrawn(store.metrics);
  return (
    <Card title="Verdicts on accesses">
      <table class="tight verdicts">
        <caption class="hidden-text">Accesses by verdict</caption>
        <thead>
          <tr>
            <th scope="col">verdict</th>
            <th scope="col" class="number">
              in all
            </th>
            <th scope="col" class="number">
              a second
            </th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(verdicts).map(([verdict, total], i) => (
            <tr key={verdict} class={total === 0 ? 'faint' : undefined}>
              <th scope="row">
                <span class="swatch area" style={{ '--colour': verdictVariable(verdict) }} aria-hidden="true" />
                {verdict} <span class="faint">{MEANING[verdict] ?? ''}</span>
              </th>
              <td class="number">
                <span class="steady">{count(total)}</span>
              </td>
              <td class="number">
                <span class="steady">{figure(verdictsPerSecond[i])}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

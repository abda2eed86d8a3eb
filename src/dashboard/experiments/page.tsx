/** The experiments of this server, and a new one. */
import './experiments.css';
import { useEffect } from 'preact/hooks';
import type { ExperimentPage, ExperimentSummary } from '../../api/contract-types.ts';
import { api, problemOf } from '../api.ts';
import { count, instant, share } from '../format.ts';
import { setQuery } from '../location.ts';
import type { PageProps } from '../pages.ts';
import { Card, Empty, ProblemNote, StateMark } from '../parts/bits.tsx';
import { confirm } from '../parts/confirmation.tsx';
import { Table } from '../parts/table.tsx';
import { hashOf } from '../router.ts';
import { tell } from '../tell.ts';
import { useLoad } from '../use-load.ts';
import { Create } from './create.tsx';

const EVERY_MS = 1000;
const STATES = ['queued', 'running', 'finished', 'cancelled', 'failed'];

export const isActive = ({ state }: { state: string }): boolean => state === 'queued' || state === 'running';
export const nameOf = ({ id, name }: { id: string; name?: string }): string => name ?? id;
export const experimentPath = (name: string): string => `/v1/experiments/${encodeURIComponent(name)}`;

export function Progress({ experiment: { progress, jobs, state } }: { experiment: ExperimentSummary }) {
  return (
    <span class="experiment-progress">
      <progress max={1} value={progress} aria-label={`${share(progress)} of the jobs`} />
      <span class="small">
        {count(jobs.finished + jobs.failed)} of {count(jobs.total)}
        {jobs.cached > 0 ? `, ${count(jobs.cached)} known before` : ''}
        {jobs.failed > 0 ? `, ${count(jobs.failed)} failed` : ''}
        {state === 'cancelled' ? ', cancelled' : ''}
      </span>
    </span>
  );
}

/** Cancels one that is active, removes one that has ended. @returns whether it was done */
export async function endExperiment(experiment: ExperimentSummary): Promise<boolean> {
  const name = nameOf(experiment);
  const active = isActive(experiment);
  const sure = await confirm(
    active
      ? { title: `Cancel ${name}?`, text: 'It keeps the results that it has.', action: 'Cancel it' }
      : { title: `Remove ${name}?`, text: 'Its results go with it.', action: 'Remove it' },
  );
  if (!sure) return false;
  try {
    await api.delete(experimentPath(experiment.id));
    tell(active ? `${name} was cancelled.` : `${name} is gone.`);
    return true;
  } catch (error) {
    tell(problemOf(error).detail, 'failed');
    return false;
  }
}

export default function ExperimentsPage({ place }: PageProps) {
  const { state = '', preset } = place.query;
  const list = useLoad(() => api.get<ExperimentPage>('/v1/experiments', { limit: 200, state }), state);
  const items = [...(list.data.value?.items ?? [])].reverse();
  const active = items.some(isActive);
  useEffect(() => {
    if (!active) return;
    const again = setInterval(() => {
      if (!document.hidden) void list.reload();
    }, EVERY_MS);
    return () => clearInterval(again);
  }, [active]);
  return (
    <>
      <div class="head">
        <h1 tabIndex={-1}>Experiments</h1>
        <div class="end">
          <label for="experiment-state">State</label>
          <select
            id="experiment-state"
            value={state}
            onChange={(event) => setQuery({ state: event.currentTarget.value })}
          >
            <option value="">any</option>
            {STATES.map((each) => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
          <a class="button primary" href={hashOf('/new-experiment')}>
            New experiment
          </a>
        </div>
      </div>
      <ProblemNote problem={list.problem.value} />
      <Create preset={preset} onMade={() => void list.reload()} />
      <Card title="All of them">
        {items.length === 0 ? (
          <Empty>
            {list.loading.value ? 'Loading …' : 'None yet. A preset above is a start: it runs in some seconds.'}
          </Empty>
        ) : (
          <Table
            caption="Experiments, the newest first"
            rows={items}
            keyOf={({ id }) => id}
            columns={[
              {
                name: 'Name',
                head: true,
                cell: (each) => <a href={hashOf(`/experiments/${nameOf(each)}`)}>{nameOf(each)}</a>,
              },
              { name: 'State', cell: ({ state: now }) => <StateMark state={now} /> },
              { name: 'Jobs', cell: (each) => <Progress experiment={each} /> },
              { name: 'Begun', cell: ({ createdAt }) => instant(createdAt) },
              { name: 'Title', cell: ({ title }) => title ?? '' },
              {
                name: '',
                cell: (each) => (
                  <button type="button" onClick={async () => (await endExperiment(each)) && list.reload()}>
                    {isActive(each) ? 'Cancel' : 'Remove'}
                    <span class="hidden-text"> {nameOf(each)}</span>
                  </button>
                ),
              },
            ]}
          />
        )}
      </Card>
    </>
  );
}

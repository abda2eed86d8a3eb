/** A session while it runs: what it does now, drawn as it happens, and all that can be done with it. */
import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { Metrics, Run, RunPage, Session } from '../../api/contract-types.ts';
import { api, sessionPath } from '../api.ts';
import type { PageProps } from '../pages.ts';
import { Card, ProblemNote } from '../parts/bits.tsx';
import { SessionTabs } from '../parts/session-tabs.tsx';
import { PolicyOutlook } from '../sessions/policy-outlook.tsx';
import { useStream } from '../stream.ts';
import { useLoad } from '../use-load.ts';
import { Charts } from './charts.tsx';
import { Head } from './head.tsx';
import { HeadFigures } from './head-figures.tsx';
import { LogView } from './log-view.tsx';
import { RunsCard } from './runs-card.tsx';
import { SnapshotsCard } from './snapshots-card.tsx';
import { LiveStore } from './store.ts';

const WAKING_MS = 1_500;

interface Start {
  session: Session;
  metrics: Metrics;
  runs: Run[];
}

async function start(id: string): Promise<Start> {
  const [session, metrics, { items }] = await Promise.all([
    api.get<Session>(sessionPath(id)),
    api.get<Metrics>(sessionPath(id, 'metrics')),
    api.get<RunPage>(sessionPath(id, 'runs'), { limit: 1000 }),
  ]);
  return { session, metrics, runs: items };
}

export default function LivePage({ parameters }: PageProps) {
  const name = parameters.session as string;
  const begun = useLoad(() => start(name), name);
  const data = begun.data.value;
  return data === null ? (
    <>
      <div class="head">
        <h1 tabIndex={-1}>{name}</h1>
      </div>
      <SessionTabs session={name} />
      <ProblemNote problem={begun.problem.value} />
      {begun.problem.value === null && <p class="faint">Loading …</p>}
    </>
  ) : (
    // Another shape of the session, as after workloads were added, needs other charts.
    <Live key={data.session.id} name={name} start={data} />
  );
}

function Live({ name, start: { session: first, metrics, runs } }: { name: string; start: Start }) {
  const session = useSignal(first);
  const read = () =>
    api.get<Session>(sessionPath(first.id)).then(
      (now) => {
        session.value = now;
      },
      () => undefined,
    );
  const store = useMemo(
    () =>
      new LiveStore(first, metrics, runs, (state) => {
        if (state !== session.peek().state) void read();
      }),
    [],
  );
  const stream = useStream(first.id, store);
  useEffect(() => {
    // To look at it has woken it.
    const timer = first.state === 'idle' ? undefined : setTimeout(() => void read(), WAKING_MS);
    return () => {
      clearTimeout(timer);
      store.end();
    };
  }, []);

  return (
    <>
      <Head name={name} session={session} stream={stream} store={store} />
      <SessionTabs session={name} />
      {session.value.paused !== undefined && (
        <p class="note warn">
          Paused: {session.value.paused.quota.name} has reached {session.value.paused.quota.limit}.
        </p>
      )}
      <HeadFigures store={store} />
      <div class="grid">
        <RunsCard session={session.value} store={store} />
        <Card title="Policy">
          <PolicyOutlook policy={session.value.policy} />
        </Card>
        <SnapshotsCard session={session.value} />
      </div>
      <Charts store={store} session={session.value} />
      <LogView store={store} />
    </>
  );
}

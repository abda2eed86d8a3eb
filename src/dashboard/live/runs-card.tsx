/** Runs: start one, see how it goes, cancel it; or let time pass, or begin the session anew. */
import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import type { AdvanceResult, Run, RunRequest, Session } from '../../api/contract-types.ts';
import { api, problemOf, sessionPath } from '../api.ts';
import { count, duration, figure } from '../format.ts';
import { Card, StateMark, Steady } from '../parts/bits.tsx';
import { confirm } from '../parts/confirmation.tsx';
import { Table } from '../parts/table.tsx';
import { useShortcut } from '../shortcuts.ts';
import { tell } from '../tell.ts';
import { requestOf, STOPS, type Stop } from './run-request.ts';
import type { LiveStore } from './store.ts';

const SHOWN = 5;

export function RunsCard({ session: { id }, store }: { session: Session; store: LiveStore }) {
  const field = useId();
  const stop = useSignal<Stop>('forNs');
  const amount = useSignal('100 ms');
  const metric = useSignal('exposure.staleAccesses');
  const problem = useSignal<string | null>(null);
  const runs = store.runs.value;
  const active = runs.find(isActive);

  async function act(what: () => Promise<unknown>): Promise<void> {
    try {
      await what();
      problem.value = null;
    } catch (error) {
      problem.value = problemOf(error).detail;
    }
  }
  const begin = () =>
    act(async () => {
      const request = requestOf(stop.value, amount.value, metric.value);
      if ('problem' in request) throw new Error(request.problem);
      store.takeRun(await api.post<Run>(sessionPath(id, 'runs'), request satisfies RunRequest));
    });
  const cancel = () =>
    act(async () => {
      if (active !== undefined) await api.delete(sessionPath(id, 'runs', active.id));
    });
  const advance = () =>
    act(async () => {
      const request = requestOf('forNs', amount.value, '');
      if ('problem' in request || stop.value !== 'forNs') throw new Error('Say how long, as a time.');
      const { timeNs } = await api.post<AdvanceResult>(sessionPath(id, 'advance'), { ns: request.forNs });
      tell(`It is ${duration(timeNs)}.`);
    });
  const reset = () =>
    act(async () => {
      const yes = await confirm({
        title: 'Begin anew?',
        text: 'The session goes back to its spec at time 0. Its runs are forgotten; snapshots stay.',
        action: 'Reset',
      });
      if (!yes) return;
      await api.post(sessionPath(id, 'reset'));
      tell('The session begins anew.');
    });
  useShortcut('r', 'start a run', () => void (active === undefined && begin()));
  useShortcut('c', 'cancel the run', () => void cancel());

  return (
    <Card
      title="Runs"
      end={
        <button type="button" class="quiet" onClick={() => void reset()} disabled={active !== undefined}>
          Reset
        </button>
      }
    >
      <form
        class="run-form"
        onSubmit={(event) => {
          event.preventDefault();
          void begin();
        }}
      >
        <div class="field">
          <label for={`${field}-stop`}>Run</label>
          <select
            id={`${field}-stop`}
            value={stop.value}
            onChange={({ currentTarget }) => choose(currentTarget.value as Stop)}
          >
            {Object.entries(STOPS).map(([name, { words }]) => (
              <option key={name} value={name}>
                {words}
              </option>
            ))}
          </select>
        </div>
        {STOPS[stop.value].metric && (
          <div class="field">
            <label for={`${field}-metric`}>Metric</label>
            <input
              id={`${field}-metric`}
              type="text"
              value={metric.value}
              onInput={({ currentTarget }) => (metric.value = currentTarget.value)}
            />
          </div>
        )}
        <div class="field">
          <label for={`${field}-amount`}>{STOPS[stop.value].amount}</label>
          <input
            id={`${field}-amount`}
            type="text"
            value={amount.value}
            aria-invalid={problem.value !== null}
            aria-describedby={`${field}-problem`}
            onInput={({ currentTarget }) => (amount.value = currentTarget.value)}
          />
        </div>
        <div class="row">
          <button type="submit" class="primary" disabled={active !== undefined}>
            Start
          </button>
          <button type="button" onClick={() => void cancel()} disabled={active === undefined}>
            Cancel
          </button>
          <button
            type="button"
            onClick={() => void advance()}
            disabled={active !== undefined || stop.value !== 'forNs'}
            title="Let simulated time pass without traffic"
          >
            Advance
          </button>
        </div>
        <p id={`${field}-problem`} class="problem-text" role="alert">
          {problem.value}
        </p>
      </form>
      {active !== undefined && <Progress run={active} />}
      {runs.length > 0 && (
        <Table
          caption="Newest runs"
          tight
          rows={runs.slice(0, SHOWN)}
          keyOf={(run) => run.id}
          columns={[
            { name: 'run', head: true, cell: (run) => run.id },
            { name: 'state', cell: (run) => <StateMark state={run.state} /> },
            { name: 'until', number: true, cell: (run) => <Steady text={duration(run.timeNs)} /> },
            { name: 'Gb/s', number: true, cell: (run) => <Steady text={figure(resultOf(run)?.throughputGbps)} /> },
            { name: 'operations', number: true, cell: (run) => <Steady text={count(resultOf(run)?.operations)} /> },
          ]}
        />
      )}
      {runs.length > SHOWN && <p class="faint small">and {runs.length - SHOWN} before.</p>}
    </Card>
  );

  function choose(next: Stop): void {
    stop.value = next;
    amount.value = STOPS[next].example;
    problem.value = null;
  }
}

function isActive({ state }: Run): boolean {
  return state === 'running' || state === 'queued';
}

/** What is known of a run that goes on is of when the page was opened; the newest stands in the figures above. */
function resultOf(run: Run): Run['result'] {
  return isActive(run) ? null : run.result;
}

function Progress({ run: { id, progress, timeNs } }: { run: Run }) {
  const label = `${id}: ${progress === null ? 'running' : `${Math.round(progress * 100)} %`}, at ${duration(timeNs)}`;
  return (
    <div class="stack">
      <progress max={1} {...(progress === null ? {} : { value: progress })} aria-label={label} />
      <span class="faint small">
        <Steady text={label} />
      </span>
    </div>
  );
}

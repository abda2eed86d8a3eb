/** Two sessions side by side, on one clock. */
import './compare.css';
import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { Catalog, Problem, Run, RunResult, Session, SessionPage } from '../../api/contract-types.ts';
import { api, problemOf, sessionPath } from '../api.ts';
import { duration, withUnit } from '../format.ts';
import { setQuery } from '../location.ts';
import type { PageProps } from '../pages.ts';
import { Card, Empty, ProblemNote, StateMark } from '../parts/bits.tsx';
import { Chart } from '../parts/chart.tsx';
import { Feed } from '../parts/feed.ts';
import { Table } from '../parts/table.tsx';
import { hashOf } from '../router.ts';
import { useShortcut } from '../shortcuts.ts';
import { tell } from '../tell.ts';
import { useLoad } from '../use-load.ts';
import { type Figures, rowsOf, specDifferences } from './figures.ts';
import { knobsOf, nameOf, specWith } from './knobs.ts';
import { Lockstep, type Sides, type Turn } from './lockstep.ts';

/**
 * A turn is a run of its own, and what is on its way at its end is dropped: under `strict` on `thread-2008`, turns of 1 ms carry 2 % more
 * than one run of 20 ms, turns of 5 ms 0.2 %.
 */
const STEPS = [
  [1_000_000, '1 ms'],
  [5_000_000, '5 ms'],
  [20_000_000, '20 ms'],
  [100_000_000, '100 ms'],
] as const;
const USUAL_STEP = 5_000_000;

/** One a chart: what is drawn of a span. */
const DRAWN = [
  ['throughput', ({ throughputGbps }: Figures) => throughputGbps],
  ['iops', ({ iops }: Figures) => iops],
  ['open', ({ openPages }: Figures) => openPages],
  ['reachable', ({ reachablePages }: Figures) => reachablePages],
  ['cycles', ({ cyclesPerOperation }: Figures) => cyclesPerOperation ?? Number.NaN],
  ['hits', ({ hits, lookups }: Figures) => (lookups === 0 ? Number.NaN : (100 * hits) / lookups)],
  ['stale', ({ staleAccesses }: Figures) => staleAccesses],
  ['queue', ({ queueEntries }: Figures) => queueEntries],
] as const;
type Drawn = (typeof DRAWN)[number][0];

export default function ComparePage({ place }: PageProps) {
  const { a, b } = place.query;
  const sessions = useLoad(() => api.get<SessionPage>('/v1/sessions', { limit: 200 }), '');
  const items = sessions.data.value?.items ?? [];
  const choice = (side: 'a' | 'b') => (
    <div class="field">
      <label for={`compare-${side}`} class={`compare-side ${side}`}>
        <b>{side.toUpperCase()}</b> session
      </label>
      <select
        id={`compare-${side}`}
        value={place.query[side] ?? ''}
        onChange={(event) => setQuery({ [side]: event.currentTarget.value })}
      >
        <option value="">choose one</option>
        {items.map(({ id, name }) => (
          <option key={id} value={name ?? id}>
            {name ?? id}
          </option>
        ))}
        {place.query[side] !== undefined && !items.some(({ id, name }) => place.query[side] === (name ?? id)) && (
          <option value={place.query[side]}>{place.query[side]}</option>
        )}
      </select>
    </div>
  );
  return (
    <>
      <div class="head">
        <h1 tabIndex={-1}>Side by side</h1>
      </div>
      <ProblemNote problem={sessions.problem.value} />
      <div class="compare-two">
        <Card title="Two sessions">
          <div class="form">
            {choice('a')}
            {choice('b')}
          </div>
        </Card>
        <Make onMade={() => void sessions.reload()} />
      </div>
      {a && b ? (
        a === b ? (
          <Empty>Choose two different sessions.</Empty>
        ) : (
          <Both key={`${a} ${b}`} a={a} b={b} stepNs={Number(place.query.step) || USUAL_STEP} />
        )
      ) : (
        <Empty>
          Choose two sessions, or make two that differ in one thing. Both then run in turns of the same simulated time.
        </Empty>
      )}
    </>
  );
}

/** Both from one preset, with one knob between them. */
function Make({ onMade }: { onMade(): void }) {
  const catalog = useLoad(() => api.get<Catalog>('/v1/catalog'), '');
  const preset = useSignal('thread-2008');
  const path = useSignal('policy.invalidation.kind');
  const values = useSignal<readonly [string, string] | null>(null);
  const problem = useSignal<Problem | null>(null);
  const knobs = useMemo(() => (catalog.data.value === null ? [] : knobsOf(catalog.data.value)), [catalog.data.value]);
  const knob = knobs.find((each) => each.path === path.value);
  const [left, right] = values.value ?? knob?.usual ?? ['', ''];
  const make = async () => {
    if (knob === undefined) return;
    problem.value = null;
    const stamp = Math.floor(Math.random() * 36 ** 4).toString(36);
    const made: Session[] = [];
    try {
      for (const value of [left, right])
        made.push(
          await api.post<Session>('/v1/sessions', specWith(preset.value, knob, value, nameOf(knob, value, stamp))),
        );
      setQuery({ a: made[0]?.name, b: made[1]?.name });
      tell(`Made ${made[0]?.name} and ${made[1]?.name}.`);
      onMade();
    } catch (error) {
      problem.value = problemOf(error);
      // One of two is of no use.
      for (const { id } of made) await api.delete(sessionPath(id)).catch(() => {});
    }
  };
  const value = (side: 0 | 1) => {
    const set = (text: string) => {
      values.value = side === 0 ? [text, right] : [left, text];
    };
    const now = side === 0 ? left : right;
    const id = `compare-value-${side}`;
    return (
      <div class="field">
        <label for={id} class={`compare-side ${side === 0 ? 'a' : 'b'}`}>
          <b>{side === 0 ? 'A' : 'B'}</b> has
        </label>
        {knob !== undefined && knob.values.length > 0 ? (
          <select id={id} value={now} onChange={(event) => set(event.currentTarget.value)}>
            {knob.values.map((each) => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        ) : (
          <input
            id={id}
            type="number"
            min={1}
            step={1}
            required
            value={now}
            onInput={(event) => set(event.currentTarget.value)}
          />
        )}
      </div>
    );
  };
  return (
    <Card title="Or make both">
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void make();
        }}
      >
        <div class="form">
          <div class="field">
            <label for="compare-preset">From</label>
            <select
              id="compare-preset"
              value={preset.value}
              onChange={(event) => (preset.value = event.currentTarget.value)}
            >
              {(catalog.data.value?.presets ?? []).map(({ kind }) => (
                <option key={kind} value={kind}>
                  {kind}
                </option>
              ))}
            </select>
          </div>
          <div class="field">
            <label for="compare-knob">Differing in</label>
            <select
              id="compare-knob"
              value={path.value}
              onChange={(event) => {
                path.value = event.currentTarget.value;
                values.value = null;
              }}
            >
              {knobs.map((each) => (
                <option key={each.path} value={each.path}>
                  {each.name}
                </option>
              ))}
            </select>
          </div>
          {value(0)}
          {value(1)}
        </div>
        <div class="row">
          <button type="submit" disabled={knob === undefined}>
            Make both
          </button>
        </div>
      </form>
      <ProblemNote problem={problem.value ?? catalog.problem.value} />
    </Card>
  );
}

/** What a lockstep needs, over HTTP; records of runs are removed when they have been read. */
function sidesOf(names: readonly [string, string], isEnded: () => boolean): Sides {
  return {
    timeOf: async (side) => (await api.get<Session>(sessionPath(names[side] as string))).timeNs,
    async runUntil(side, untilNs) {
      const session = names[side] as string;
      let run = await api.post<Run>(sessionPath(session, 'runs'), { untilNs });
      for (let wait = 10; run.state === 'queued' || run.state === 'running'; wait = Math.min(200, wait * 1.5)) {
        if (isEnded()) {
          await api.delete(sessionPath(session, 'runs', run.id));
          throw new Error('stopped');
        }
        await new Promise((resolve) => setTimeout(resolve, wait));
        run = await api.get<Run>(sessionPath(session, 'runs', run.id));
      }
      if (run.state !== 'finished') throw new Error(run.problem?.detail ?? `The run of ${session} was ${run.state}.`);
      void api.delete(sessionPath(session, 'runs', run.id)).catch(() => {});
      return run.result as RunResult;
    },
  };
}

function Both({ a, b, stepNs }: { a: string; b: string; stepNs: number }) {
  const specs = useLoad(
    () => Promise.all([api.get<Session>(sessionPath(a)), api.get<Session>(sessionPath(b))]),
    `${a} ${b}`,
  );
  const running = useSignal(false);
  /** The turn in progress is the last one. */
  const stopping = useSignal(false);
  const turn = useSignal<Turn | null>(null);
  const problem = useSignal<Problem | null>(null);
  const turns = useSignal(0);
  const feeds = useMemo(
    () => Object.fromEntries(DRAWN.map(([name]) => [name, new Feed(2, 1000)])) as Record<Drawn, Feed>,
    [],
  );
  const ended = useRef(false);
  const lockstep = useMemo(() => new Lockstep(sidesOf([a, b], () => ended.current)), []);
  const busy = useRef(false);
  const step = useRef(stepNs);
  step.current = stepNs;
  useEffect(
    () => () => {
      ended.current = true;
    },
    [],
  );

  const oneTurn = async () => {
    const now = await lockstep.turn(step.current);
    if (ended.current) return;
    turn.value = now;
    turns.value++;
    for (const [name, of] of DRAWN) feeds[name].add(now.timeNs / 1e9, now.span.map(of));
  };
  const go = async (once: boolean) => {
    if (busy.current) return;
    busy.current = true;
    running.value = true;
    problem.value = null;
    try {
      do await oneTurn();
      while (!once && !stopping.peek() && !ended.current);
    } catch (error) {
      // Somebody else may have moved one of them: the next turn aligns anew.
      lockstep.timeNs = -1;
      if (!ended.current) problem.value = problemOf(error);
    }
    running.value = false;
    stopping.value = false;
    busy.current = false;
  };
  const toggle = () => {
    if (running.peek()) stopping.value = true;
    else void go(false);
  };
  const forget = () => {
    lockstep.forget();
    turn.value = null;
    turns.value = 0;
    for (const feed of Object.values(feeds)) feed.clear();
  };
  useShortcut(' ', 'run both, or stop', toggle);
  useShortcut('.', 'one turn of both', () => void go(true));

  const found = specs.data.value;
  const differences = found === null ? [] : specDifferences(shown(found[0]), shown(found[1]));
  const rows = turn.value === null ? [] : rowsOf(turn.value.all[0], turn.value.all[1]);
  const names = [{ name: `A ${a}` }, { name: `B ${b}`, dashed: true }];
  const hasIops = rows.some(({ name }) => name === 'I/Os');
  return (
    <>
      <ProblemNote problem={specs.problem.value ?? problem.value} />
      <Card title="One clock" end={turn.value !== null && <span>{`Both at ${duration(turn.value.timeNs)}`}</span>}>
        <div class="compare-controls">
          <button type="button" class="primary" onClick={toggle} disabled={stopping.value}>
            {running.value ? 'Stop' : 'Run both'}
          </button>
          <button type="button" onClick={() => void go(true)} disabled={running.value}>
            One turn
          </button>
          <div class="field">
            <label for="compare-step">A turn is</label>
            <select
              id="compare-step"
              value={String(stepNs)}
              onChange={(event) => setQuery({ step: event.currentTarget.value })}
            >
              {STEPS.map(([ns, text]) => (
                <option key={ns} value={String(ns)}>
                  {text}
                </option>
              ))}
            </select>
          </div>
          <button type="button" onClick={forget} disabled={running.value || turn.value === null}>
            Begin anew
          </button>
          <StateMark
            state={running.value ? 'running' : 'idle'}
            text={running.value ? 'running' : turns.value === 1 ? '1 turn' : `${turns.value} turns`}
          />
          <span class="small">
            <a href={hashOf(`/sessions/${a}`)}>{a}</a> · <a href={hashOf(`/sessions/${b}`)}>{b}</a>
          </span>
        </div>
        {found !== null &&
          (differences.length === 0 ? (
            <p class="note">Both have the same spec: what differs can only be what was done to them before.</p>
          ) : (
            <Table
              caption="What differs in the specs"
              tight
              rows={differences.slice(0, 12)}
              keyOf={({ path }) => path}
              columns={[
                { name: 'differs', head: true, cell: ({ path }) => <code>{path}</code> },
                { name: 'A', cell: (row) => clipped(row.a) },
                { name: 'B', cell: (row) => clipped(row.b) },
              ]}
            />
          ))}
        {differences.length > 12 && <p class="faint small">and {differences.length - 12} more members</p>}
      </Card>
      {rows.length > 0 && (
        <Card
          title="Since the comparison began"
          end={
            <span class="faint small">
              {duration((turn.value?.all[0].seconds ?? 0) * 1e9)} of simulated time; ✓ is preferable
            </span>
          }
        >
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no mouse scrolls it by keys */}
          <section class="scroll" tabIndex={0} aria-label="Figures of both">
            <table>
              <caption class="hidden-text">Figures of both, and which is preferable</caption>
              <thead>
                <tr>
                  <th scope="col">figure</th>
                  <th scope="col" class="number">
                    A {a}
                  </th>
                  <th scope="col" class="number">
                    B {b}
                  </th>
                  <th scope="col">beside each other</th>
                </tr>
              </thead>
              <tbody>
                {rows.map((row) => (
                  <tr key={row.name}>
                    <th scope="row">{row.name}</th>
                    <td class={`number ${row.better === 'a' ? 'better' : ''}`}>{withUnit(row.a, row.unit)}</td>
                    <td class={`number ${row.better === 'b' ? 'better' : ''}`}>{withUnit(row.b, row.unit)}</td>
                    <td>{row.words}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
        </Card>
      )}
      <div class="grid">
        <Chart title="Throughput" unit="Gb/s" series={names} feed={feeds.throughput} />
        <Chart
          title="Unmapped, not flushed"
          unit="pages"
          series={names}
          feed={feeds.open}
          about="Mean over a turn of the pages that the policy leaves open."
        />
        <Chart
          title="Unmapped, within reach"
          unit="pages"
          series={names}
          feed={feeds.reachable}
          about="Mean over a turn of those that something still translates."
        />
        <Chart title="Stale accesses" unit="" series={names} feed={feeds.stale} about="In each turn." />
        <Chart title="Cycles an operation" unit="cycles" series={names} feed={feeds.cycles} />
        <Chart title="IOTLB hits" unit="%" atLeast={100} series={names} feed={feeds.hits} />
        <Chart title="Flush queue" unit="entries" series={names} feed={feeds.queue} />
        {hasIops && <Chart title="I/Os" unit="IOPS" series={names} feed={feeds.iops} />}
      </div>
    </>
  );
}

/** Of a session, what one decides on: names are no difference. */
function shown({ spec }: Session): unknown {
  const { name: _name, title: _title, ...rest } = spec;
  return rest;
}

const clipped = (text: string) => (text.length > 60 ? <span title={text}>{text.slice(0, 58)} …</span> : text);

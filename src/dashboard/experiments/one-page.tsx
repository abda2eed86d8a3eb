/** One experiment: how far it is, the frontier, all arms, and one of them looked at closely. */
import './experiments.css';
import { useEffect } from 'preact/hooks';
import type { Experiment, ExperimentArmResult, ExperimentResults, Session } from '../../api/contract-types.ts';
import { api, download, problemOf, root } from '../api.ts';
import type { JsonObject } from '../form/schema.ts';
import { count, instant } from '../format.ts';
import { go, setQuery } from '../location.ts';
import type { PageProps } from '../pages.ts';
import { Card, Empty, ProblemNote, StateMark } from '../parts/bits.tsx';
import { hashOf } from '../router.ts';
import { packSpec, type Spec } from '../sessions/spec.ts';
import { tell } from '../tell.ts';
import { token } from '../token.ts';
import { useLoad } from '../use-load.ts';
import { frontierPlot, scenesOf, standingOf } from './frontier.ts';
import { FrontierView } from './frontier-view.tsx';
import { endExperiment, experimentPath, isActive, nameOf, Progress } from './page.tsx';
import { againOf } from './request.ts';
import {
  figureAt,
  figureText,
  METRICS,
  metricName,
  sentenceOf,
  spreadText,
  valueText,
  variedText,
  verdictsOf,
} from './words.ts';

const EVERY_MS = 1000;
const COLUMNS = [
  'throughputGbps',
  'iops',
  'operationsPerSecond',
  'cyclesPerOperation',
  'cpuUtilisation',
  'exposure.pageSeconds',
  'exposure.longestWindowNs',
  'exposure.staleAccesses',
];

export default function ExperimentPage({ parameters, place }: PageProps) {
  const name = parameters.experiment as string;
  const path = experimentPath(name);
  const loaded = useLoad(
    () => Promise.all([api.get<Experiment>(path), api.get<ExperimentResults>(`${path}/results`)]),
    name,
  );
  const [experiment, results] = loaded.data.value ?? [null, null];
  const active = experiment !== null && isActive(experiment);
  useEffect(() => {
    if (!active) return;
    const again = setInterval(() => {
      if (!document.hidden) void loaded.reload();
    }, EVERY_MS);
    return () => clearInterval(again);
  }, [active]);
  const changed = experiment === null ? undefined : packSpec(againOf(experiment.request as unknown as JsonObject));
  const linkOf = (arm: string) => hashOf(place.path, { ...place.query, arm });
  const chosen = results?.arms.find(({ id }) => id === place.query.arm);
  return (
    <>
      <div class="head">
        <h1 tabIndex={-1}>{experiment?.title ?? name}</h1>
        {experiment !== null && (
          <>
            <StateMark state={experiment.state} />
            <Progress experiment={experiment} />
            <div class="end">
              {changed !== undefined && (
                <a class="button" href={hashOf('/new-experiment', { request: changed })}>
                  Change it and run again
                </a>
              )}
              <button
                type="button"
                onClick={async () => {
                  if (!(await endExperiment(experiment))) return;
                  if (active) void loaded.reload();
                  else go('/experiments');
                }}
              >
                {active ? 'Cancel' : 'Remove'}
              </button>
            </div>
          </>
        )}
      </div>
      <p class="small">
        <a href={hashOf('/experiments')}>All experiments</a>
        {experiment !== null &&
          ` · ${experiment.request.preset ?? 'a request of its own'} · begun ${instant(experiment.createdAt)} · core ${experiment.coreVersion}`}
      </p>
      <ProblemNote problem={loaded.problem.value} />
      {experiment !== null && <Files path={path} name={name} />}
      {results !== null && (
        <>
          {!results.complete && (
            <p class="note warn">Not all jobs have a result yet: figures and verdicts are those of what there is.</p>
          )}
          {results.answer !== undefined && <Answer answer={results.answer} />}
          {results.reproduction !== undefined && <Reproduction reproduction={results.reproduction} />}
          <Frontiers results={results} scene={Number(place.query.scene) || 0} chosen={chosen?.id} linkOf={linkOf} />
          <Arms results={results} chosen={chosen?.id} linkOf={linkOf} />
          {chosen !== undefined && (
            <Arm arm={chosen} results={results} experiment={experiment as Experiment} linkOf={linkOf} />
          )}
          <Knobs results={results} />
        </>
      )}
    </>
  );
}

/** Links where nobody asks for a token; a browser sends none with a link, so then they are saved as files. */
function Files({ path, name }: { path: string; name: string }) {
  const files = [
    ['Report', `${path}/report`, { format: 'html' }, `${name}.html`],
    ['Markdown', `${path}/report`, { format: 'markdown' }, `${name}.md`],
    ['CSV', `${path}/results`, { format: 'csv' }, `${name}.csv`],
    ['Parquet', `${path}/results`, { format: 'parquet' }, `${name}.parquet`],
    ['JSON', `${path}/results`, { format: 'json', rows: 'true' }, `${name}.json`],
  ] as const;
  return (
    <nav class="experiment-links" aria-label="Report and results as files">
      {files.map(([title, from, query, file]) =>
        token.value === '' ? (
          <a
            key={title}
            class="button"
            href={`${root}${from}?${new URLSearchParams(query)}`}
            target="_blank"
            rel="noopener"
          >
            {title}
          </a>
        ) : (
          <button
            key={title}
            type="button"
            onClick={() =>
              download(from, file, query).catch((error: unknown) => tell(problemOf(error).detail, 'failed'))
            }
          >
            {title}
          </button>
        ),
      )}
    </nav>
  );
}

function Answer({ answer }: { answer: NonNullable<ExperimentResults['answer']> }) {
  return (
    <Card title={answer.question}>
      {answer.sentences.map((sentence) => (
        <p key={sentence}>{sentence}</p>
      ))}
      <Rows caption="What the answer rests on" head={answer.head} rows={answer.rows} />
      <p class="faint small">Asked by: {answer.source}</p>
    </Card>
  );
}

function Rows({
  caption,
  head,
  rows,
}: {
  caption: string;
  head: readonly string[];
  rows: readonly (readonly string[])[];
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no mouse scrolls it by keys
    <section class="scroll" tabIndex={0} aria-label={caption}>
      <table>
        <caption class="hidden-text">{caption}</caption>
        <thead>
          <tr>
            {head.map((each) => (
              <th key={each} scope="col">
                {each}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.join()}>
              {row.map((cell, at) => (at === 0 ? <th scope="row">{cell}</th> : <td>{cell}</td>))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Reproduction({ reproduction }: { reproduction: NonNullable<ExperimentResults['reproduction']> }) {
  const rows = reproduction.rows.map((row) => {
    const text = (value: unknown) =>
      value === null || value === undefined
        ? '–'
        : typeof value === 'number'
          ? String(Number(value.toPrecision(4)))
          : String(value);
    return [
      text(row.id),
      text(row.title ?? row.name ?? row.what),
      text(row.published),
      text(row.simulated),
      text(row.verdict),
    ];
  });
  return (
    <Card title={reproduction.title}>
      <p class="faint small">{reproduction.citation}</p>
      <Rows
        caption="Published beside simulated"
        head={['row', 'what', 'published', 'simulated', 'verdict']}
        rows={rows}
      />
    </Card>
  );
}

interface Shown {
  results: ExperimentResults;
  chosen: string | undefined;
  linkOf(arm: string): string;
}

function Frontiers({ results, scene, chosen, linkOf }: Shown & { scene: number }) {
  const scenes = scenesOf(results);
  const plot = frontierPlot(results, scene);
  return (
    <Card
      title="Speed against exposure"
      end={
        scenes.length > 1 && (
          <span class="row">
            <label for="experiment-scene">Scene</label>
            <select
              id="experiment-scene"
              value={String(scene)}
              onChange={(event) => setQuery({ scene: event.currentTarget.value })}
            >
              {scenes.map(({ scene: of }, at) => (
                <option key={JSON.stringify(of)} value={String(at)}>
                  {variedText(of ?? {}) || `scene ${at + 1}`}
                </option>
              ))}
            </select>
          </span>
        )
      }
    >
      {plot === null ? (
        <Empty>Nothing to draw yet.</Empty>
      ) : (
        <>
          <FrontierView plot={plot} chosen={chosen} linkOf={linkOf} />
          <p class="small faint">
            Numbers are those of the table. ● on the frontier, ■ dominated, ▲ without protection, to be compared in
            speed alone.
            {scenes[scene]?.loadLimited === true
              ? ' All arms carry the same load, so speed is cycles per operation.'
              : ''}{' '}
            Lines are low and high over the seeds.
          </p>
        </>
      )}
    </Card>
  );
}

const STANDING = {
  frontier: 'frontier',
  dominated: 'dominated',
  control: 'control',
  unprotected: 'no protection',
  none: '',
};
const MARK = { frontier: 'ok', dominated: 'idle', control: 'warn', unprotected: 'warn', none: 'idle' };

function Arms({ results, chosen, linkOf }: Shown) {
  const { arms } = results;
  const columns = COLUMNS.filter((metric) => arms.some((arm) => (figureAt(arm, metric)?.high ?? 0) !== 0));
  const numberOf = (id: string) => arms.findIndex((arm) => arm.id === id) + 1;
  if (arms.length === 0) return null;
  return (
    <Card title="Arms" end={<span class="faint small">median over the seeds; low to high below</span>}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no mouse scrolls it by keys */}
      <section class="scroll" tabIndex={0} aria-label="Arms and their figures">
        <table>
          <caption class="hidden-text">Arms and their figures, medians over the seeds</caption>
          <thead>
            <tr>
              <th scope="col">arm</th>
              <th scope="col">standing</th>
              {columns.map((metric) => (
                <th key={metric} scope="col" class="number">
                  {metricName(metric)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {arms.map((arm, at) => {
              const { standing, by } = standingOf(arm, results);
              return (
                <tr key={arm.id} class={chosen === arm.id ? 'chosen' : undefined}>
                  <th scope="row">
                    <span class="arm-number">{at + 1}</span>
                    <a href={linkOf(arm.id)}>{arm.label}</a>
                  </th>
                  <td>
                    {STANDING[standing] !== '' && <StateMark state={MARK[standing]} text={STANDING[standing]} />}
                    {by.length > 0 && <span class="arm-spread">by {by.map(numberOf).join(', ')}</span>}
                  </td>
                  {columns.map((metric) => (
                    <td key={metric} class="number">
                      {figureText(figureAt(arm, metric), metric)}
                      <span class="arm-spread">{spreadText(figureAt(arm, metric), metric)}</span>
                    </td>
                  ))}
                </tr>
              );
            })}
          </tbody>
        </table>
      </section>
    </Card>
  );
}

function Arm({
  arm,
  results,
  experiment,
  linkOf,
}: {
  arm: ExperimentArmResult;
  results: ExperimentResults;
  experiment: Experiment;
  linkOf(arm: string): string;
}) {
  const labelOf = (id: string) => results.arms.find((each) => each.id === id)?.label ?? id;
  const isUnprotected = (id: string) => results.arms.some((each) => each.id === id && each.unprotected === true);
  const verdicts = verdictsOf(arm.id, results.comparisons, labelOf, isUnprotected);
  const { standing, by } = standingOf(arm, results);
  const spec = experiment.arms.find(({ id }) => id === arm.id)?.spec as Spec | undefined;
  const seeded = spec === undefined ? undefined : { ...spec, seed: arm.seeds[0] ?? experiment.request.seeds[0] ?? 1 };
  const packed = seeded === undefined ? undefined : packSpec(seeded as Spec);
  const openSession = async () => {
    try {
      const made = await api.post<Session>('/v1/sessions', { title: arm.label.slice(0, 200), ...seeded });
      go(`/sessions/${made.name ?? made.id}`);
    } catch (error) {
      tell(problemOf(error).detail, 'failed');
    }
  };
  const again = async () => {
    try {
      const made = await api.post<Experiment>('/v1/experiments', arm.rerun);
      go(`/experiments/${nameOf(made)}`);
    } catch (error) {
      tell(problemOf(error).detail, 'failed');
    }
  };
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(JSON.stringify(arm.rerun, null, 2));
      tell('The request was copied.');
    } catch {
      tell('The browser does not let this page copy.', 'failed');
    }
  };
  const failures =
    (results.failures as { arm?: string; detail?: string; problem?: { detail?: string } }[] | undefined)?.filter(
      (each) => each.arm === arm.id,
    ) ?? [];
  return (
    <Card
      title={arm.label}
      end={
        <button type="button" class="quiet" onClick={() => setQuery({ arm: undefined })}>
          Close
        </button>
      }
    >
      <p>
        {Object.keys(arm.varied).length > 0 && <>{variedText(arm.varied)}. </>}
        {standing === 'frontier' && 'On the frontier: no other arm is preferable.'}
        {standing === 'dominated' && (
          <>
            Dominated by{' '}
            {by.map((id, at) => (
              <>
                {at > 0 && ', '}
                <a key={id} href={linkOf(id)}>
                  {labelOf(id)}
                </a>
              </>
            ))}
            : not slower and not more exposed, and better in one of the two.
          </>
        )}
        {(standing === 'control' || standing === 'unprotected') &&
          'Without protection: a device reaches all memory all the time.'}
      </p>
      <div class="row">
        <button type="button" class="primary" onClick={() => void openSession()} disabled={seeded === undefined}>
          Open as a session
        </button>
        {packed !== undefined && (
          <a class="button" href={hashOf('/new', { spec: packed })}>
            Change it first
          </a>
        )}
        {arm.rerun !== undefined && (
          <>
            <button type="button" onClick={() => void again()}>
              Run this arm alone
            </button>
            <button type="button" onClick={() => void copy()}>
              Copy its request
            </button>
          </>
        )}
        <span class="small faint">seeds {arm.seeds.join(', ')}</span>
      </div>
      {failures.map((each, at) => (
        <p key={`${at} ${each.arm}`} class="note bad">
          {each.detail ?? each.problem?.detail ?? 'A job failed.'}
        </p>
      ))}
      {verdicts.map(({ other, differences, alike }) => (
        <div key={other}>
          <h3>
            Against <a href={linkOf(other)}>{labelOf(other)}</a>
          </h3>
          <ul class="experiment-words">
            {differences.map((sentence) => (
              <li key={sentence}>{sentence}</li>
            ))}
            {alike.length > 0 && <li class="faint">No difference seen in {alike.join(', ')}.</li>}
          </ul>
        </div>
      ))}
      {verdicts.length === 0 && <Empty>It was compared with no other arm.</Empty>}
      <details>
        <summary>All figures</summary>
        <table class="tight">
          <caption class="hidden-text">Figures of {arm.label}</caption>
          <tbody>
            {Object.keys(METRICS).map((metric) => (
              <tr key={metric}>
                <th scope="row">{metricName(metric)}</th>
                <td class="number">{figureText(figureAt(arm, metric), metric)}</td>
                <td class="number">{spreadText(figureAt(arm, metric), metric)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
      {arm.rerun !== undefined && (
        <details>
          <summary>Its request</summary>
          <pre>{JSON.stringify(arm.rerun, null, 2)}</pre>
        </details>
      )}
    </Card>
  );
}

/** What to turn to get from one arm of the frontier to another, and what that does. */
function Knobs({ results }: { results: ExperimentResults }) {
  const knobs =
    (results.knobs as { a: string; b: string; path: string; from: unknown; to: unknown }[] | undefined) ?? [];
  const labelOf = (id: string) => results.arms.find((each) => each.id === id)?.label ?? id;
  if (knobs.length === 0) return null;
  return (
    <Card title="One knob along the frontier" end={<span class="faint small">{count(knobs.length)}</span>}>
      <ul class="experiment-words">
        {knobs.slice(0, 40).map(({ a, b, path, from, to }) => {
          const said = results.comparisons
            .filter(
              (each) =>
                ((each.a === a && each.b === b) || (each.a === b && each.b === a)) &&
                each.verdict !== 'no difference seen',
            )
            .filter(
              ({ metric }) =>
                metric === 'throughputGbps' ||
                metric === 'iops' ||
                metric === 'cyclesPerOperation' ||
                metric === 'exposure.pageSeconds',
            )
            .map((each) => sentenceOf(each, labelOf));
          return (
            <li key={`${a} ${b} ${path}`}>
              <code>{path}</code> from {valueText(from)} to {valueText(to)}: {labelOf(a)} becomes {labelOf(b)}.{' '}
              <span class="faint small">{said.join(' ')}</span>
            </li>
          );
        })}
      </ul>
    </Card>
  );
}

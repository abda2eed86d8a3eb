/** Single-step mode: one operation at a time, and what it changed in chip and kernel. */
import './step.css';
import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type {
  BufferPage,
  DevicePage,
  DomainPage,
  MappingPage,
  Problem,
  Session,
  Verdict,
} from '../../api/contract-types.ts';
import { api, problemOf, root, sessionPath } from '../api.ts';
import { count, duration, figure } from '../format.ts';
import { go, setQuery } from '../location.ts';
import type { PageProps } from '../pages.ts';
import { Card, Empty, ProblemNote, StateMark } from '../parts/bits.tsx';
import { SessionTabs } from '../parts/session-tabs.tsx';
import { hashOf } from '../router.ts';
import { useShortcut } from '../shortcuts.ts';
import { tell } from '../tell.ts';
import { draftOf, Fields, type Known, OPS } from './form.tsx';
import { Inside } from './inside.tsx';
import { type Focus, type Look, lookAround } from './looks.ts';
import { curlOf, labelsOf, labelsText, lineOf, type Operation, requestOf, resolvedOperation } from './operations.ts';
import { SCENARIOS, type Scenario, scenarioOf } from './scenarios.ts';
import { breakdownOf, markOf, outcomeOf, sentenceOf } from './words.ts';
import '../space/space.css';

interface Done {
  /** With its labels. */
  line: string;
  operation: Operation;
  reply: Record<string, unknown> | null;
  problem: Problem | null;
  curl: string;
  before: Look;
  after: Look;
  focus: Focus | null;
}

const NOTHING: Known = { devices: [], domains: [], buffers: [], mappings: [], addresses: [] };

export default function StepPage({ parameters, place }: PageProps) {
  const session = parameters.session as string;
  const scenario = scenarioOf(place.query.scene);
  const known = useSignal<Known>(NOTHING);
  const look = useSignal<Look | null>(null);
  const draft = useSignal<Operation>({ op: 'buffer', lengthBytes: 4096 });
  const done = useSignal<readonly Done[]>([]);
  /** Which step is shown, from 0; -1 the newest. */
  const shown = useSignal(-1);
  const problem = useSignal<Problem | null>(null);
  const busy = useSignal(false);
  const focus = useSignal<Focus | null>(focusIn(place.query));
  // A link to the middle of a scene has what its labels stand for.
  const results = useMemo<Record<string, Record<string, unknown>>>(() => labelsOf(place.query.labels), []);
  const sceneAt = useSignal(Number(place.query.at) || 0);

  const learn = async () => {
    const at = (what: string) => sessionPath(session, what);
    const [devices, domains, buffers, mappings] = await Promise.all([
      api.get<DevicePage>(at('devices'), { limit: 100 }),
      api.get<DomainPage>(at('domains'), { limit: 100 }),
      api.get<BufferPage>(at('buffers'), { limit: 100 }),
      api.get<MappingPage>(at('mappings'), { limit: 100 }),
    ]);
    const seen = [...known.peek().addresses, ...mappings.items.map(({ iova }) => iova)];
    known.value = {
      devices: devices.items,
      domains: domains.items,
      buffers: buffers.items,
      mappings: mappings.items,
      addresses: [...new Set(seen)].slice(0, 50),
    };
    const first = domains.items[0];
    if (focus.peek() === null && first !== undefined && mappings.items[0] !== undefined)
      focus.value = { domain: first.id, iova: mappings.items[0].iova };
    look.value = await lookAround(session, focus.peek()?.domain ?? first?.id, focus.peek());
  };

  const fill = (operation: Operation) => {
    try {
      draft.value = resolvedOperation(operation, results);
      problem.value = null;
    } catch (error) {
      problem.value = problemOf(error);
    }
  };
  const fillScene = () => {
    const step = scenario?.steps[sceneAt.peek()];
    if (step !== undefined) fill(step.operation);
  };

  useEffect(() => {
    learn()
      .then(() => {
        if (scenario !== undefined) fillScene();
        else draft.value = draftOf(known.peek().buffers.length === 0 ? 'buffer' : 'map', known.peek());
      })
      .catch((error: unknown) => {
        problem.value = problemOf(error);
      });
  }, [session, scenario]);

  /** Where one looks: the address of what was done last. */
  const follow = (operation: Operation, reply: Record<string, unknown>) => {
    const iova = operation.op === 'map' ? reply.iova : operation.op === 'dma' ? operation.iova : undefined;
    if (typeof iova !== 'string') return;
    const device = known.peek().devices.find(({ id, name }) => id === operation.device || name === operation.device);
    const domain = device?.domain ?? known.peek().domains[0]?.id;
    if (domain === undefined || domain === null) return;
    focus.value = { domain, iova };
    known.value = { ...known.peek(), addresses: [iova, ...known.peek().addresses.filter((each) => each !== iova)] };
    setQuery({ domain, iova });
  };

  const act = async () => {
    if (busy.peek()) return;
    busy.value = true;
    problem.value = null;
    const step = scenario?.steps[sceneAt.peek()];
    const operation = draft.peek();
    const request = requestOf(operation);
    const curl = curlOf(root + sessionPath(session), request);
    try {
      // Another client may have changed the session since.
      const before = await lookAround(session, focus.peek()?.domain ?? known.peek().domains[0]?.id, focus.peek());
      let reply: Record<string, unknown> | null = null;
      let failed: Problem | null = null;
      try {
        const path = sessionPath(session) + request.path;
        reply = await (request.method === 'POST'
          ? api.post<Record<string, unknown>>(path, request.body)
          : api.delete<Record<string, unknown>>(path));
      } catch (error) {
        failed = problemOf(error);
        problem.value = failed;
      }
      const isScene = step !== undefined && step.operation.op === operation.op;
      const label = isScene ? step.operation.as : undefined;
      if (reply !== null) {
        if (label !== undefined) results[label] = reply;
        follow(operation, reply);
      }
      await learn();
      const after = look.peek() as Look;
      const line = lineOf(isScene ? step.operation : operation);
      done.value = [
        ...done.peek(),
        { line, operation, reply, problem: failed, curl, before, after, focus: focus.peek() },
      ];
      shown.value = -1;
      if (reply !== null && isScene) {
        sceneAt.value++;
        setQuery({ at: String(sceneAt.value), labels: labelsText(results) });
        fillScene();
      } else if (reply !== null && scenario === undefined) draft.value = nextAfter(operation, reply, known.peek());
    } catch (error) {
      problem.value = problemOf(error);
    }
    busy.value = false;
  };

  const choose = (op: Operation['op']) => {
    draft.value = draftOf(op, known.peek());
  };
  const needsDevice = look.value !== null && known.value.devices.length === 0;
  const addDevice = async () => {
    try {
      await api.post(sessionPath(session, 'devices'), { name: 'nic0', kind: 'custom' });
      await learn();
    } catch (error) {
      problem.value = problemOf(error);
    }
  };
  for (const { op, name, key } of OPS) useShortcut(key, `step: ${name.toLowerCase()}`, () => choose(op));
  useShortcut('Enter', 'do the step', () => void act());

  const current = done.value[shown.value === -1 ? done.value.length - 1 : shown.value];
  return (
    <>
      <div class="head">
        <h1 tabIndex={-1}>{session}</h1>
        {look.value !== null && (
          <div class="end">
            <span class="small faint">simulated time</span> <strong>{duration(look.value.session.timeNs)}</strong>
          </div>
        )}
      </div>
      <SessionTabs session={session} />
      <div class="step-main">
        <div class="stack">
          <Scenes session={session} scenario={scenario} at={sceneAt.value} onFill={fill} />
          <Card title="The next step">
            {needsDevice && (
              <p class="note">
                The session has no device.{' '}
                <button type="button" onClick={() => void addDevice()}>
                  Add one
                </button>
              </p>
            )}
            <div class="step-ops">
              {OPS.map(({ op, name }) => (
                <button key={op} type="button" aria-pressed={draft.value.op === op} onClick={() => choose(op)}>
                  {name}
                </button>
              ))}
            </div>
            <form
              class="step-form"
              onSubmit={(event) => {
                event.preventDefault();
                void act();
              }}
            >
              <Fields
                draft={draft.value}
                known={known.value}
                onChange={(change) => {
                  draft.value = { ...draft.value, ...change };
                }}
              />
              <datalist id="step-addresses">
                {known.value.addresses.map((address) => (
                  <option key={address} value={address} />
                ))}
              </datalist>
              <div class="row">
                <button type="submit" class="primary" disabled={busy.value || look.value === null}>
                  Do it
                </button>
                <span class="faint small">{sentenceOf(draft.value)}</span>
              </div>
            </form>
            <ProblemNote problem={problem.value} />
          </Card>
        </div>
        <div class="stack step-now">
          {current === undefined ? (
            <Card title="Nothing done yet">
              <p>
                Do a step, or take a scene. Below is what chip and kernel have now; after a step, what it has changed:{' '}
                <span class="change-new">+ new</span>, <span class="change-changed">~ changed</span>,{' '}
                <span class="change-gone">− gone</span>.
              </p>
            </Card>
          ) : (
            <Outcome done={current} />
          )}
          {look.value !== null && (
            <Inside
              before={current?.before ?? null}
              now={current?.after ?? look.value}
              focus={current?.focus ?? focus.value}
            />
          )}
        </div>
        <Steps done={done.value} shown={shown.value} onShow={(at) => (shown.value = at)} />
      </div>
    </>
  );
}

/** What one usually wants next. */
function nextAfter({ op, device }: Operation, reply: Record<string, unknown>, known: Known): Operation {
  if (op === 'buffer') return { ...draftOf('map', known), buffer: String(reply.id) };
  if (op === 'map') return { ...draftOf('dma', known), device, iova: String(reply.iova) };
  if (op === 'dma' && known.mappings.length > 0) return draftOf('unmap', known);
  if (op === 'unmap') return draftOf('dma', known);
  return draftOf(op, known);
}

function focusIn({ domain, iova }: Readonly<Record<string, string>>): Focus | null {
  return domain !== undefined && /^0x[0-9a-fA-F]{1,16}$/.test(iova ?? '') ? { domain, iova: iova as string } : null;
}

function Outcome({ done: { operation, reply, problem } }: { done: Done }) {
  if (problem !== null)
    return (
      <Card title={capital(sentenceOf(operation))}>
        <ProblemNote problem={problem} />
      </Card>
    );
  const answer = reply ?? {};
  const verdict = answer.verdict as Verdict | undefined;
  const rows = breakdownOf(answer);
  const total = rows.reduce((sum, { cycles }) => sum + cycles, 0);
  const pages = (answer.pages ?? []) as {
    iova: string;
    from?: string;
    memoryReferences: number;
    physicalAddress?: string;
    reason?: number;
  }[];
  const misuse = (answer.misuse ?? []) as { check: string; detail: string }[];
  return (
    <Card
      title={capital(sentenceOf(operation))}
      end={verdict !== undefined && <StateMark state={markOf(verdict)} text={verdict} />}
    >
      <div class="step-reply" role="status">
        <p class="big">{outcomeOf(operation, answer)}</p>
        {pages.map(({ iova, from, memoryReferences, physicalAddress, reason }) => (
          <p key={iova} class="small faint">
            <code>{iova}</code>
            {physicalAddress === undefined ? (
              ` was blocked, fault reason ${reason}`
            ) : (
              <>
                {' '}
                reached <code>{physicalAddress}</code>, translated by {from}
              </>
            )}
            ; {count(memoryReferences)} reads of page tables.
          </p>
        ))}
        {misuse.map(({ check, detail }) => (
          <p key={check + detail} class="note warn">
            <strong>{check}</strong>: {detail}
          </p>
        ))}
        {rows.length > 0 && (
          <dl class="step-cost" aria-label="Cost in cycles">
            {rows.map(({ name, cycles }) => (
              <>
                <dt key={name}>{name}</dt>
                <dd key={`${name} bar`}>
                  <div class="bar-of" style={{ width: `${(cycles / total) * 100}%` }} />
                </dd>
                <dd key={`${name} cycles`} class="number">
                  {figure(cycles)} cycles
                </dd>
              </>
            ))}
          </dl>
        )}
      </div>
    </Card>
  );
}

function Steps({ done, shown, onShow }: { done: readonly Done[]; shown: number; onShow(at: number): void }) {
  const copy = async (text: string, what: string) => {
    try {
      await navigator.clipboard.writeText(text);
      tell(`${what} copied.`);
    } catch {
      tell('The browser does not let this page copy.', 'failed');
    }
  };
  const isShown = (at: number) => (shown === -1 ? at === done.length - 1 : at === shown);
  return (
    <Card
      title="Steps"
      end={
        done.length > 0 && (
          <button type="button" onClick={() => void copy(`${done.map(({ line }) => line).join('\n')}\n`, 'Operations')}>
            Copy as ops
          </button>
        )
      }
    >
      {done.length === 0 && <Empty>Each step stands here, with the line of curl that does it again.</Empty>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no mouse scrolls it by keys */}
      <ol class="step-history" tabIndex={0} aria-label="Steps, newest first">
        {done
          .map((step, at) => ({ step, at }))
          .reverse()
          .map(({ step: { operation, reply, problem, curl }, at }) => (
            <li key={at} class={isBad(reply) ? 'bad' : undefined} aria-current={isShown(at) ? 'step' : undefined}>
              <span>
                {at + 1}. {capital(sentenceOf(operation))}
              </span>
              <span class="small faint">{problem === null ? outcomeOf(operation, reply ?? {}) : problem.detail}</span>
              <pre>{curl}</pre>
              <div class="row">
                <button type="button" onClick={() => onShow(at)} disabled={isShown(at)}>
                  Show
                </button>
                <button type="button" onClick={() => void copy(curl, 'The line')}>
                  Copy curl
                </button>
              </div>
            </li>
          ))}
      </ol>
    </Card>
  );
}

function isBad(reply: Record<string, unknown> | null): boolean {
  const verdict = reply?.verdict as Verdict | undefined;
  return verdict !== undefined && markOf(verdict) === 'bad';
}

function Scenes({
  session,
  scenario,
  at,
  onFill,
}: {
  session: string;
  scenario: Scenario | undefined;
  at: number;
  onFill(operation: Operation): void;
}) {
  const chosen = useSignal(scenario?.id ?? (SCENARIOS[0] as Scenario).id);
  const wanted = scenarioOf(chosen.value) as Scenario;
  const begin = async () => {
    try {
      const stamp = Math.floor(Math.random() * 36 ** 4).toString(36);
      const { name, id } = await api.post<Session>('/v1/sessions', {
        name: `${wanted.id}-${stamp}`,
        title: wanted.title,
        ...wanted.spec,
      });
      go(`/sessions/${name ?? id}/step`, { scene: wanted.id });
    } catch (error) {
      tell(problemOf(error).detail, 'failed');
    }
  };
  return (
    <Card title={scenario === undefined ? 'Scenes' : scenario.title}>
      {scenario !== undefined && (
        <>
          <p class="small">{scenario.about}</p>
          <ol class="step-scenes">
            {scenario.steps.map(({ operation, about }, step) => (
              <li
                key={step}
                class={step < at ? 'done' : step === at ? 'next' : undefined}
                aria-current={step === at ? 'step' : undefined}
              >
                <span>
                  {about}
                  {step === at && (
                    <>
                      {' '}
                      <button type="button" onClick={() => onFill(operation)}>
                        Fill in again
                      </button>
                    </>
                  )}
                </span>
              </li>
            ))}
          </ol>
          {at >= scenario.steps.length && <p class="note">That is the scene. Go on by yourself, or take another.</p>}
        </>
      )}
      <div class="field">
        <label for="step-scene">{scenario === undefined ? 'Walk through one' : 'Another'}</label>
        <select id="step-scene" value={chosen.value} onChange={(event) => (chosen.value = event.currentTarget.value)}>
          {SCENARIOS.map(({ id, title }) => (
            <option key={id} value={id}>
              {title}
            </option>
          ))}
        </select>
        {scenario === undefined && <span class="about">{wanted.about}</span>}
      </div>
      <div class="row">
        <button type="button" onClick={() => void begin()}>
          Begin, in a session of its own
        </button>
        {scenario !== undefined && <a href={hashOf(`/sessions/${session}/step`)}>without the scene</a>}
      </div>
    </Card>
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

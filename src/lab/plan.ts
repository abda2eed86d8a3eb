/**
 * From what people ask for to arms and jobs, checked as a whole before anything runs: what is asked for without gaps, a spec for each
 * arm, the arms that they are compared with, a row for each arm and seed. Or all that is wrong with it, each by its place in the request.
 *
 *     request ──> preset below it ──> sets of members, one an arm ──> specs ──> controls ──> built once ──> rows
 */
import { contractSchema } from '../api/contract.ts';
import { type Validator, Validators } from '../api/validator.ts';
import { nearestName } from '../api/violations.ts';
import { NO_RECORDINGS, type Recordings } from '../core/devices/replay/source.ts';
import { createSimulator, resolveSpec } from '../core/index.ts';
import type { RunRequest } from '../core/operations.ts';
import type { ResolvedSpec } from '../core/spec.ts';
import type { HostProblem } from '../host/host.ts';
import { messageOf, notAsContracted, specProblem } from '../host/problems.ts';
import { refuseLarge } from '../host/session-bounds.ts';
import type { Arm, ExperimentInput, ExperimentRequest, Job, Plain, Row } from './experiment.ts';
import { canonical, JOB_BOUNDS, jobOf, keyOf, keyOfRun, nameless } from './job.ts';
import { labelsOf } from './label.ts';
import { experimentPresets, reproductionOf } from './presets.ts';
import type { Reproduction } from './repro/reproduction.ts';
import { escapeStep, isPlain, overlaid, PathError, partsOf, pointerOf, withMembers } from './spec-path.ts';

export interface Plan {
  request: ExperimentRequest;
  arms: Arm[];
  /** In the order of arms and seeds. */
  rows: Row[];
  /** Of each row. */
  jobs: Job[];
}

export interface PlanProblem {
  /** JSON Pointer into the request. */
  path: string;
  message: string;
}

export type Planned = { ok: true; value: Plan } | { ok: false; problem: HostProblem };

/** `specChars`: of the specs of all arms together, as JSON. */
export const PLAN_LIMITS = { arms: 500, jobs: 2_000, seeds: 64, problems: 50, specChars: 8_388_608 } as const;

/** Whether arms can be built is looked at for so long; what is left then shows when it runs. */
const BUILD_MS = 10_000;
const DEFAULT_LENGTH = { operations: 20_000 };
const DEFAULT_SEEDS = 3;
const LAST_SEED = 2 ** 32 - 1;
/** Of a spec, what an experiment says in another way or a session alone has. */
const NOT_OF_ARMS: Readonly<Record<string, string>> = {
  seed: 'is not varied like this: give `seeds`',
  fromSnapshot: 'is of sessions alone: an arm starts from its spec',
  expiresAt: 'is of sessions alone',
};
/** What does not make another control of a control: protection and its names. */
const NOT_OF_CONTROLS: ReadonlySet<string> = new Set(['policy', 'kernelCommandLine', 'name', 'title']);

/** Compiled when they are first needed. */
const validators = new Map<string, Validator>();
function violations(schema: string, value: unknown): PlanProblem[] {
  let validator = validators.get(schema);
  if (validator === undefined)
    validators.set(schema, (validator = new Validators(false).compile(contractSchema(schema))));
  return validator(value) ?? [];
}

/** @param build whether each arm is built once to see whether it can be; @param recordings what replays are built of */
export function planExperiment(
  input: ExperimentInput,
  { build = true, recordings = NO_RECORDINGS }: { build?: boolean; recordings?: Recordings } = {},
): Planned {
  const problems = violations('ExperimentInput', input);
  if (problems.length > 0) return refused(problems);
  const { preset } = input;
  if (preset !== undefined && !Object.hasOwn(experimentPresets, preset)) {
    const nearest = nearestName(preset, Object.keys(experimentPresets));
    const message = `no experiment is kept ready as "${preset}"${nearest === null ? ', the catalog lists them' : `; did you mean \`${nearest}\`?`}`;
    return refused([{ path: '/preset', message }]);
  }
  const reproduction = reproductionOf(preset);
  return reproduction === null ? new Planner(input, build, recordings).plan() : planReproduction(input, reproduction);
}

function refused(problems: PlanProblem[]): Planned {
  const distinct = new Map(problems.map((problem) => [`${problem.path}\n${problem.message}`, problem]));
  return {
    ok: false,
    problem: { ...notAsContracted([...distinct.values()].slice(0, PLAN_LIMITS.problems)), code: 'invalid-experiment' },
  };
}

/** A set of members that makes an arm, and where in the request each stands. */
interface Setting {
  set: Plain;
  label: string | undefined;
  /** Of a path: pointer to it, and to its value. */
  places: Record<string, { path: string; value: string }>;
}

interface Draft {
  setting: Setting;
  spec: Plain;
  resolved: ResolvedSpec;
}

class Planner {
  private readonly input: ExperimentInput;
  private readonly build: boolean;
  private readonly recordings: Recordings;
  private readonly problems: PlanProblem[] = [];
  /** Of a problem that many arms have, the first of them and how many. */
  private readonly seen = new Map<string, { problem: PlanProblem; message: string; first: string; arms: number }>();

  constructor(input: ExperimentInput, build: boolean, recordings: Recordings) {
    this.recordings = recordings;
    this.input = input;
    this.build = build;
  }

  plan(): Planned {
    const request = this.requestOf();
    if (request === null || this.problems.length > 0) return refused(this.problems);
    const settings = this.settingsOf(request);
    if (settings === null || this.problems.length > 0) return refused(this.problems);
    const base = baseOf(request);
    const labels = labelsOf(
      settings.map(({ set }) => set),
      settings.map(({ label }) => label),
    );
    const drafts = this.draftsOf(request, base, settings, labels);
    this.tell();
    if (this.problems.length > 0) return refused(this.problems);
    const arms = this.armsOf(request, base, drafts as Draft[], labels);
    if (this.problems.length > 0) return refused(this.problems);
    if (arms.length > PLAN_LIMITS.arms)
      return refused([tooMany('/control', 'arms, controls among them,', arms.length, 'arms')]);
    const jobCount = arms.length * request.seeds.length;
    if (jobCount > PLAN_LIMITS.jobs)
      return refused([tooMany('/seeds', 'jobs, an arm with a seed each,', jobCount, 'jobs')]);
    const plan = rowsOf(request, arms);
    if (this.build) this.tryAll(plan);
    return this.problems.length > 0 ? refused(this.problems) : { ok: true, value: plan };
  }

  // The request

  private wrong(path: string, message: string): null {
    this.problems.push({ path, message });
    return null;
  }

  private requestOf(): ExperimentRequest | null {
    const { input } = this;
    const preset = input.preset === undefined ? null : experimentPresets[input.preset]!;
    const below: ExperimentInput = preset !== null && 'request' in preset ? preset.request : {};
    const varies = (each: ExperimentInput) => Object.keys(each.vary ?? {}).length > 0;
    const lists = (each: ExperimentInput) => (each.arms ?? []).length > 0;
    if (varies(input) && lists(input)) this.wrong('/arms', 'stands in the place of `vary`: give one of them');
    for (const member of ['fromSnapshot', 'expiresAt'])
      if (input.base !== undefined && member in input.base) this.wrong(`/base/${member}`, NOT_OF_ARMS[member]!);
    const from = varies(input) || lists(input) ? input : below;
    const { seed, ...base } = overlaid(below.base ?? {}, input.base ?? {});
    const workloads = input.workloads ?? below.workloads;
    const warmUp = input.warmUp ?? below.warmUp;
    return {
      ...(input.preset === undefined ? {} : { preset: input.preset }),
      base,
      vary: from.vary ?? {},
      combine: input.combine ?? from.combine ?? 'product',
      arms: from.arms ?? [],
      ...(workloads === undefined ? {} : { workloads }),
      until: input.until ?? below.until ?? DEFAULT_LENGTH,
      ...(warmUp === undefined ? {} : { warmUp }),
      seeds: input.seeds ?? (typeof seed === 'number' ? seedsFrom(seed) : (below.seeds ?? seedsFrom(1))),
      control: input.control ?? below.control ?? true,
    };
  }

  // What is varied

  private settingsOf({ vary, combine, arms }: ExperimentRequest): Setting[] | null {
    const own = (member: 'vary' | 'arms') => this.input[member] !== undefined;
    if (arms.length > 0) {
      const labels = new Set<string>();
      return arms.map(({ label, set }, i) => {
        const at = (path: string) => (own('arms') ? `/arms/${i}/set/${escapeStep(path)}` : '/preset');
        this.checkPaths(Object.keys(set), at);
        if (label !== undefined && labels.has(label))
          this.wrong(`/arms/${i}/label`, `another arm is called "${label}"`);
        if (label !== undefined) labels.add(label);
        const places = Object.fromEntries(
          Object.keys(set).map((path) => [path, { path: at(path), value: at(path) }] as const),
        );
        return { set, label, places };
      });
    }
    const at = (path: string) => (own('vary') ? `/vary/${escapeStep(path)}` : '/preset');
    const dimensions = Object.entries(vary);
    this.checkPaths(Object.keys(vary), at);
    const count =
      combine === 'paired' ? (dimensions[0]?.[1].length ?? 1) : dimensions.reduce((n, [, { length }]) => n * length, 1);
    if (combine === 'paired')
      for (const [path, values] of dimensions.slice(1))
        if (values.length !== count)
          this.wrong(
            at(path),
            `has ${values.length} values and ${dimensions[0]![0]} has ${count}: paired lists are equally long`,
          );
    if (count > PLAN_LIMITS.arms)
      return this.wrong('/vary', `makes ${count} arms, and ${PLAN_LIMITS.arms} is the limit`);
    if (this.problems.length > 0) return null;
    return Array.from({ length: count }, (_, n) => {
      const set: Plain = {};
      const places: Setting['places'] = {};
      // Of a product the last dimension changes fastest.
      let rest = n;
      const indices = dimensions.map(() => n);
      if (combine === 'product')
        for (let d = dimensions.length - 1; d >= 0; d--) {
          const { length } = dimensions[d]![1];
          indices[d] = rest % length;
          rest = Math.floor(rest / length);
        }
      for (const [d, [path, values]] of dimensions.entries()) {
        set[path] = values[indices[d]!];
        places[path] = { path: at(path), value: own('vary') ? `${at(path)}/${indices[d]}` : at(path) };
      }
      return { set, label: undefined, places };
    });
  }

  private checkPaths(paths: string[], at: (path: string) => string): void {
    for (const path of paths) {
      try {
        const [top] = partsOf(path);
        if (top! in NOT_OF_ARMS) this.wrong(at(path), NOT_OF_ARMS[top!]!);
      } catch (error) {
        if (!(error instanceof PathError)) throw error;
        this.wrong(at(path), error.message);
      }
      const above = paths.find((other) => path.startsWith(`${other}.`));
      if (above !== undefined) this.wrong(at(path), `lies within ${above}, which is given too`);
    }
  }

  // Specs

  /** Every arm has all of the base: a long one, times the arms, would fill the memory. */
  private draftsOf(request: ExperimentRequest, base: Plain, settings: Setting[], labels: string[]): (Draft | null)[] {
    const drafts: (Draft | null)[] = [];
    let chars = 0;
    for (const [i, setting] of settings.entries()) {
      const draft = this.draft(request, base, setting, `${labels[i]}`);
      drafts.push(draft);
      if (draft !== null) chars += JSON.stringify(draft.spec).length;
      if (chars <= PLAN_LIMITS.specChars) continue;
      this.wrong(
        '/base',
        `makes arms whose specs are longer than ${PLAN_LIMITS.specChars} characters together: a shorter \`base\`, or fewer arms`,
      );
      break;
    }
    return drafts;
  }

  private draft(request: ExperimentRequest, base: Plain, setting: Setting, label: string): Draft | null {
    let led = true;
    const spec = withMembers(base, setting.set, (path, message) => {
      led = false;
      this.note({ path: setting.places[path]!.path, message }, label);
    });
    const noteAll = (found: PlanProblem[]): null => {
      for (const each of found) this.note({ ...each, path: this.placeOf(each, request, setting, spec) }, label);
      return null;
    };
    const shape = violations('SessionInput', spec);
    if (shape.length > 0 || !led) return noteAll(shape);
    const renamed = otherTraces(base, spec);
    if (renamed.length > 0) return noteAll(renamed);
    try {
      const resolved = resolveSpec(spec);
      if (resolved.workloads.length > 0) return { setting, spec, resolved };
      return noteAll([{ path: '/workloads', message: 'an arm without a workload has nothing to run' }]);
    } catch (error) {
      return noteAll(specProblem(error)?.errors ?? [{ path: '', message: messageOf(error) }]);
    }
  }

  private note(problem: PlanProblem, label: string): void {
    const { path, message } = problem;
    const known = this.seen.get(`${path}\n${message}`);
    if (known !== undefined) known.arms++;
    else this.seen.set(`${path}\n${message}`, { problem, message, first: label, arms: 1 });
  }

  /** What arms have, each once. */
  private tell(): void {
    for (const { problem, message, first, arms } of this.seen.values()) {
      const more = arms > 1 ? ` and ${arms - 1} more` : '';
      this.problems.push({ path: problem.path, message: `${message} (arm "${first}"${more})` });
    }
    this.seen.clear();
  }

  /** Where in the request stands what is wrong in an arm's spec. */
  private placeOf({ path, message }: PlanProblem, request: ExperimentRequest, setting: Setting, spec: Plain): string {
    for (const [dotted, place] of Object.entries(setting.places)) {
      const pointer = pointerOf(dotted, spec);
      if (path === pointer && message.startsWith('unknown member')) return place.path;
      if (path === pointer || path.startsWith(`${pointer}/`)) return place.value + path.slice(pointer.length);
      if (path !== '' && pointer.startsWith(`${path}/`)) return place.path;
    }
    const { input } = this;
    const top = path.split('/')[1] ?? '';
    if (top === 'workloads' && request.workloads !== undefined) return input.workloads ? path : '/preset';
    const inBase = input.base !== undefined && (top === '' || top in input.base || input.preset === undefined);
    return inBase || input.preset === undefined ? `/base${path}` : '/preset';
  }

  // Arms and their controls

  private armsOf(request: ExperimentRequest, base: Plain, drafts: Draft[], labels: string[]): Arm[] {
    const arms: Arm[] = drafts.map(({ setting, spec }, i) => ({
      id: `arm-${i + 1}`,
      label: labels[i]!,
      control: false,
      controlId: null,
      varied: setting.set,
      spec,
    }));
    if (!request.control) return arms;
    // What arms have in common with their control, in canonical form -> the arms.
    const groups = new Map<string, { set: Plain; spec: Plain; members: number[] }>();
    for (const [i, draft] of drafts.entries()) {
      const set = Object.fromEntries(
        Object.entries(draft.setting.set).filter(([path]) => !NOT_OF_CONTROLS.has(path.split('.')[0]!)),
      );
      const spec = { ...withMembers(base, set, () => {}), policy: { mode: 'passthrough' } };
      let common: string;
      try {
        common = withoutPolicy(resolveSpec(spec));
      } catch (error) {
        const said = specProblem(error)?.detail ?? messageOf(error);
        this.note(
          { path: '/control', message: `there can be no control, do without (\`false\`): ${said}` },
          labels[i]!,
        );
        continue;
      }
      const group = groups.get(common);
      if (group === undefined) groups.set(common, { set, spec, members: [i] });
      else group.members.push(i);
    }
    this.tell();
    const controls: Arm[] = [];
    const made = [...groups].map(([common, group]) => {
      const own = group.members.find((i) => {
        const { resolved } = drafts[i]!;
        return resolved.policy.mode === 'passthrough' && withoutPolicy(resolved) === common;
      });
      return { ...group, own };
    });
    const several = made.filter(({ own }) => own === undefined).length > 1;
    for (const { set, spec, members, own } of made) {
      let control: Arm;
      if (own === undefined) {
        const id = several ? `control-${controls.length + 1}` : 'control';
        control = { id, label: '', control: true, controlId: null, varied: set, spec };
        controls.push(control);
      } else {
        control = arms[own]!;
        control.control = true;
      }
      for (const i of members) if (i !== own) arms[i]!.controlId = control.id;
    }
    const names = labelsOf(
      [
        ...controls.map(({ varied }) => ({ 'policy.mode': 'passthrough', ...varied })),
        ...arms.map((arm) => arm.varied),
      ],
      [...controls.map(() => undefined), ...arms.map(({ label }) => label)],
    );
    for (const [i, control] of controls.entries()) {
      control.label = names[i]!;
      control.varied = { 'policy.mode': 'passthrough', ...control.varied };
    }
    return [...controls, ...arms];
  }

  // Whether they can be

  private tryAll({ request, arms, jobs }: Plan): void {
    const end = performance.now() + BUILD_MS;
    const tried = new Set<string>();
    for (const [i, arm] of arms.entries()) {
      const job = jobs[i * request.seeds.length]!;
      if (job.kind !== 'run') continue;
      const alike = canonical(nameless(arm.spec));
      if (tried.has(alike)) continue;
      tried.add(alike);
      for (const { path, message } of tryOne(job.spec, job.before[0] ?? job.run, this.recordings))
        this.note({ path: this.pathOfArm(arm, path, request), message }, arm.label);
      if (performance.now() > end) break;
    }
    this.tell();
  }

  private pathOfArm(arm: Arm, path: string, request: ExperimentRequest): string {
    if (path === '/until') return path;
    if (arm.id.startsWith('control')) return '/control';
    const at = Number(arm.id.slice('arm-'.length)) - 1;
    const settings = this.settingsOf(request);
    return settings === null ? '/base' : this.placeOf({ path, message: '' }, request, settings[at]!, arm.spec);
  }
}

/** Who names another trace in an arm, and leaves the digest by which it is found, would have the same one under two names. */
function otherTraces(base: Plain, spec: Plain): PlanProblem[] {
  const before = (base.workloads ?? []) as Plain[];
  return ((spec.workloads ?? []) as Plain[]).flatMap(({ kind, trace, recording }, i) =>
    kind === 'replay' && recording !== undefined && recording === before[i]?.recording && trace !== before[i]?.trace
      ? [
          {
            path: `/workloads/${i}/trace`,
            message:
              'names another trace than the base, and what is replayed is known by `recording`: vary that, with the digests of the traces',
          },
        ]
      : [],
  );
}

/** Why a simulation cannot be made of it, or not started. */
function tryOne(spec: Plain, run: RunRequest, recordings: Recordings): PlanProblem[] {
  try {
    const resolved = resolveSpec(spec);
    const tooLarge = refuseLarge(resolved, JOB_BOUNDS.memoryBytes);
    if (tooLarge !== null) return [{ path: '/workloads', message: tooLarge.detail }];
    const outcome = createSimulator(resolved, { recordings }).startRun(run);
    return outcome.status === 'ok' ? [] : [{ path: '/until', message: outcome.problem.detail }];
  } catch (error) {
    return specProblem(error)?.errors ?? [{ path: '', message: messageOf(error) }];
  }
}

function seedsFrom(first: number): number[] {
  const from = Math.min(first, LAST_SEED - DEFAULT_SEEDS + 1);
  return Array.from({ length: DEFAULT_SEEDS }, (_, i) => from + i);
}

function tooMany(path: string, what: string, count: number, of: 'arms' | 'jobs'): PlanProblem {
  return { path, message: `makes ${count} ${what} and ${PLAN_LIMITS[of]} is the limit` };
}

function baseOf({ base, workloads }: ExperimentRequest): Plain {
  return workloads === undefined ? base : { ...base, workloads };
}

function withoutPolicy(resolved: ResolvedSpec): string {
  const { policy: _policy, kernelCommandLine: _line, ...rest } = nameless(resolved);
  return canonical(rest);
}

function rowsOf(request: ExperimentRequest, arms: Arm[]): Plan {
  const rows: Row[] = [];
  const jobs: Job[] = [];
  for (const arm of arms) {
    const resolved = nameless(resolveSpec(arm.spec));
    for (const seed of request.seeds) {
      const job = jobOf(request, arm, seed) as Job & { kind: 'run' };
      const key = keyOfRun({ ...resolved, seed }, job.before, job.run);
      rows.push({ arm: arm.id, seed, key, state: 'queued', outcome: null });
      jobs.push(job);
    }
  }
  return { request, arms, rows, jobs };
}

// Reproductions

/** Its arms are the publication's: what could be changed would make it another one. */
function planReproduction(input: ExperimentInput, reproduction: Reproduction): Planned {
  const problems: PlanProblem[] = [];
  const fixed = (member: keyof ExperimentInput, empty: boolean) => {
    const value = input[member];
    if (value === undefined || empty) return;
    problems.push({ path: `/${member}`, message: `a reproduction is run as it is: \`${member}\` cannot be changed` });
  };
  const isEmpty = (value: unknown) => (isPlain(value) ? Object.keys(value).length === 0 : (value as []).length === 0);
  fixed('base', isEmpty(input.base ?? {}));
  fixed('vary', isEmpty(input.vary ?? {}));
  fixed('arms', isEmpty(input.arms ?? []));
  fixed('workloads', isEmpty(input.workloads ?? []));
  fixed('warmUp', false);
  fixed('until', canonical(input.until ?? DEFAULT_LENGTH) === canonical(DEFAULT_LENGTH));
  fixed('seeds', input.seeds?.length === 1 && input.seeds[0] === 1);
  fixed('control', input.control === false);
  if (problems.length > 0) return refused(problems);
  const request: ExperimentRequest = {
    preset: input.preset!,
    base: {},
    vary: {},
    combine: 'product',
    arms: [],
    until: DEFAULT_LENGTH,
    seeds: [1],
    control: false,
  };
  const arms = Object.entries(reproduction.arms).map(([label, { spec }], i) => {
    return { id: `arm-${i + 1}`, label, control: false, controlId: null, varied: {}, spec };
  });
  const jobs = arms.map((arm) => jobOf(request, arm, 1));
  const rows = arms.map(
    (arm, i): Row => ({ arm: arm.id, seed: 1, key: keyOf(jobs[i]!), state: 'queued', outcome: null }),
  );
  return { ok: true, value: { request, arms, rows, jobs } };
}

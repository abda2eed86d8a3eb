/**
 * A question that people ask, as an experiment that is kept ready: the request that answers it, the figures to look at, and how the
 * answer is read off them. One file a question in this folder; its page is `docs/questions/<name>.md`.
 */
import type { ExperimentInput, Plain } from '../experiment.ts';

/** A figure of an arm: dotted path into the result of a run, where `workloads.<name>` finds a workload by its name. */
export type Metric = string | { ratio: [string, string] };

export interface Column {
  head: string;
  of: Metric;
  /** The figure is multiplied by it. */
  scale?: number;
  /** After the point. */
  digits?: number;
  /** Where this is 0 there is nothing to tell. */
  unless?: Metric;
  /** It is about windows that an invalidation closes; where memory stays mapped for good there is none. */
  windows?: true;
}

export interface Question {
  /** As in `preset` of a request. */
  kind: `questions/${string}`;
  title: string;
  /** In our words. */
  question: string;
  /** Who asks it. */
  source: string;
  request: ExperimentInput;
  /** What the answer is read off, beside what every comparison has. */
  columns: Column[];
  /** Sentences. */
  answer(arms: ArmFigures): string[];
}

export interface ArmRuns {
  label: string;
  /** By seed. */
  results: Plain[];
}

/** Figures of arms by label. */
export class ArmFigures {
  readonly arms: readonly ArmRuns[];

  constructor(arms: readonly ArmRuns[]) {
    this.arms = arms;
  }

  get labels(): string[] {
    return this.arms.map(({ label }) => label);
  }

  /** Median over the seeds; throws for an arm, or a number, that is not there. */
  of(label: string, metric: Metric, scale = 1): number {
    const arm = this.arms.find((each) => each.label === label);
    if (arm === undefined) throw new Error(`no arm is labelled "${label}"; there are ${this.labels.join('; ')}`);
    const values = arm.results.map((result) => figureOf(result, metric)).sort((a, b) => a - b);
    const middle = values.length >> 1;
    return scale * (values.length % 2 === 1 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2);
  }

  /** Figures of several arms, in that order. */
  each(labels: readonly string[], metric: Metric, scale = 1): number[] {
    return labels.map((label) => this.of(label, metric, scale));
  }
}

/** @throws where there is no number */
export function figureOf(result: Plain, metric: Metric): number {
  if (typeof metric !== 'string') {
    const [part, of] = metric.ratio.map((path) => numberAt(result, path)) as [number, number];
    return of === 0 ? 0 : part / of;
  }
  return numberAt(result, metric);
}

function numberAt(result: Plain, path: string): number {
  let value: unknown = result;
  for (const member of path.split('.'))
    value = Array.isArray(value) ? named(value, member) : (value as Plain | null)?.[member];
  if (typeof value !== 'number') throw new Error(`there is no number at ${path}`);
  return value;
}

/** An element by its name, or by its number. */
function named(list: unknown[], name: string): unknown {
  return list.find((each) => (each as Plain).name === name) ?? list[Number(name)];
}

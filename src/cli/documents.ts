/** Files, and what is piped in: JSON, or YAML by its name. */
import { readFile } from 'node:fs/promises';
import type { ExperimentInput, Plain } from '../lab/experiment.ts';
import { EXIT, Failure } from './failure.ts';

/** Members that a session spec has not. */
const OF_EXPERIMENTS = ['base', 'vary', 'combine', 'arms', 'until', 'warmUp', 'seeds', 'control'];

export function looksLikeFile(what: string): boolean {
  return what === '-' || /\.(json|ya?ml)$/i.test(what) || /^(\.{0,2}|~)\//.test(what);
}

export async function readText(path: string): Promise<string> {
  if (path === '-') {
    if (process.stdin.isTTY) throw new Failure(EXIT.usage, '- is what is piped in, and nothing is');
    let text = '';
    process.stdin.setEncoding('utf8');
    for await (const chunk of process.stdin) text += chunk;
    return text;
  }
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : message;
    throw new Failure(EXIT.usage, `${path} cannot be read: ${why}`);
  }
}

export async function readDocument(path: string): Promise<Plain> {
  const text = await readText(path);
  const name = path === '-' ? 'What was piped in' : path;
  let value: unknown;
  try {
    if (/\.ya?ml$/i.test(path)) value = (await import('yaml')).parse(text);
    else value = JSON.parse(text);
  } catch (error) {
    throw new Failure(
      EXIT.usage,
      `${name} is not ${/\.ya?ml$/i.test(path) ? 'YAML' : 'JSON'}: ${(error as Error).message.split('\n')[0]}`,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Failure(EXIT.usage, `${name} must hold one object: an experiment or a session spec`);
  return value as Plain;
}

export function isExperiment(document: Plain): document is ExperimentInput & Plain {
  return OF_EXPERIMENTS.some((member) => member in document);
}

/** `--workloads`: a file, or the JSON itself; one or a list. */
export async function readWorkloads(text: string): Promise<Plain[]> {
  let value: unknown;
  if (/^\s*[[{]/.test(text)) {
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new Failure(EXIT.usage, `--workloads is not JSON: ${(error as Error).message}`);
    }
  } else {
    const content = await readText(text);
    try {
      value = /\.ya?ml$/i.test(text) ? (await import('yaml')).parse(content) : JSON.parse(content);
    } catch (error) {
      throw new Failure(EXIT.usage, `${text} does not hold workloads: ${(error as Error).message.split('\n')[0]}`);
    }
  }
  const list = Array.isArray(value) ? value : [value];
  if (list.length === 0 || list.some((each) => typeof each !== 'object' || each === null))
    throw new Failure(EXIT.usage, '--workloads holds no workloads: one object, or a list of them');
  return list as Plain[];
}

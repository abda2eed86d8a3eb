/**
 * Carries out `curl` commands as the docs print them, against a server in this process, so that what a page shows was really
 * answered. Understood is what the pages use: `-s`, `-X`, `-H`, `-d`, `--data-binary @-` with a here-document, one address.
 */

import { createHost } from '../../src/host/session-host.ts';
import { buildApp } from '../../src/server/app.ts';

interface Request {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  headers: Record<string, string>;
  body?: string;
}

export function parseCurl(command: string): Request {
  const [line, ...document] = command.split(/ <<'OPS'\n/);
  const words = [...line!.replaceAll('\\\n', ' ').matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2]!);
  if (words.shift() !== 'curl') throw new Error(`no curl command: ${command}`);
  const headers: Record<string, string> = {};
  let method: Request['method'] | undefined;
  let body: string | undefined;
  let path: string | undefined;
  while (words.length > 0) {
    const word = words.shift()!;
    if (word === '-s') continue;
    if (word === '-X') method = words.shift() as Request['method'];
    else if (word === '-H') {
      const [name, ...value] = words.shift()!.split(': ');
      headers[name!] = value.join(': ');
    } else if (word === '-d') body = words.shift()!;
    else if (word === '--data-binary' && words.shift() === '@-') body = document[0]!.replace(/\nOPS\n?$/, '\n');
    else if (word.startsWith('localhost:8080/')) path = word.slice('localhost:8080'.length);
    else throw new Error(`this part of a curl command is not understood: ${word}`);
  }
  if (path === undefined) throw new Error(`a curl command without an address: ${command}`);
  return {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    path,
    headers,
    ...(body !== undefined && { body }),
  };
}

/** Which members of a reply are shown: `true` is all of it; an array shows each element by the one template it holds. */
export type Shown = true | { [member: string]: Shown } | [Shown];

export interface Step {
  curl: string;
  show: Shown;
  /** Waits for the run that it started, as a reader does who looks again a moment later. */
  thenWait?: true;
}

export interface Transcriber {
  /** Carries out the steps one after the other. @returns Markdown: commands, and what of each reply is shown */
  transcribe(steps: Step[]): Promise<string>;
  close(): Promise<void>;
}

export async function startTranscriber(): Promise<Transcriber> {
  const host = await createHost({ workers: 1 });
  const app = await buildApp({ config: { host: '127.0.0.1', allowedHosts: [] }, host, lifecycle: { closing: false } });
  const ask = async ({ method, path, headers, body }: Request) =>
    app.inject({ method, url: path, headers, ...(body !== undefined && { payload: body }) });

  async function runEnds(path: string, id: string): Promise<void> {
    for (;;) {
      const run = (await ask({ method: 'GET', path: `${path}/${id}`, headers: {} })).json() as { state: string };
      if (run.state !== 'queued' && run.state !== 'running') return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** So that each block stands alone: a reader may begin with any of them. */
  async function forgetSessions(): Promise<void> {
    const { items } = (await ask({ method: 'GET', path: '/v1/sessions', headers: {} })).json() as {
      items: { id: string }[];
    };
    for (const { id } of items) await ask({ method: 'DELETE', path: `/v1/sessions/${id}`, headers: {} });
  }

  return {
    async transcribe(steps) {
      const shown: string[] = [];
      for (const { curl, show, thenWait } of steps) {
        const request = parseCurl(curl);
        const reply = await ask(request);
        const type = String(reply.headers['content-type']);
        const lines = type.startsWith('application/x-ndjson');
        const values = (lines ? reply.body.trimEnd().split('\n') : [reply.body]).map(
          (line) => JSON.parse(line) as unknown,
        );
        for (const value of values) assertShown(curl, value, pick(value, show));
        const output = values.map((value) => (lines ? flat(pick(value, show)) : render(pick(value, show))));
        shown.push(`$ ${curl}\n${output.join('\n')}`);
        if (thenWait) await runEnds(request.path, (values[0] as { id: string }).id);
      }
      await forgetSessions();
      return `\`\`\`console\n${shown.join('\n\n')}\n\`\`\``;
    },
    async close() {
      await app.close();
      await host.close();
    },
  };
}

/** A reply of another kind than the page reckons with would show as nothing at all. */
function assertShown(curl: string, reply: unknown, shown: unknown): void {
  if (JSON.stringify(shown) === '{}')
    throw new Error(`nothing of the reply is shown: ${curl}\n${JSON.stringify(reply)}`);
}

function pick(value: unknown, show: Shown): unknown {
  if (show === true || value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) {
    const [template] = Array.isArray(show) ? show : [show];
    return value.map((element) => pick(element, template!));
  }
  const members = value as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(show)
      .filter(([name]) => name in members)
      .map(([name, template]) => [name, pick(members[name], template as Shown)]),
  );
}

const WIDTH = 118;

/** JSON on one line, spaced as the docs have it. */
export function flat(value: unknown): string {
  return JSON.stringify(value, null, 1)
    .replaceAll(/\n\s*/g, ' ')
    .replaceAll(/([[{]) | ([\]}])/g, '$1$2');
}

/** JSON, on one line where it fits. */
function render(value: unknown, indent = 0, before = 0): string {
  const line = flat(value);
  if (indent + before + line.length <= WIDTH || value === null || typeof value !== 'object') return line;
  const pad = ' '.repeat(indent + 2);
  const entries = Array.isArray(value)
    ? value.map((element) => pad + render(element, indent + 2))
    : Object.entries(value).map(([name, member]) => {
        const key = `${JSON.stringify(name)}: `;
        return pad + key + render(member, indent + 2, key.length);
      });
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return `${open}\n${entries.join(',\n')}\n${' '.repeat(indent)}${close}`;
}

/** Experiments on a server, over HTTP. */
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import type { ExperimentResults } from '../lab/compare/results.ts';
import type { ExperimentDocument, ExperimentInput } from '../lab/experiment.ts';
import { EXIT, Failure, linesOf, type ProblemLike } from './failure.ts';
import type { Catalog, Ended, Place, Watch, Written } from './place.ts';

/** Between two looks at an experiment; short ones are looked at sooner. */
const LOOK_MS = { first: 50, most: 1000, growth: 1.5 };
/** A look that fails is tried again: a server that restarts goes on with its experiments. */
const LOOKS_TRIED = 6;
const BETWEEN_TRIES_MS = 1000;
/** For all but streams of results, which take as long as they take. */
const REPLY_MS = 60_000;

const ACCEPT: Record<Written, string> = {
  report: 'text/html',
  csv: 'text/csv',
  parquet: 'application/vnd.apache.parquet',
  markdown: 'text/markdown',
};

export async function onServer(server: string, tokenFile?: string): Promise<Place> {
  return new Experiments(new Server(server, tokenFile));
}

function tokenOf(file: string | undefined): string | null {
  if (file === undefined) return process.env.IOMMU_LAB_TOKEN?.trim() || null;
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new Failure(EXIT.usage, `--token-file cannot be read: ${(error as Error).message}`);
  }
}

export class Server {
  readonly address: string;
  private readonly token: string | null;

  constructor(server: string, tokenFile?: string) {
    let url: URL;
    try {
      url = new URL(/^https?:\/\//.test(server) ? server : `http://${server}`);
    } catch {
      throw new Failure(EXIT.usage, `"${server}" is no address of a server, as http://127.0.0.1:8080 is`);
    }
    this.address = url.href.replace(/\/+$/, '');
    this.token = tokenOf(tokenFile);
  }

  /** @param what is asked for, in a refusal: `the experiment` */
  async request(method: string, path: string, what: string, { body, accept, type }: Request = {}): Promise<Response> {
    const headers: Record<string, string> = { accept: accept ?? 'application/json' };
    if (this.token !== null) headers.authorization = `Bearer ${this.token}`;
    if (body !== undefined) headers['content-type'] = type ?? 'application/json';
    let response: Response;
    try {
      response = await fetch(`${this.address}${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        signal: AbortSignal.timeout(REPLY_MS),
      });
    } catch (error) {
      throw new Failure(EXIT.server, `${this.address} cannot be reached: ${reasonOf(error)}`);
    }
    if (response.ok) return response;
    throw await this.refusal(response, what);
  }

  /**
   * As `request`, of what may take as long as it takes.
   *
   * @returns also what is not fine; null when the connection broke
   */
  async send(method: string, path: string, { headers, body, signal, limitMs }: Sent): Promise<Response | null> {
    const own = this.token === null ? {} : { authorization: `Bearer ${this.token}` };
    try {
      return await fetch(`${this.address}${path}`, {
        method,
        headers: { accept: 'application/json', ...own, ...headers },
        ...(body === undefined ? {} : { body: body as never, duplex: 'half' }),
        signal: limitMs === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(limitMs)]),
      });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      this.lastBreak = reasonOf(error);
      return null;
    }
  }
  /** Why `send` answered null. */
  lastBreak = '';

  async json<T>(method: string, path: string, what: string, body?: unknown): Promise<T> {
    const response = await this.request(method, path, what, body === undefined ? {} : { body });
    return (await response.json()) as T;
  }

  async refusal(response: Response, what: string): Promise<Failure> {
    const { status } = response;
    const isProblem = response.headers.get('content-type')?.includes('json') ?? false;
    const problem: ProblemLike = isProblem ? ((await response.json().catch(() => ({}))) as ProblemLike) : {};
    if (problem.code === undefined)
      return new Failure(
        EXIT.server,
        `${this.address} answers ${status} and not as iommu-lab does: is it one, and this its address?`,
      );
    const lines = linesOf(problem, what);
    if (status === 401)
      lines.push('  Give a token with --token-file <file>, or in IOMMU_LAB_TOKEN; `iommu-lab token create` makes one.');
    const byInput = status === 400 || status === 404 || status === 409 || status === 413 || status === 422;
    return new Failure(byInput ? EXIT.usage : EXIT.server, ...lines);
  }
}

interface Sent {
  headers: Record<string, string>;
  body?: AsyncIterable<Uint8Array>;
  signal: AbortSignal;
  /** Absent: it takes as long as it takes. */
  limitMs?: number;
}

interface Request {
  body?: unknown;
  accept?: string;
  type?: string;
}

function reasonOf(error: unknown): string {
  const { cause, name, message } = error as Error & { cause?: NodeJS.ErrnoException };
  if (name === 'TimeoutError') return `no answer within ${REPLY_MS / 1000} s`;
  const first = cause instanceof AggregateError ? (cause.errors[0] as NodeJS.ErrnoException) : cause;
  switch (first?.code) {
    case 'ECONNREFUSED':
      return 'nothing listens there (start one with `iommu-lab serve`)';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'no host has that name';
    default:
      return first?.message ?? message;
  }
}

class Experiments implements Place {
  readonly readsFiles = false;
  private readonly server: Server;

  constructor(server: Server) {
    this.server = server;
  }

  recording(): never {
    throw new Error('a server reads no files of this machine');
  }

  catalog(): Promise<Catalog> {
    return this.server.json('GET', '/v1/catalog', 'the catalog');
  }

  validate(input: ExperimentInput): Promise<ExperimentDocument> {
    return this.server.json('POST', '/v1/experiments?validateOnly=true', 'The experiment', input);
  }

  async run(input: ExperimentInput, { signal, onChange }: Watch): Promise<Ended> {
    signal.throwIfAborted();
    // Not aborted itself: who does not know the id of what has begun cannot end it.
    let document = await this.server.json<ExperimentDocument>('POST', '/v1/experiments', 'The experiment', input);
    const path = `/v1/experiments/${document.id}`;
    try {
      for (let between = LOOK_MS.first; document.state === 'queued' || document.state === 'running'; ) {
        onChange(document);
        await wait(between, undefined, { signal });
        between = Math.min(LOOK_MS.most, between * LOOK_MS.growth);
        document = await this.look(path, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      await this.server.request('DELETE', path, 'the experiment');
      throw signal.reason;
    }
    onChange(document);
    const results = await this.server.json<ExperimentResults>('GET', `${path}/results`, 'the results');
    return { document, results, write: (what) => this.write(path, what) };
  }

  private async look(path: string, signal: AbortSignal): Promise<ExperimentDocument> {
    for (let tried = 1; ; tried++) {
      try {
        return await this.server.json<ExperimentDocument>('GET', path, 'the experiment');
      } catch (error) {
        if (!(error instanceof Failure) || error.exitCode !== EXIT.server || tried === LOOKS_TRIED) throw error;
        await wait(BETWEEN_TRIES_MS, undefined, { signal });
      }
    }
  }

  private async write(path: string, what: Written): Promise<Uint8Array> {
    const from = what === 'report' || what === 'markdown' ? `${path}/report` : `${path}/results`;
    const response = await this.server.request('GET', from, `the ${what}`, { accept: ACCEPT[what] });
    return new Uint8Array(await response.arrayBuffer());
  }

  async close(): Promise<void> {}
}

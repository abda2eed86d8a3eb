/**
 * The client: every operation of the contract as a method of its name (`generated/operations.ts`), and what goes on for longer than one
 * request: operations streamed both ways, waiting for runs and experiments, the live stream.
 */
import type { AllOptions, Call, CallOptions } from './call.ts';
import { ConnectionError } from './errors.ts';
import { Operations } from './generated/operations.ts';
import type { Experiment, ExperimentInput, Run, RunRequest } from './generated/types.ts';
import { type OperationSource, type OpsOptions, OpsReplies } from './ops.ts';
import { Pages } from './pages.ts';
import {
  type AbortSignalLike,
  type FetchLike,
  platform,
  type ResponseLike,
  type WebSocketClass,
  wait,
} from './platform.ts';
import { LabStream, type StreamOptions } from './stream.ts';
import { Transport } from './transport.ts';

export interface ClientOptions {
  /** Where the server is, its base path included. The page's own origin in a browser, else `http://127.0.0.1:8080`. */
  url?: string;
  /** Sent as `Authorization: Bearer`; a function is asked each time. */
  token?: string | (() => string | Promise<string>);
  /** For one attempt of one request; 60 s unless said. */
  timeoutMs?: number;
  /** How often to try again what may be tried again; 2 unless said. */
  retries?: number;
  /** Sent with every request. */
  headers?: Record<string, string>;
  /** In place of the global one. */
  fetch?: FetchLike;
  /** In place of the global one, which Node has since version 22. */
  WebSocket?: WebSocketClass;
}

export interface WaitOptions<Document> {
  signal?: AbortSignalLike;
  /** In all; rejected with a `ConnectionError` for `timeout` when it is over. Endless unless said. */
  timeoutMs?: number;
  /** Each time that it was looked at. */
  onProgress?: (document: Document) => void;
}

const TIMEOUT_MS = 60_000;
const RETRIES = 2;
/** Between two looks; what is short is looked at sooner. */
const LOOK_MS = { first: 50, most: 1000, growth: 1.5 };
const ACTIVE = new Set(['queued', 'running']);

export class IommuLab extends Operations {
  private readonly transport: Transport;
  private readonly socketClass: WebSocketClass | undefined;

  /** @param options or only the address */
  constructor(options: ClientOptions | string = {}) {
    super();
    const { url = platform.location?.origin ?? 'http://127.0.0.1:8080', ...rest } =
      typeof options === 'string' ? { url: options } : options;
    this.transport = new Transport({
      url,
      token: rest.token,
      fetch: rest.fetch,
      timeoutMs: rest.timeoutMs ?? TIMEOUT_MS,
      retries: rest.retries ?? RETRIES,
      headers: rest.headers ?? {},
    });
    this.socketClass = rest.WebSocket ?? platform.WebSocket;
  }

  /** Where the server is. */
  get url(): string {
    return this.transport.base;
  }

  protected send<T>(call: Call, options: CallOptions = {}): Promise<T> {
    return this.transport.exchange(call, options as AllOptions, (response) => readAsTyped(response) as Promise<T>);
  }

  protected list<Page, Item>(call: Call, options: CallOptions = {}): Pages<Page, Item> {
    return new Pages<Page, Item>(call.items ?? 'items', (cursor) =>
      this.send<Page>(call, cursor === undefined ? options : ({ ...options, cursor } as CallOptions)),
    );
  }

  /**
   * Applies operations in order, streamed both ways: `POST /v1/sessions/{session}/ops`. Iterate over the replies, or take them `all()`;
   * `results()` throws the first that failed. Nothing is sent before that.
   *
   * @param operations a list, which survives a broken connection; or anything that yields operations, which is sent as it yields them
   */
  ops(session: string, operations: OperationSource, options: OpsOptions = {}): OpsReplies {
    return new OpsReplies(this.transport, session, operations, options);
  }

  /** The same as `ops`, under its name in the contract. */
  applyOperations(session: string, operations: OperationSource, options: OpsOptions = {}): OpsReplies {
    return this.ops(session, operations, options);
  }

  /** The live stream of a session: `GET /v1/sessions/{session}/stream`. Begins to connect at once. */
  openStream(session: string, options: StreamOptions = {}): LabStream {
    return new LabStream(this.transport, this.socketClass, session, options);
  }

  /** Starts a run and waits for its end: see `waitForRun`. */
  async run(session: string, request: RunRequest, options: WaitOptions<Run> = {}): Promise<Run> {
    const { id } = await this.startRun(session, request, signalOf(options));
    return this.waitForRun(session, id, options);
  }

  /** @returns the run when it has ended; check its `state`: `finished`, `cancelled` or `failed`, the last two with a `problem` */
  waitForRun(session: string, run: string, options: WaitOptions<Run> = {}): Promise<Run> {
    return ended(() => this.getRun(session, run, signalOf(options)), `run ${run}`, options);
  }

  /** Starts an experiment and waits for its end: see `waitForExperiment`. */
  async experiment(body: ExperimentInput, options: WaitOptions<Experiment> = {}): Promise<Experiment> {
    const { id } = await this.createExperiment(body, signalOf(options));
    return this.waitForExperiment(id, options);
  }

  /** @returns the experiment when it has ended; its results are another request, `getExperimentResults` */
  waitForExperiment(experiment: string, options: WaitOptions<Experiment> = {}): Promise<Experiment> {
    return ended(() => this.getExperiment(experiment, signalOf(options)), `experiment ${experiment}`, options);
  }
}

/** JSON, text or bytes, as the reply's own type says. */
async function readAsTyped(response: ResponseLike): Promise<unknown> {
  const type = response.headers.get('content-type') ?? '';
  if (response.status === 204 || type === '') return undefined;
  if (/^application\/([\w.-]+\+)?json\b/.test(type)) {
    const text = await response.text();
    // None behind a HEAD.
    return text === '' ? undefined : JSON.parse(text);
  }
  if (/^text\/|^application\/(yaml|openmetrics-text|x-ndjson|jsonl)/.test(type)) return response.text();
  return new Uint8Array(await response.arrayBuffer());
}

function signalOf({ signal }: { signal?: AbortSignalLike }): CallOptions {
  return signal === undefined ? {} : { signal };
}

async function ended<Document extends { state: string }>(
  look: () => Promise<Document>,
  name: string,
  { signal, timeoutMs = Number.POSITIVE_INFINITY, onProgress }: WaitOptions<Document>,
): Promise<Document> {
  const untilMs = platform.performance.now() + timeoutMs;
  for (let betweenMs = LOOK_MS.first; ; betweenMs = Math.min(LOOK_MS.most, betweenMs * LOOK_MS.growth)) {
    const document = await look();
    onProgress?.(document);
    if (!ACTIVE.has(document.state)) return document;
    const leftMs = untilMs - platform.performance.now();
    if (leftMs <= 0) throw new ConnectionError('timeout', `waiting for ${name}`);
    await wait(Math.min(betweenMs, leftMs), signal);
  }
}

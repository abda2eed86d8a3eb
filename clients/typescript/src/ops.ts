/**
 * `ops`: operations in, replies out, one line each, in order.
 *
 * A list of operations is sent as one body and, when the connection breaks, sent again under its `Idempotency-Key`: the server answers
 * again what it had applied and goes on behind it, and here each reply is given out once. A source that yields operations is sent as it
 * yields them, as fast as the server takes them, while replies arrive; so an operation may depend on the reply before it. It cannot be
 * sent twice. Browsers send no body that is not complete: there the source is read to its end first.
 */
import type { Call, CallOptions } from './call.ts';
import { ConnectionError, IommuLabError } from './errors.ts';
import type {
  AdvanceResult,
  AttachResult,
  BufferResult,
  DeviceResult,
  DmaResult,
  DomainResult,
  InvalidateResult,
  IommuMapResult,
  IommuUnmapResult,
  MapResult,
  OperationLine,
  Problem,
  Removed,
  SyncResult,
  TenantResult,
  UnmapResult,
} from './generated/types.ts';
import { linesOf } from './lines.ts';
import { backoffMs, isBrowser, platform, wait } from './platform.ts';
import type { Opened, Transport } from './transport.ts';

/** What each operation answers when it is carried out. */
export interface OperationResults {
  tenant: TenantResult;
  domain: DomainResult;
  device: DeviceResult;
  attach: AttachResult;
  detach: AttachResult;
  buffer: BufferResult;
  free: Removed;
  map: MapResult;
  unmap: UnmapResult;
  dma: DmaResult;
  'iommu-map': IommuMapResult;
  'iommu-unmap': IommuUnmapResult;
  sync: SyncResult;
  invalidate: InvalidateResult;
  advance: AdvanceResult;
}

export type OpName = keyof OperationResults;

/** `line` counts from 1. `op` is null when the line was no operation. */
export type OpReply =
  | { [Op in OpName]: { line: number; op: Op; ok: true; result: OperationResults[Op] } }[OpName]
  | { line: number; op: OpName | null; ok: false; problem: Problem };

/**
 * An operation. Any string of it may be `"$a"`, `"$a.iova"`, `"$a.segments[1].iova"`, `"$a.iova+4096"`, for the result of the line that
 * says `as: 'a'`.
 */
export type Operation = OperationLine;

export interface OpsOptions extends CallOptions {
  /** `stop` (the default): the first failed operation is the last that is answered. `continue`: the rest is applied, too. */
  onError?: 'stop' | 'continue';
}

export type OperationSource = Iterable<Operation> | AsyncIterable<Operation>;

const FIRST_WAIT_MS = 200;
const MOST_WAIT_MS = 10_000;
const CHUNK_LENGTH = 65_536;

/** The replies, as they come. Nothing is sent before they are asked for; and they can be asked for once. */
export class OpsReplies implements AsyncIterable<OpReply> {
  private readonly play: () => AsyncGenerator<OpReply, void, undefined>;
  private readonly request: string;
  private isTaken = false;

  constructor(transport: Transport, session: string, operations: OperationSource, options: OpsOptions) {
    const path = `/v1/sessions/${encodeURIComponent(session)}/ops`;
    this.request = `POST ${path}`;
    const call: Call = { method: 'POST', path, query: ['onError'], keyed: true, accept: 'application/x-ndjson' };
    this.play = () =>
      Array.isArray(operations)
        ? list(transport, call, operations as Operation[], options)
        : source(transport, call, operations, options);
  }

  [Symbol.asyncIterator](): AsyncGenerator<OpReply, void, undefined> {
    if (this.isTaken) throw new Error('These operations have been sent already: call ops() again to send them again.');
    this.isTaken = true;
    return this.play();
  }

  /** Every reply, those of failed operations too. */
  async all(): Promise<OpReply[]> {
    const replies: OpReply[] = [];
    for await (const reply of this) replies.push(reply);
    return replies;
  }

  /** What the operations answered; the first that failed is thrown, with its line in `request`. */
  async results(): Promise<OperationResults[OpName][]> {
    const results: OperationResults[OpName][] = [];
    for await (const reply of this) {
      if (!reply.ok) throw new IommuLabError(reply.problem, `${this.request}, line ${reply.line}`);
      results.push(reply.result);
    }
    return results;
  }
}

async function* list(
  transport: Transport,
  call: Call,
  operations: readonly Operation[],
  options: OpsOptions,
): AsyncGenerator<OpReply, void, undefined> {
  const body = operations.map((operation) => `${JSON.stringify(operation)}\n`).join('');
  const whole = { ...call, body, bodyType: 'application/x-ndjson' };
  const { retries = transport.retries, signal } = options;
  const key = retries > 0 ? transport.keyOf(call, { ...options }) : options.idempotencyKey || undefined;
  let given = 0;
  for (let tried = 0; ; tried++) {
    let known = 0;
    try {
      const keyed = key === undefined ? { idempotencyKey: false as const } : { idempotencyKey: key };
      const opened = await transport.persist(whole, { ...options, ...keyed }, (each) =>
        transport.open(whole, { ...options }, each),
      );
      for await (const reply of repliesOf(opened)) {
        if (++known <= given) continue;
        given = known;
        tried = 0;
        yield reply;
      }
      return;
    } catch (error) {
      const again = error instanceof ConnectionError && error.reason === 'cut' && key !== undefined;
      if (!again || tried >= retries) throw error;
      await wait(backoffMs(tried, FIRST_WAIT_MS, MOST_WAIT_MS), signal);
    }
  }
}

async function* source(
  transport: Transport,
  call: Call,
  operations: OperationSource,
  options: OpsOptions,
): AsyncGenerator<OpReply, void, undefined> {
  if (isBrowser()) {
    const all: Operation[] = [];
    for await (const operation of operations) all.push(operation);
    yield* list(transport, call, all, options);
    return;
  }
  const sending: Sending = { isWanted: true };
  const whole = { ...call, body: chunksOf(operations, sending), bodyType: 'application/x-ndjson' };
  try {
    const opened = await transport.open(whole, { ...options }, options.idempotencyKey || undefined);
    yield* repliesOf(opened);
  } catch (error) {
    // That the source failed says more than that the request then broke off.
    throw 'error' in sending ? sending.error : error;
  } finally {
    sending.isWanted = false;
  }
}

interface Sending {
  /** Node goes on pulling at a body whose request was aborted. */
  isWanted: boolean;
  /** Of the source. */
  error?: unknown;
}

async function* repliesOf(opened: Opened): AsyncGenerator<OpReply, void, undefined> {
  opened.unhurried();
  const reader = opened.response.body?.getReader();
  let isRead = false;
  try {
    if (reader !== undefined) for await (const line of linesOf(reader, opened)) yield JSON.parse(line) as OpReply;
    isRead = true;
  } finally {
    // Whoever stops asking ends the request, and with it what was not applied yet.
    if (!isRead) {
      await reader?.cancel().catch(() => undefined);
      opened.abort();
    }
    opened.close();
  }
}

/** Many operations to a chunk where they are at hand, and none held back where they are not. */
async function* chunksOf(operations: OperationSource, sending: Sending): AsyncGenerator<Uint8Array, void, undefined> {
  const encoder = new platform.TextEncoder();
  const iterator =
    Symbol.asyncIterator in operations ? operations[Symbol.asyncIterator]() : operations[Symbol.iterator]();
  let isOver = false;
  try {
    let next = asked(iterator);
    while (!isOver) {
      let text = '';
      if (!sending.isWanted) throw new Error('the replies are no longer wanted');
      do {
        const { done, value } = await next.catch((error: unknown) => {
          sending.error = error;
          isOver = true;
          throw error;
        });
        if (done === true) {
          isOver = true;
          break;
        }
        text += `${JSON.stringify(value)}\n`;
        next = asked(iterator);
      } while (text.length < CHUNK_LENGTH && (await isSettled(next)));
      if (text !== '') yield encoder.encode(text);
      // A source that waits for nothing, on a connection that takes all, would leave no turn to whatever else there is, the replies too.
      if (text.length >= CHUNK_LENGTH) await wait(0);
    }
  } finally {
    if (!isOver) await iterator.return?.();
  }
}

async function next<T>(iterator: Iterator<T> | AsyncIterator<T>): Promise<IteratorResult<T>> {
  return iterator.next();
}

/** Its failure is met where it is awaited, which may be later. */
function asked<T>(iterator: Iterator<T> | AsyncIterator<T>): Promise<IteratorResult<T>> {
  const promise = next(iterator);
  promise.catch(() => undefined);
  return promise;
}

const NOT_YET = Symbol('not yet');

/** Whether a promise is settled after the few turns that a generator takes which waits for nothing. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const turns = (async () => {
    for (let i = 0; i < 8; i++) await undefined;
    return NOT_YET;
  })();
  return (await Promise.race([promise.catch(() => undefined), turns])) !== NOT_YET;
}

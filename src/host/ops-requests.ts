/** The `ops` requests that are open: how many there may be, and the way of one into the session's worker. */
import type { Entry } from './entry.ts';
import type { HostProblem, OpsOptions, Reply } from './host.ts';
import type { HostLimits } from './limits.ts';
import { type ExchangeSettings, OpsExchange } from './ops-exchange.ts';
import { refuse } from './problems.ts';
import { within } from './within.ts';
import type { WorkerHandle } from './worker-handle.ts';

type Bytes = AsyncIterable<Uint8Array>;

export class OpsRequests {
  private readonly limits: HostLimits;
  private lastStream = 0;
  private opened = 0;

  constructor(limits: HostLimits) {
    this.limits = limits;
  }

  /** @param ready brings the session to where lines can be applied; answers why it cannot, or null */
  async open(
    entry: Entry,
    ready: () => Promise<HostProblem | null>,
    body: Bytes,
    options: OpsOptions,
  ): Promise<Reply<Bytes>> {
    if (this.opened >= this.limits.opsRequests) {
      const detail = `${this.opened} requests of operations are open, and ${this.limits.opsRequests} is the limit.`;
      return refuse({ code: 'too-many-requests', detail, retryable: true });
    }
    const stream = ++this.lastStream;
    let handle: WorkerHandle | null = null;
    let open = true;
    const closed = (): void => {
      if (!open) return;
      open = false;
      this.opened--;
      entry.openStreams--;
      entry.touchedMs = performance.now();
      handle?.exchanges.delete(stream);
    };
    this.opened++;
    entry.openStreams++;
    try {
      const array = options.format === 'array' ? await this.collect(body) : null;
      const problem = array !== null && !(array instanceof ArrayBuffer) ? array : await ready();
      if (problem !== null) {
        closed();
        return refuse(problem);
      }
      handle = entry.handle!;
      return await this.exchange(entry.id, handle, stream, array as ArrayBuffer | null, body, options, closed);
    } catch (error) {
      // Only the body throws here: the client broke off.
      closed();
      return refuse({ code: 'aborted', detail: `The request body broke off: ${String(error)}` });
    }
  }

  private exchange(
    id: string,
    handle: WorkerHandle,
    stream: number,
    array: ArrayBuffer | null,
    body: Bytes,
    options: OpsOptions,
    closed: () => void,
  ): Promise<Reply<Bytes>> {
    const { opsInputBytes: inputBytes, opsIdleMs: idleMs } = this.limits;
    const { onError, signal, resume = null, key = null } = options;
    const aborted = new SharedArrayBuffer(4);
    const settings: ExchangeSettings = { stream, inputBytes, idleMs, aborted, signal, closed };
    return new Promise((resolve) => {
      handle.call(
        { kind: 'ops-open', session: id, stream, onError, array, resume, key, aborted },
        (reply) => {
          if (!reply.ok) {
            closed();
            // Opened after all, it would wait for lines that never come.
            handle.note({ kind: 'ops-abort', stream });
            resolve(reply);
            return;
          }
          const exchange = new OpsExchange(handle, settings);
          handle.exchanges.set(stream, exchange);
          if (array === null) void exchange.feed(body);
          resolve({ ok: true, value: exchange });
        },
        array ?? undefined,
      );
    });
  }

  /** The whole body, in a buffer of its own. */
  private async collect(body: Bytes): Promise<ArrayBuffer | HostProblem> {
    const { opsArrayBytes, opsIdleMs } = this.limits;
    const chunks: Uint8Array[] = [];
    let byteCount = 0;
    const iterator = body[Symbol.asyncIterator]();
    for (;;) {
      const next = await within(iterator.next(), opsIdleMs);
      if (next === null) return { code: 'idle-timeout', detail: 'Nothing of the body arrived for too long.' };
      if (next.done) break;
      byteCount += next.value.byteLength;
      if (byteCount > opsArrayBytes) {
        const detail = `An array may have ${opsArrayBytes} bytes; send lines instead, which may be of any total length.`;
        return { code: 'body-too-large', detail };
      }
      chunks.push(next.value);
    }
    const whole = new Uint8Array(byteCount);
    let offset = 0;
    for (const chunk of chunks) {
      whole.set(chunk, offset);
      offset += chunk.byteLength;
    }
    return whole.buffer;
  }
}

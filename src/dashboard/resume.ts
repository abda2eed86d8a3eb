/**
 * Where a stream stands, so that it can go on there: the pure half of `stream.ts`. Protocol: docs/stream.md.
 *
 * Kept are the epoch and the sequence of the last frame; whoever comes back says both, and gets what is still in the session's history.
 * Only a `gap` means loss, and it is told in words.
 */

export type Topic = 'metrics' | 'events' | 'faults' | 'verdicts' | 'runs';

export interface Frame {
  type: Topic;
  epoch: string;
  sequence: number;
  timeNs: number;
  data: unknown;
}

export interface Gap {
  type: 'gap';
  epoch: string;
  from: number | null;
  to: number | null;
  reason: string;
  dropped?: Partial<Record<Topic, number>>;
}

export interface EpochChange {
  type: 'epoch';
  epoch: string;
  previous: string;
}

export interface Hello {
  type: 'hello';
  epoch: string;
  sequence: number;
}

export type Message =
  | Frame
  | Gap
  | EpochChange
  | Hello
  | { type: 'subscribed' | 'unsubscribed' | 'pong' | 'error' | 'shutdown' };

/** How a message with much in it begins; one that is written in another way is read whole. */
const LONG = /^\{"type":"(faults|verdicts)","epoch":("[^"\\]*"),"sequence":(\d+),"timeNs":(\d+),"data":/;

/** A frame whose data is read when somebody asks for it: of most, the log shows nothing any more by then. */
class LateFrame implements Frame {
  readonly type: Topic;
  readonly epoch: string;
  readonly sequence: number;
  readonly timeNs: number;
  private text: string;
  private read: unknown;

  constructor(text: string, [, type, epoch, sequence, timeNs]: RegExpExecArray) {
    this.type = type as Topic;
    this.epoch = JSON.parse(epoch as string) as string;
    this.sequence = Number(sequence);
    this.timeNs = Number(timeNs);
    this.text = text;
  }

  get data(): unknown {
    if (this.text !== '') this.read = (JSON.parse(this.text) as Frame).data;
    this.text = '';
    return this.read;
  }
}

export function messageOf(text: string): Message {
  const head = LONG.exec(text);
  return head === null ? (JSON.parse(text) as Message) : new LateFrame(text, head);
}

export function isFrame(message: { type: string }): message is Frame {
  return 'data' in message;
}

export class Resume {
  /** Null: nothing was received yet. */
  epoch: string | null = null;
  sequence = 0;

  /**
   * What is answered to a greeting: at first from the newest frame on, or from `history` frames before it; later from where one was.
   */
  subscribe(hello: Hello, topics: readonly Topic[], everyMs: number, history = 0): Record<string, unknown> {
    if (this.epoch === null) {
      this.epoch = hello.epoch;
      this.sequence = Math.max(0, hello.sequence - history);
    }
    return { type: 'subscribe', topics, everyMs, epoch: this.epoch, fromSequence: this.sequence + 1 };
  }

  /** To be told everything that arrives but the greeting. */
  take(message: Message): void {
    if (message.type === 'epoch') {
      const { epoch } = message as EpochChange;
      this.epoch = epoch;
      this.sequence = 0;
    } else if (message.type === 'gap') {
      const { epoch, to, reason } = message as Gap;
      if (reason === 'other-epoch') this.sequence = 0;
      else if (epoch === this.epoch && to !== null) this.sequence = Math.max(this.sequence, to);
    } else if (isFrame(message)) {
      if (message.epoch !== this.epoch) {
        this.epoch = message.epoch;
        this.sequence = 0;
      }
      this.sequence = Math.max(this.sequence, message.sequence);
    }
  }
}

const REASONS: Record<string, string> = {
  evicted: 'the session no longer keeps them',
  'other-epoch': 'the session was reset, or the server restarted, meanwhile',
  'slow-reader': 'this page did not read fast enough',
  reset: 'the session was reset before they were sent',
  'too-large': 'one was too large to send',
};

/** One sentence. */
export function gapInWords({ from, to, reason, dropped }: Gap): string {
  const why = REASONS[reason] ?? reason;
  const parts = Object.entries(dropped ?? {}).filter(([, count]) => count > 0);
  const what =
    parts.length > 0
      ? `${parts.map(([topic, count]) => `${count} of ${topic}`).join(', ')}`
      : from !== null && to !== null
        ? `frames ${from} to ${to}`
        : from !== null
          ? `frames from ${from} on`
          : 'some frames';
  return `Missing: ${what}; ${why}.`;
}

/** Whether it is of no use to come back after that close code (docs/stream.md). */
export function isFinal(code: number): boolean {
  return code >= 4500 && code < 5000;
}

const ENDINGS: Record<number, string> = {
  1001: 'The server is shutting down.',
  1006: 'The connection was lost.',
  4000: 'This page did not read what was sent to it.',
  4001: 'The connection did not answer.',
  4002: 'This page sent too many messages.',
  4500: 'The session was deleted.',
  4501: 'This page sent messages that are none of the stream.',
  4502: 'The session failed.',
  4503: 'The token or link is no longer good.',
  4504: 'The session is no longer shared with you.',
};

export function endInWords(code: number, reason = ''): string {
  return ENDINGS[code] ?? (reason === '' ? `The stream ended (${code}).` : reason);
}

/** Longer from time to time, and never the same for many who were cut off together. @param chance 0 to 1 */
export function delayMs(attempt: number, chance: number): number {
  const most = Math.min(500 * 2 ** attempt, 15_000);
  return Math.round(most * (0.5 + chance / 2));
}

/** What the server says beside the frames. `asyncapi.yaml` has the schemas and the meaning of every member. */
import type { ProblemDocument } from '../api/problem.ts';
import type { Topic } from './topics.ts';

export interface Hello {
  type: 'hello';
  epoch: string;
  /** Of the newest frame, 0 before the first. */
  sequence: number;
  topics: readonly Topic[];
  limits: Record<string, number>;
}

export interface Subscribed {
  type: 'subscribed';
  epoch: string;
  topics: Topic[];
  everyMs: number;
  /** No frame of these topics before this one will be sent. */
  sequence: number;
  /** Everything now subscribed to. */
  active: Topic[];
}

export interface Unsubscribed {
  type: 'unsubscribed';
  topics: Topic[];
  active: Topic[];
}

export interface Pong {
  type: 'pong';
  epoch: string;
  sequence: number;
  timeNs: number;
}

export interface StreamError {
  type: 'error';
  problem: ProblemDocument;
}

export type GapReason = 'evicted' | 'slow-reader' | 'other-epoch' | 'reset' | 'too-large';

/** Frames from `from` to `to`, both inclusive, that will not be sent; null where the server no longer knows. */
export interface Gap {
  type: 'gap';
  /** In which `from` and `to` count. */
  epoch: string;
  from: number | null;
  to: number | null;
  reason: GapReason;
  /** By topic, where it is known: how many are missing. Other topics then miss nothing. */
  dropped?: Partial<Record<Topic, number>>;
}

export interface EpochChange {
  type: 'epoch';
  epoch: string;
  previous: string;
  sequence: 0;
}

export interface Shutdown {
  type: 'shutdown';
  detail: string;
}

/** Of an event stream, which has no close code. */
export interface End {
  type: 'end';
  code: number;
  reason: string;
}

export type ServerMessage = Hello | Subscribed | Unsubscribed | Pong | StreamError | Gap | EpochChange | Shutdown | End;

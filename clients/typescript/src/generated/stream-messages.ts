/**
 * Messages of the stream, from asyncapi.yaml; do not edit: `npm run client` writes it.
 */
import type { Fault, Metrics, Problem, Run } from './types.ts';

export type Topic = 'metrics' | 'events' | 'faults' | 'verdicts' | 'runs';
export type Topics = Topic[];
/**
 * Opaque; a new one when the session is created and at each reset.
 */
export type EpochId = string;
export type Count = number;
/**
 * Least time between two metrics frames, in milliseconds of wall time. Other topics are not thinned.
 */
export type EveryMs = number;
/**
 * How many the simulation itself could not keep until they were recorded, of all topics; told with the events.
 */
export type Dropped = number;

/**
 * Adds `topics` to those subscribed to. Without `fromSequence` new topics begin with the next frame, and those already subscribed
 * to go on as they are. `everyMs` holds for the connection.
 *
 */
export interface Subscribe {
  type: 'subscribe';
  topics: Topics;
  everyMs?: EveryMs;
  /**
   * In which `fromSequence` counts; the current one when absent. After any other a `gap` is sent, and then what there is of the
   * current epoch from its beginning.
   *
   */
  epoch?: string;
  /**
   * Begin with this frame, itself included; 0 means 1. At most one more than the newest.
   */
  fromSequence?: number;
}
export interface Unsubscribe {
  type: 'unsubscribe';
  /**
   * All when absent.
   */
  topics?: Topic[];
}
export interface Ping {
  type: 'ping';
}
export interface Hello {
  type: 'hello';
  epoch: EpochId;
  /**
   * Of the newest frame; 0 before the first.
   */
  sequence: number;
  topics: Topics;
  /**
   * Bounds that a client may meet, by name; units are in the names.
   */
  limits: {
    [k: string]: Count;
  };
}
export interface Subscribed {
  type: 'subscribed';
  epoch: EpochId;
  topics: Topics;
  everyMs: EveryMs;
  /**
   * No frame of these topics before this one will be sent.
   */
  sequence: number;
  /**
   * Everything now subscribed to.
   */
  active: Topic[];
}
export interface Unsubscribed {
  type: 'unsubscribed';
  topics: Topic[];
  /**
   * Everything still subscribed to.
   */
  active: Topic[];
}
export interface Pong {
  type: 'pong';
  epoch: EpochId;
  /**
   * Of the newest frame; 0 before the first.
   */
  sequence: number;
  /**
   * Simulated time of the newest frame; 0 before the first.
   */
  timeNs: number;
}
export interface ErrorMessage {
  type: 'error';
  problem: Problem;
}
/**
 * Recorded ten times a second of wall time while the session changes.
 */
export interface MetricsFrame {
  type: 'metrics';
  epoch: EpochId;
  sequence: number;
  timeNs: Count;
  data: Metrics;
}
export interface EventsFrame {
  type: 'events';
  epoch: EpochId;
  sequence: number;
  timeNs: Count;
  data: EventNotices;
}
/**
 * What happened since the last frame of the topic, oldest first; as `GET .../events` has it.
 */
export interface EventNotices {
  items: {
    timeNs: Count;
    sequence?: Count;
    type: string;
    [k: string]: unknown;
  }[];
  dropped: Dropped;
}
export interface FaultsFrame {
  type: 'faults';
  epoch: EpochId;
  sequence: number;
  timeNs: Count;
  data: FaultNotices;
}
/**
 * Faults since the last frame of the topic, oldest first; as `GET .../faults` has them.
 */
export interface FaultNotices {
  items: Fault[];
  dropped: Dropped;
}
export interface VerdictsFrame {
  type: 'verdicts';
  epoch: EpochId;
  sequence: number;
  timeNs: Count;
  data: VerdictNotices;
}
/**
 * Accesses since the last frame of the topic whose verdict was not `ok`, oldest first; `workload` where it was one of a workload.
 */
export interface VerdictNotices {
  items: {
    timeNs: Count;
    workload?: string;
    device: string;
    iova: string;
    lengthBytes: Count;
    access: 'read' | 'write';
    verdict: string;
    [k: string]: unknown;
  }[];
  dropped: Dropped;
}
export interface RunsFrame {
  type: 'runs';
  epoch: EpochId;
  sequence: number;
  timeNs: Count;
  data: Run;
}
/**
 * Frames `from` to `to`, both inclusive, will not be sent. Reasons - `evicted`, asked for but no longer in the history;
 * `slow-reader`, the client did not read fast enough; `other-epoch`, asked for from an epoch that is not the current one;
 * `reset`, not sent before the session was reset; `too-large`, a frame was larger than a frame may be.
 *
 */
export interface Gap {
  type: 'gap';
  epoch: EpochId;
  /**
   * null when the client named only an epoch.
   */
  from: number | null;
  /**
   * null when the server does not know where the epoch ended.
   */
  to: number | null;
  reason: 'evicted' | 'slow-reader' | 'other-epoch' | 'reset' | 'too-large';
  /**
   * How many frames are missing, by topic; a topic that is not named misses none. Absent where it is not known.
   *
   */
  dropped?: {
    metrics?: number;
    events?: number;
    faults?: number;
    verdicts?: number;
    runs?: number;
  };
}
/**
 * Subscriptions stay as they are. Between the two epochs there may have been others that the client never saw.
 */
export interface Epoch {
  type: 'epoch';
  epoch: EpochId;
  previous: EpochId;
  sequence: 0;
}
export interface Shutdown {
  type: 'shutdown';
  detail: string;
}
/**
 * Below 4500 it is worth coming back, from 4500 on it is not; `docs/stream.md` has the list.
 */
export interface End {
  type: 'end';
  /**
   * With which a WebSocket is closed for the same reason.
   */
  code: 1001 | 1011 | 4000 | 4500 | 4502 | 4503 | 4504;
  reason: string;
}
export interface EventStreamQuery {
  /**
   * Names with commas between them; all when absent.
   */
  topics?: string;
  everyMs?: EveryMs;
  /**
   * As in `subscribe`. Not looked at where there is a `Last-Event-ID`.
   */
  epoch?: string;
  /**
   * As in `subscribe`. Not looked at where there is a `Last-Event-ID`.
   */
  fromSequence?: number;
  /**
   * Of `POST /v1/ws-tickets`; good for one stream, so not for coming back.
   */
  ticket?: string;
}

/** What can be subscribed to. A topic is the `type` of its frames. */
import type { SessionFrame } from '../host/host.ts';

export type Topic = SessionFrame['type'];

export const TOPICS: readonly Topic[] = ['metrics', 'events', 'faults', 'verdicts', 'runs'];

/** Topics are handled by their place in `TOPICS`. */
export const TOPIC_COUNT = TOPICS.length;
export const METRICS = TOPICS.indexOf('metrics');

export function topicIndex(topic: Topic): number {
  return TOPICS.indexOf(topic);
}

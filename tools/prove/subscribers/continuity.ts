/** Whether a subscriber has had, or was told that it will not have, every frame that was recorded. */
import type { ToldGap } from './listener.ts';

export interface Continuity {
  received: number;
  /** Frames that a gap stands for. */
  inGaps: number;
  complaints: string[];
}

/**
 * @param recorded sequences of the topic's frames, rising, from the first that the subscriber should have
 * @param received in the order in which they came
 */
export function continuityOf(
  recorded: readonly number[],
  received: readonly number[],
  gaps: readonly ToldGap[],
  topic: string,
): Continuity {
  const complaints: string[] = [];
  for (let i = 1; i < received.length; i++) {
    if (received[i]! > received[i - 1]!) continue;
    complaints.push(`frame ${received[i]} came after ${received[i - 1]}`);
    break;
  }
  const here = new Set(received);
  const known = new Set(recorded);
  const about = gaps.filter(({ dropped }) => dropped === undefined || (dropped[topic] ?? 0) > 0);
  const missing = recorded.filter((sequence) => !here.has(sequence));
  const silent = missing.filter(
    (sequence) => !about.some(({ from, to }) => (from ?? 0) <= sequence && sequence <= (to ?? sequence)),
  );
  if (silent.length > 0)
    complaints.push(`${silent.length} frames are missing without a gap, the first is ${silent[0]}`);
  // A gap says how many; as many are not here.
  const counted = about.reduce((sum, { dropped }) => sum + (dropped?.[topic] ?? 0), 0);
  const allCount = silent.length === 0 && about.every(({ dropped }) => dropped !== undefined);
  if (allCount && counted !== missing.length)
    complaints.push(`gaps count ${counted} frames, and ${missing.length} are missing`);
  const unknown = received.filter((sequence) => !known.has(sequence));
  if (unknown.length > 0) complaints.push(`frame ${unknown[0]} was never recorded`);
  return { received: received.length, inGaps: missing.length - silent.length, complaints };
}

/**
 * Requests on a timetable: each leaves at its time whether the one before was answered or not, as those of independent users do. A
 * server that stops for a while then shows in every request that fell into the pause, not only in one.
 */
import type { Api } from './api.ts';
import { quantile } from './rounds.ts';

export interface Probe {
  name: string;
  send(): Promise<unknown>;
}

/** @returns [probe]: milliseconds from the time at which each request was to leave to its answer */
export async function probe(
  probes: readonly Probe[],
  setting: { seconds: number; perSecond: number },
): Promise<number[][]> {
  const { seconds, perSecond } = setting;
  const latencies: number[][] = probes.map(() => []);
  const open: Promise<void>[] = [];
  const total = Math.round(seconds * perSecond) * probes.length;
  const begin = performance.now();
  for (let nth = 0; nth < total; nth++) {
    const due = begin + (nth * 1000) / perSecond / probes.length;
    const wait = due - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const which = nth % probes.length;
    // What the client's own timer was late by is not the server's.
    const now = performance.now();
    const sent = Math.min(now, Math.max(due, now - 1));
    open.push(
      probes[which]!.send().then(() => {
        latencies[which]!.push(performance.now() - sent);
      }),
    );
  }
  await Promise.all(open);
  return latencies;
}

export function showLatencies(what: string, latencies: readonly number[]): void {
  const ms = (part: number): string => quantile(latencies, part).toFixed(1).padStart(6);
  console.log(
    `  ${what.padEnd(52)} p50 ${ms(0.5)}  p99 ${ms(0.99)}  highest ${ms(1)} ms  (${latencies.length} requests)`,
  );
}

export interface SmallSession {
  name: string;
  probes: Probe[];
}

/** A session that does nothing of its own: one device, one mapping. */
export async function smallSession(api: Api, name: string): Promise<SmallSession> {
  const at = `/v1/sessions/${name}`;
  const devices = [{ name: 'nic0', kind: 'custom' }];
  await api.call('POST', '/v1/sessions', { name, policy: { allocator: { kind: 'bitmap' } }, devices });
  await api.call('POST', `${at}/buffers`, { name: 'skb', lengthBytes: 4096 });
  const body = { kind: 'single', direction: 'from-device', buffer: 'skb' };
  const { iova } = await api.call('POST', `${at}/devices/nic0/mappings`, body);
  const access = { iova, lengthBytes: 64, access: 'write' };
  return {
    name,
    probes: [
      { name: 'dma', send: () => api.call('POST', `${at}/devices/nic0/dma`, access) },
      { name: 'read of the session', send: () => api.call('GET', at) },
    ],
  };
}

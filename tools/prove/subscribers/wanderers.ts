/** Subscribers that are cut off again and again, in all three ways to have the stream, and go on from where they were. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { EventClient } from '../../../test/stream/event-client.ts';
import { Client, type Message } from '../../../test/stream/stream-server.ts';
import type { Dice } from '../dice.ts';
import type { ToldGap } from './listener.ts';

export const WAYS = ['text', 'binary', 'events'] as const;
export type Way = (typeof WAYS)[number];

const LONGEST_STAY_MS = 700;
const LONGEST_AWAY_MS = 500;
const LAST_MS = 10_000;

export interface Wandered {
  visits: number;
  sequences: number[];
  gaps: ToldGap[];
}

export interface Journey {
  port: number;
  session: string;
  way: Way;
  dice: Dice;
  /** Of the frame to begin with. */
  epoch: string;
  from: number;
  over(): boolean;
  /** Of the last frame; asked when it is over. */
  last(): number;
}

/** A visit: what has come is handed over as it comes. */
type Visit = (journey: Journey, from: number, take: (message: Message) => void) => Promise<{ leave(): void }>;

export async function wander(journey: Journey): Promise<Wandered> {
  const { dice } = journey;
  const visit = journey.way === 'events' ? visitEvents : visitSocket;
  const wandered: Wandered = { visits: 0, sequences: [], gaps: [] };
  let next = journey.from;
  const take = (message: Message): void => {
    if (message.type === 'gap') {
      wandered.gaps.push(message);
      next = Math.max(next, message.to + 1);
    } else if (message.type === 'metrics') {
      wandered.sequences.push(message.sequence);
      next = message.sequence + 1;
    }
  };
  while (!journey.over()) {
    const { leave } = await visit(journey, next, take);
    wandered.visits++;
    await sleep(dice(LONGEST_STAY_MS));
    leave();
    await sleep(dice(LONGEST_AWAY_MS));
  }
  const { leave } = await visit(journey, next, take);
  const endMs = performance.now() + LAST_MS;
  while (next <= journey.last() && performance.now() < endMs) await sleep(20);
  leave();
  return wandered;
}

const visitSocket: Visit = async ({ port, session, way, epoch }, fromSequence, take) => {
  const protocol = way === 'binary' ? 'iommu-lab.v1.cbor' : 'iommu-lab.v1';
  const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/sessions/${session}/stream`, protocol);
  const client = await Client.open(socket);
  client.send({ type: 'subscribe', topics: ['metrics'], everyMs: 10, epoch, fromSequence });
  void handOver(() => client.next(), take);
  return { leave: () => socket.terminate() };
};

const visitEvents: Visit = async ({ port, session, epoch }, fromSequence, take) => {
  const path = `/v1/sessions/${session}/stream?topics=metrics&everyMs=10`;
  // By turns as a browser comes back, and as one that asks anew.
  const client =
    fromSequence % 2 === 0
      ? await EventClient.open(port, path, { 'last-event-id': `${epoch}:${fromSequence - 1}` })
      : await EventClient.open(port, `${path}&epoch=${epoch}&fromSequence=${fromSequence}`);
  void handOver(async () => (await client.next())?.message, take);
  return { leave: () => client.cut() };
};

async function handOver(next: () => Promise<Message>, take: (message: Message) => void): Promise<void> {
  for (;;) {
    const message = await next();
    if (message === undefined) return;
    take(message);
  }
}

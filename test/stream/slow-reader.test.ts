import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { event, type Message, metrics, notes, startStream } from './stream-server.ts';

/** The network itself takes some megabytes before a server notices that nobody reads. */
const FLOOD_FRAMES = 1200;
const FLOOD_BYTES = 20_000;

/** How much waits in the server's sockets. */
function waitingBytes(app: { websocketServer: unknown }): number {
  const { clients } = app.websocketServer as { clients: Set<{ bufferedAmount: number }> };
  return Math.max(...[...clients].map(({ bufferedAmount }) => bufferedAmount));
}
